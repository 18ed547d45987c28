"""Fleiss' kappa against statsmodels, and by hand where statsmodels has no answer."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as reference

from valueflow.voting import fleiss_kappa


@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(2, 40), st.integers(2, 6))
def test_equals_statsmodels(seed: int, judges: int, texts: int, categories: int) -> None:
    draws = np.random.default_rng(seed)
    truth = draws.integers(categories, size=(texts, 1))
    ratings = np.where(draws.random((texts, judges)) < 0.6, truth, draws.integers(categories, size=(texts, judges)))
    assume(len(np.unique(ratings)) > 1)
    counts, _ = aggregate_raters(ratings, n_cat=categories)
    assert fleiss_kappa(counts) == pytest.approx(reference(counts), abs=1e-12)


def test_texts_with_different_numbers_of_votes() -> None:
    # Two votes for a; two for a and one for b; a single vote, which agrees with nobody; none.
    counts = np.array([[2, 0], [2, 1], [0, 1], [0, 0]])
    agreeing = (2 * 1 / (2 * 1) + (2 * 1 + 0) / (3 * 2)) / 2
    by_chance = (4 / 5) ** 2 + (1 / 5) ** 2
    assert fleiss_kappa(counts) == pytest.approx((agreeing - by_chance) / (1 - by_chance))


@pytest.mark.parametrize("counts", [np.zeros((0, 3), int), np.array([[1, 0], [0, 1]]), np.array([[3, 0], [2, 0]])])
def test_nothing_to_agree_on(counts: np.ndarray) -> None:
    assert fleiss_kappa(counts) is None
