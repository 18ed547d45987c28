"""Directions of values: against literal NumPy readings of their definitions, and properties that all have."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.steering.directions import agreement_of_halves, direction, directions

METHODS = ("mean_difference", "pca", "probe")
Array = np.ndarray[Any, np.dtype[np.float64]]


def sides(seed: int, n: tuple[int, int] = (7, 5), width: int = 6, gap: float = 2.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    planted = rng.normal(size=width)
    above, below = (rng.normal(size=(size, width)) for size in n)
    return above + gap * planted, below - gap * planted


def literal_mean_difference(above: Array, below: Array) -> Array:
    total = sum(above[i] for i in range(len(above))) / len(above) - sum(below[i] for i in range(len(below))) / len(
        below
    )
    return total / np.sqrt((total**2).sum())


def literal_first_component(above: Array, below: Array) -> Array:
    """The leading eigenvector of the mean of both sides' second moments about the midpoint."""
    middle = (above.mean(axis=0) + below.mean(axis=0)) / 2
    moments = np.zeros((above.shape[1],) * 2)
    for side in (above, below):
        for text in side:
            moments += np.outer(text - middle, text - middle) / (2 * len(side))
    leading = np.linalg.eigh(moments)[1][:, -1]
    return leading if leading @ (above.mean(axis=0) - below.mean(axis=0)) > 0 else -leading


def literal_probe(above: Array, below: Array) -> Array:
    """Newton's method on the weighted logistic loss with an intercept that is not penalized."""
    middle = (above.mean(axis=0) + below.mean(axis=0)) / 2
    texts = np.concatenate([above, below]) - middle
    weights = np.array([len(texts) / (2 * len(side)) for side in (above, below) for _ in side])
    texts /= np.sqrt(np.average((texts**2).sum(axis=1), weights=weights))
    rows = np.column_stack([texts, np.ones(len(texts))])
    labels = np.array([1.0] * len(above) + [0.0] * len(below))
    penalty = np.diag([1.0] * texts.shape[1] + [0.0])
    slope = np.zeros(rows.shape[1])
    for _ in range(50):
        share = 1 / (1 + np.exp(-rows @ slope))
        gradient = rows.T @ (weights * (share - labels)) + penalty @ slope
        slope -= np.linalg.solve((rows * (weights * share * (1 - share))[:, None]).T @ rows + penalty, gradient)
    return slope[:-1] / np.linalg.norm(slope[:-1])


LITERAL = {"mean_difference": literal_mean_difference, "pca": literal_first_component, "probe": literal_probe}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [(7, 5), (2, 9), (1, 1), (30, 3)])
@pytest.mark.parametrize("width", [3, 40])
def test_each_method_is_its_literal_definition(method: Any, n: tuple[int, int], width: int) -> None:
    above, below = sides(3, n, width)
    np.testing.assert_allclose(direction(above, below, method), LITERAL[method](above, below), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 1000), shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
def test_a_direction_has_length_1_points_to_support_and_knows_no_origin_or_unit(
    method: Any, seed: int, shift: float, scale: float
) -> None:
    above, below = sides(seed)
    found = direction(above, below, method)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert found @ (above.mean(axis=0) - below.mean(axis=0)) > 0
    np.testing.assert_allclose(direction(scale * above + shift, scale * below + shift, method), found, atol=1e-4)
    np.testing.assert_allclose(direction(below, above, method), -found, atol=1e-4)


def test_layers_are_taken_one_by_one() -> None:
    above, below = np.stack([sides(1)[0], sides(2)[0]], axis=1), np.stack([sides(1)[1], sides(2)[1]], axis=1)
    for method in METHODS:
        found = directions(above, below, method)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found[1], direction(*sides(2), method))  # type: ignore[arg-type]


def test_halves_agree_on_a_strong_direction_and_not_on_none() -> None:
    strong = [side[:, None] for side in sides(5, (40, 40), 30, gap=3.0)]
    none = [np.random.default_rng(seed).normal(size=(40, 1, 30)) for seed in (1, 2)]
    assert agreement_of_halves(*strong, "mean_difference")[0] > 0.95
    assert abs(agreement_of_halves(*none, "mean_difference")[0]) < 0.5
    assert np.isnan(agreement_of_halves(strong[0][:1], strong[1], "pca")).all()


def test_sides_that_cannot_be_told_apart_are_refused() -> None:
    above, _ = sides(1)
    with pytest.raises(ValueError, match="same mean"):
        direction(above, above, "mean_difference")
    with pytest.raises(ValueError, match="both sides"):
        direction(above, above[:0], "pca")
