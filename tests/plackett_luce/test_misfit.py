"""The outfit, against all rankings of a window enumerated and against simulated responses."""

from itertools import permutations

import numpy as np
import pytest

from valueflow.plackett_luce import outfit, simulate_rankings


def chance(order, utilities, beta):
    """Plackett-Luce probability of an order of item numbers."""
    strengths = [np.exp(beta * utilities[item - 1]) for item in order]
    return np.prod([strengths[stage] / sum(strengths[stage:]) for stage in range(len(order))])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_response_is_compared_with_its_place_among_all_rankings(k):
    rng = np.random.default_rng(k)
    anchors, u, beta, m = rng.uniform(-4, 4, (3, k - 1)), 0.7, 0.8, 3
    rankings = np.array([rng.permutation(k) + 1 for _ in range(m)])
    expected, kurtosis = [], []
    for ranking, known in zip(rankings, anchors, strict=True):
        # Given how the judge ordered the anchors, all places that the response can have.
        others = [item for item in ranking if item != 1]
        odds = {
            order.index(1): chance(order, [u, *known], beta)
            for order in permutations(range(1, k + 1))
            if [item for item in order if item != 1] == others
        }
        places, p = np.array(list(odds)), np.array(list(odds.values())) / sum(odds.values())
        mean = p @ places
        variance = p @ (places - mean) ** 2
        place = ranking.tolist().index(1)
        expected.append((place - mean) ** 2 / variance)
        kurtosis.append(p @ (places - mean) ** 4 / variance**2 - 1)
    found, p_value = outfit(rankings, anchors, [0] * m, [u], discrimination=beta)
    assert found[0] == pytest.approx(np.mean(expected))
    # By Monte Carlo, of a gamma distribution with the mean and variance of the sum.
    variance = sum(kurtosis) * (m - 1) / m
    draws = rng.gamma((m - 1) ** 2 / variance, variance / (m - 1), 400_000)
    assert p_value[0] == pytest.approx(np.mean(draws > sum(expected)), abs=0.004)


def simulated(seed, n, m, k=6, beta=1.0, away=0.0):
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(n), m)
    anchors = np.sort(rng.uniform(-9, 9, (n * m, k - 1)))
    truth = rng.uniform(-7, 7, n)
    # What a contradictory text does: here far up, there far down.
    shift = away * np.where(np.arange(n * m) % 2, 1, -1)
    seen = truth[index] + shift
    rankings = simulate_rankings(np.column_stack([seen, anchors]), beta, rng)
    return rankings, anchors, index, truth


def test_about_one_in_a_hundred_is_marked_where_the_model_holds():
    rankings, anchors, index, truth = simulated(1, 4000, 5)
    value, p = outfit(rankings, anchors, index, truth, discrimination=1.0)
    assert np.mean(value) == pytest.approx(1.0, abs=0.1)
    # The utility is taken as estimated; where it is known, a little more is left of what varies.
    assert 0.001 < np.mean(p < 0.01) < 0.04


@pytest.mark.parametrize("beta", [3.0, 8.0])
@pytest.mark.parametrize("truth", [0.0, 10.0])
def test_a_sharp_judge_that_ranks_responses_as_expected_marks_none(beta, truth):
    """No anchor is near: other ranks than the expected one are next to impossible."""
    rng = np.random.default_rng(7)
    index, anchors = np.repeat(np.arange(200), 3), rng.uniform(4, 9, (600, 4)) * np.array([-1, -1, 1, 1])
    rankings = simulate_rankings(np.column_stack([np.full(600, truth), anchors]), beta, rng)
    _, p = outfit(rankings, anchors, index, np.full(200, truth), discrimination=beta)
    assert np.mean(p < 0.01) < 0.02


def test_windows_that_contradict_each_other_are_marked():
    rankings, anchors, index, truth = simulated(2, 500, 10, away=6.0)
    _, p = outfit(rankings, anchors, index, truth, discrimination=1.0)
    assert np.mean(p < 0.01) > 0.8


def test_slopes_of_several_judges_count_each_for_its_own_windows():
    rankings, anchors, index, truth = simulated(3, 30, 4)
    slopes = np.tile([0.5, 2.0], 60)
    whole, _ = outfit(rankings, anchors, index, truth, discrimination=slopes)
    parts = [
        outfit(rankings[own], anchors[own], index[own], truth, discrimination=slope)[0]
        for slope in (0.5, 2.0)
        for own in [slopes == slope]
    ]
    np.testing.assert_allclose(whole, np.mean(parts, axis=0))


def test_one_window_no_window_and_no_utility_say_nothing():
    rankings, anchors, index, _ = simulated(4, 3, 2)
    keep = np.array([0, 2, 3])  # one window of response 0, two of response 1, none of the others
    value, p = outfit(rankings[keep], anchors[keep], index[keep], [0.0, 1.0, 2.0], discrimination=1.0)
    assert np.isfinite([value[1], p[1]]).all()
    assert np.isnan([value[0], value[2], p[0], p[2]]).all()
    value, p = outfit(rankings, anchors, index, np.full(3, np.nan), discrimination=1.0)
    assert np.isnan([*value, *p]).all()


def test_responses_above_all_anchors_and_steep_judges_are_finite():
    rankings = np.tile([[1, 2, 3], [3, 2, 1]], (2, 1))
    anchors = np.full((4, 2), [-9.0, -10.0])
    for beta in (0.01, 10.0):
        value, p = outfit(rankings, anchors, [0, 1, 0, 1], [10.0, 10.0], discrimination=beta)
        assert np.isfinite([*value, *p]).all()
    assert p[0] > 0.9  # first, as it should be
    assert p[1] < 0.01  # last in both windows, against all odds
