"""What theories say of the distances between values, worked by hand."""

import numpy as np
import pytest

from valueflow.geometry.expected import expected_distances
from valueflow.run import InputError
from valueflow.theory import load_theory, theory_from_mapping


def theory_of(nodes: dict[str, list[str]], **more: object) -> dict[str, object]:
    """Return the fields of a theory: parents of each node."""
    described = {name: {"label": name, "parents": parents, "definition": "d"} for name, parents in nodes.items()}
    return {"name": "t", "title": "t", "label": "l", "source": "s", "nodes": described, **more}


def test_the_circle_of_schwartz() -> None:
    pvq = load_theory("pvq")
    found = expected_distances(pvq, pvq.circle)
    assert found.shape == "circle"
    names = list(pvq.circle)

    def steps(one: str, other: str) -> float:
        return float(found.distances[names.index(one), names.index(other)])

    assert steps("self-direction", "universalism") == 1
    assert steps("benevolence", "universalism") == 1
    assert steps("power", "achievement") == 1
    assert steps("tradition", "conformity") == 1
    assert steps("benevolence", "power") == 6
    assert steps("self-direction", "security") == 6
    assert found.distances.max() == 6
    assert found.positions is not None
    assert np.linalg.norm(found.positions, axis=1) == pytest.approx(1)


def test_every_higher_order_value_is_an_arc_of_the_circle() -> None:
    pvq = load_theory("pvq")
    for parent in ("self-transcendence", "openness-to-change", "self-enhancement", "conservation"):
        inside = [parent in pvq.nodes[value].parents for value in pvq.circle]
        changes = sum(one != other for one, other in zip(inside, inside[1:] + inside[:1], strict=True))
        assert changes == 2, parent


def test_values_that_are_missing_keep_their_places() -> None:
    pvq = load_theory("pvq")
    found = expected_distances(pvq, ["self-direction", "hedonism", "power"])
    assert found.distances.tolist() == [[0, 2, 4], [2, 0, 2], [4, 2, 0]]


def test_steps_in_a_hierarchy_take_the_shortest_path() -> None:
    nodes = {"top": [], "left": ["top"], "right": ["top"], "a": ["left"], "b": ["left"], "c": ["right"]}
    nodes |= {"d": ["left", "right"], "other": [], "e": ["other"]}
    values = ["a", "b", "c", "d", "e"]
    found = expected_distances(theory_from_mapping(theory_of(nodes, values=values)), values)
    assert found.shape == "hierarchy"
    assert found.positions is None
    assert found.distances.tolist() == [
        [0, 2, 4, 2, 5],
        [2, 0, 4, 2, 5],
        [4, 4, 0, 2, 5],
        [2, 2, 2, 0, 5],
        [5, 5, 5, 5, 0],
    ]


def test_duties_are_all_equally_far_apart() -> None:
    duty = load_theory("duty")
    found = expected_distances(duty, duty.values).distances
    assert (found == 2 - 2 * np.eye(7)).all()


def test_foundations_lie_in_two_groups() -> None:
    found = expected_distances(load_theory("mft"), ["care-harm", "fairness-cheating", "loyalty-betrayal"]).distances
    assert found.tolist() == [[0, 2, 4], [2, 0, 4], [4, 4, 0]]


@pytest.mark.parametrize("circle", [["a", "b"], ["a", "b", "b"], ["a", "b", "x"], ["a", "b", "c", "a"]])
def test_a_circle_holds_each_value_once(circle: list[str]) -> None:
    fields = theory_of({"a": [], "b": [], "c": []}, values=["a", "b", "c"], circle=circle)
    with pytest.raises(InputError, match="it must hold each value once"):
        theory_from_mapping(fields)
