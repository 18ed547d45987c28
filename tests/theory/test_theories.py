"""The theories that come with the project, and one that a user adds."""

import os
from pathlib import Path

import pandas as pd
import pytest

from tests.command import run as run_app
from tests.command import succeeded
from valueflow.run import InputError
from valueflow.theory import choose_theory, known_theories, load_theory, normalize_name, theory_from_mapping

VALUES = {
    "pvq": "benevolence universalism self-direction stimulation hedonism achievement power conformity tradition "
    "security face humility",
    "mft": "care/harm fairness/cheating loyalty/betrayal authority/subversion sanctity/degradation liberty/oppression",
    "duty": "fidelity reparation gratitude justice beneficence self-improvement non-maleficence",
    "right": "civil_rights political_rights economic_rights social_rights cultural_rights national_solidarity_rights "
    "social_group_solidarity_rights",
}

SAILING = """
name: sailing
title: the code of the harbour
label: rule of the sea
source: written for this test
values: [rescue, calm]
nodes:
  seamanship: {label: seamanship, parents: [], definition: "Knowing ship, sea and weather."}
  rescue: {label: rescue/neglect, parents: [seamanship], definition: "Turning round for anyone in distress."}
  calm: {label: calm, parents: [], definition: "Keeping one's head in a storm."}
"""


def mapping(**changes: object) -> dict[str, object]:
    nodes = {
        "top": {"label": "top", "definition": "Above."},
        "left": {"label": "left", "parents": ["top"], "definition": "To the left."},
        "right": {"label": "right hand", "parents": ["top"], "definition": "To the right."},
        "low": {"label": "low", "parents": ["left", "right"], "definition": "Below both."},
    }
    base = {"name": "t", "title": "T", "label": "l", "source": "s", "values": ["left", "right"], "nodes": nodes}
    return base | changes


@pytest.mark.parametrize(("name", "depth"), [("pvq", 4), ("mft", 3), ("duty", 1), ("right", 4)])
def test_a_theory_has_the_values_and_levels_of_the_literature(name: str, depth: int) -> None:
    theory = load_theory(name)
    assert [theory.resolve(value) for value in VALUES[name].split()] == list(theory.values)
    assert theory.depth == depth


def test_three_values_of_schwartz_have_two_parents() -> None:
    pvq = load_theory("pvq")
    parents = {value: set(pvq.nodes[value].parents) for value in pvq.values if len(pvq.nodes[value].parents) > 1}
    assert parents == {
        "hedonism": {"openness-to-change", "self-enhancement"},
        "humility": {"self-transcendence", "conservation"},
        "face": {"self-enhancement", "conservation"},
    }


def test_rights_is_an_alias_and_any_is_no_theory() -> None:
    assert load_theory("rights") == load_theory("right")
    assert [theory.name for theory in known_theories()] == ["duty", "mft", "pvq", "right"]


@pytest.mark.parametrize("spelling", ["care/harm", "Care-Harm", "CARE_HARM", "care harm", " careharm "])
def test_spelling_of_a_value_does_not_matter(spelling: str) -> None:
    assert load_theory("mft").resolve(spelling) == "care-harm"


def test_normalised_names() -> None:
    assert normalize_name("Self-Direction / of_Thought") == "selfdirectionofthought"


def test_an_unknown_value_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match="'benevolense' is not in theory 'pvq'; did you mean 'benevolence'"):
        load_theory("pvq").resolve("benevolense")


def test_an_unknown_theory_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"theory 'pvc' is unknown; did you mean 'pvq'"):
        load_theory("pvc")


def test_paths_go_through_every_parent() -> None:
    theory = theory_from_mapping(mapping())
    assert theory.paths("low") == (("top", "left", "low"), ("top", "right", "low"))
    assert theory.children("top") == ("left", "right")
    assert theory.depth == 3
    for node_id in theory.nodes:
        for parent in theory.nodes[node_id].parents:
            assert theory.order.index(parent) < theory.order.index(node_id)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": ["nowhere"]}, "value 'nowhere' is not among the nodes"),
        ({"values": []}, "values"),
        ({"nodes": {"left": {"label": "l", "parents": ["up"], "definition": "d"}}}, "unknown parent 'up'"),
        (
            {
                "values": ["a"],
                "nodes": {
                    "a": {"label": "a", "parents": ["b"], "definition": "d"},
                    "b": {"label": "b", "parents": ["a"], "definition": "d"},
                },
            },
            "cycle",
        ),
        (
            {
                "values": ["a-b"],
                "nodes": {"a-b": {"label": "x", "definition": "d"}, "a_b": {"label": "y", "definition": "d"}},
            },
            "'a-b' and 'a_b' are the same name",
        ),
        ({"values": ["a"], "nodes": {"a": {"label": "a"}}}, "nodes.a.definition' is missing"),
        ({"titel": "T"}, "unknown setting 'titel'; did you mean 'title'"),
        ({"name": "No Good"}, "name=No Good"),
    ],
)
def test_a_broken_theory_is_told_in_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        theory_from_mapping(mapping(**changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_several_theories_is_found_by_its_value() -> None:
    other = mapping(name="u", values=["low"], nodes={"low": {"label": "low", "definition": "Alone."}})
    both = {"t": mapping(), "u": other}
    assert choose_theory(both, "RIGHT hand").name == "t"
    # `low` is a value of the second and only a node of the first.
    assert choose_theory(both, "low").name == "u"
    with pytest.raises(InputError, match="in t and v; say which"):
        choose_theory(both | {"v": mapping(name="v")}, "left")
    with pytest.raises(InputError, match="'lefft' is in no theory; did you mean 'left'"):
        choose_theory(both, "lefft")


def test_definitions_are_sentences_of_readable_length() -> None:
    for theory in known_theories():
        for node_id, node in theory.nodes.items():
            words = node.definition.split()
            assert 8 <= len(words) <= 40, (theory.name, node_id)
            assert node.definition.endswith("."), (theory.name, node_id)


@pytest.mark.slow
def test_a_user_adds_a_theory_with_one_yaml_file(tmp_path: Path) -> None:
    """Nothing but the file and anchors is needed: the app finds, checks, and scores by it."""
    (tmp_path / "mine" / "theory").mkdir(parents=True)
    (tmp_path / "mine" / "theory" / "sailing.yaml").write_text(SAILING, encoding="utf-8")
    ratings = [-9.0, -6.0, -3.0, -1.0, 0.0, 2.0, 4.0, 6.5, 8.0, 9.5]
    texts = [f"a sailor said thing number {index} about turning round" for index in range(len(ratings))]
    pd.DataFrame({"text": texts, "final_rating": ratings}).to_csv(
        tmp_path / "rescue_sailing_flag_aggregated.csv", index=False
    )
    pd.DataFrame({"query": ["q"], "dataset": ["d"], "response": ["I would turn the boat round at once."]}).to_csv(
        tmp_path / "responses.csv", index=False
    )
    app = Path(__file__).parents[2] / "evaluate.py"
    arguments = [
        "--config-dir",
        "mine",
        "theory=sailing",
        "value=Rescue",
        f"vidb={tmp_path}",
        "responses=responses.csv",
    ]
    done = succeeded(run_app(app, *arguments, "hydra.run.dir=out", folder=tmp_path, env=os.environ))
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert scores["rescue_score"].between(-10, 10).all()
    assert "sailing/rescue/neglect" in done.stdout
