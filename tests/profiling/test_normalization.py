"""Scores and levels against formulas written out and other libraries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from valueflow.profiling.normalization import BOUNDS, Normalization, level_of

MEANS = np.array([3.0, -1.0, 3.0, 8.0])

METHODS = ("none", "rank", "minmax", "zscore", "percentile", "hybrid")


def scores(method: str, means: np.ndarray, within: str = "theory") -> np.ndarray:
    return Normalization.checked({"method": method, "within": within}).scores(means)


def test_each_formula_by_hand() -> None:
    z = (MEANS - 3.25) / np.sqrt(((MEANS - 3.25) ** 2).mean())
    ranks = np.array([0.0, -1.0, 0.0, 1.0])  # of 1 to 4: 2.5, 1, 2.5, 4
    expected = {
        "none": [0.3, -0.1, 0.3, 0.8],
        "rank": ranks,
        "minmax": [8 / 9 - 1, -1, 8 / 9 - 1, 1],
        "zscore": np.clip(z / 2, -1, 1),
        "percentile": 2 * stats.norm.cdf(z) - 1,
        "hybrid": (ranks + np.clip(z / 2, -1, 1)) / 2,
    }
    for method in METHODS:
        np.testing.assert_allclose(scores(method, MEANS[None])[0], expected[method], atol=1e-6)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.sampled_from(METHODS))
def test_scores_lie_in_their_range_and_keep_the_order(means: list[float], method: str) -> None:
    found = scores(method, np.array([means]))[0]
    assert (np.abs(found) <= 1).all()
    order = np.argsort(means, kind="stable")
    assert (np.diff(found[order]) >= -1e-6).all()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_unknown_stays_so_and_changes_nothing(method: str) -> None:
    with_gap = np.insert(MEANS, 1, np.nan)
    found = scores(method, with_gap[None])[0]
    assert np.isnan(found[1])
    np.testing.assert_array_equal(np.delete(found, 1), scores(method, MEANS[None])[0])


@pytest.mark.parametrize("method", METHODS[1:])
def test_one_mean_and_equal_ones_are_in_the_middle(method: str) -> None:
    assert scores(method, np.array([[4.0]])) == 0
    assert (scores(method, np.array([[4.0, 4.0, 4.0]])) == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_over_groups_is_the_same_with_the_table_turned(method: str) -> None:
    table = np.random.default_rng(0).uniform(-9, 9, (4, 3))
    np.testing.assert_array_equal(scores(method, table, "groups"), scores(method, table.T).T)


def test_levels_are_the_bins_of_the_contract() -> None:
    edges = {1.0: "very_high", 0.6: "very_high", 0.59: "high", 0.2: "high", 0.19: "medium", -0.2: "medium"}
    edges |= {-0.21: "low", -0.6: "low", -0.61: "very_low", -1.0: "very_low"}
    assert {score: level_of(score) for score in edges} == edges
    assert pd.Series(BOUNDS).is_monotonic_decreasing
