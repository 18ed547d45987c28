from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from valueflow.plackett_luce import simulate_rankings


def test_frequencies_are_those_of_the_model():
    utilities, beta, draws = np.array([0.5, -1.0, 1.2]), 0.8, 60_000
    rankings = simulate_rankings(np.tile(utilities, (draws, 1)), beta, np.random.default_rng(0))
    strength = np.exp(beta * utilities)
    observed, expected = [], []
    for order in permutations(range(3)):
        observed.append(np.sum((rankings == np.array(order) + 1).all(axis=1)))
        chance, left = 1.0, list(order)
        while left:
            chance *= strength[left[0]] / strength[left].sum()
            left.pop(0)
        expected.append(draws * chance)
    assert sum(observed) == draws
    assert chisquare(observed, expected).pvalue > 1e-3


def test_slope_per_window_and_same_seed_same_rankings():
    utilities = np.tile([0.0, 1.0, 2.0], (20_000, 1))
    slopes = np.where(np.arange(20_000) < 10_000, 0.0, 50.0)
    rankings = simulate_rankings(utilities, slopes, np.random.default_rng(1))
    assert (rankings[10_000:] == [3, 2, 1]).all()
    assert np.mean(rankings[:10_000, 0] == 1) == pytest.approx(1 / 3, abs=0.02)
    np.testing.assert_array_equal(rankings, simulate_rankings(utilities, slopes, np.random.default_rng(1)))


@pytest.mark.parametrize(
    ("utilities", "slope", "message"),
    [
        (np.zeros(3), 1.0, "shape"),
        (np.zeros((2, 3)), np.ones(3), "discrimination"),
        (np.full((2, 3), np.nan), 1.0, "finite"),
        (np.zeros((2, 3)), np.inf, "finite"),
        (np.zeros((2, 3)), -1.0, "below zero"),
    ],
)
def test_bad_input_is_named(utilities, slope, message):
    with pytest.raises(ValueError, match=message):
        simulate_rankings(utilities, slope, np.random.default_rng(0))
