"""Rankings given at random: against the mixture written out, integrals by brute force, and simulated judges."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from valueflow.plackett_luce import (
    Grid,
    anchor_information,
    fit_places,
    grid_for,
    log_likelihoods,
    mode_on_grid,
    simulate_rankings,
)
from valueflow.plackett_luce.lapses import MOST_LAPSES, chance_of_no_lapse, fit_lapse_rate, gain_by_lapses

BOUNDS = (-10.0, 10.0)


def judged(seed, n_anchors, n_windows, j, beta=1.0, sigma=0.0, lapse_rate=0.0):
    """Return orders of anchors, drawn one from each of j ranges of the scale, and the anchors' ratings."""
    rng = np.random.default_rng(seed)
    ratings = np.linspace(-9, 9, n_anchors)
    places = ratings + sigma * rng.standard_normal(n_anchors)
    chosen = np.column_stack([rng.choice(bin_, n_windows) for bin_ in np.array_split(np.arange(n_anchors), j)])
    slopes = np.where(rng.random(n_windows) < lapse_rate, 0.0, beta)
    return np.take_along_axis(chosen, simulate_rankings(places[chosen], slopes, rng) - 1, axis=1), ratings


def literal_chance(order, logits):
    """Return the probability of an order by Plackett-Luce, at logits (..., items)."""
    total = 0.0
    for stage in range(len(order) - 1):
        total = total + logits[..., order[stage]] - logsumexp(logits[..., list(order[stage:])], axis=-1)
    return np.exp(total)


# ---- The share of lapses


def test_the_share_of_plain_cases_is_that_of_the_formula():
    certain = np.repeat([60.0, -60.0], [10, 90])
    # Ten lapses that cannot be anything else, and four rankings more that are none, by the prior.
    assert fit_lapse_rate(certain) == pytest.approx(10 / 104)
    np.testing.assert_allclose(chance_of_no_lapse(certain, 0.1), np.repeat([0.0, 1.0], [10, 90]), atol=1e-20)
    assert fit_lapse_rate(np.zeros(100)) == 0.0
    assert fit_lapse_rate(np.full(100, -0.1)) == 0.0
    assert fit_lapse_rate(np.full(1000, 5.0)) == MOST_LAPSES
    assert gain_by_lapses(certain, 0.0) == 0.0


def test_the_share_is_the_maximum_of_the_posterior():
    rng = np.random.default_rng(0)
    rates = np.linspace(0.0, 0.5, 5001)
    for _ in range(20):
        surprise = rng.normal(-2, 2.5, 60)
        chance = np.log((1 - rates[:, None]) + rates[:, None] * np.exp(surprise)).sum(axis=1)
        posterior = chance + 4 * np.log(1 - rates)
        found = fit_lapse_rate(surprise)
        assert found == pytest.approx(rates[posterior.argmax()], abs=2e-4)
        assert gain_by_lapses(surprise, found) == pytest.approx(posterior.max() - posterior[0], abs=1e-4)


# ---- What windows tell of a response


def literal(u, rankings, anchors, beta, lapse_rate):
    """Log-likelihood of one response's windows at utilities u, (G,)."""
    total = np.zeros(len(u))
    for ranking, known in zip(rankings, anchors, strict=True):
        logits = beta * np.column_stack([u, np.tile(known, (len(u), 1))])
        at_random = lapse_rate / factorial(len(ranking))
        total += np.log((1 - lapse_rate) * literal_chance(ranking - 1, logits) + at_random)
    return total


@pytest.mark.parametrize(
    ("k", "m", "beta", "rate"), [(2, 1, 1.0, 0.3), (3, 2, 0.5, 0.1), (6, 3, 1.0, 0.1), (6, 5, 2.0, 0.01)]
)
def test_likelihoods_are_those_of_the_mixture(k, m, beta, rate):
    rng = np.random.default_rng(k)
    n = 40
    anchors = rng.uniform(-9, 9, (n * m, k - 1))
    rankings = np.argsort(rng.random((n * m, k)), axis=1) + 1  # any order is possible, so all of them are here
    sensible = simulate_rankings(np.column_stack([rng.uniform(-9, 9, n * m), anchors]), beta, rng)
    rankings[: n * m // 2] = sensible[: n * m // 2]
    index = np.arange(n * m) % n
    grid = grid_for(BOUNDS, beta, m * (k - 1))
    found = log_likelihoods(rankings, anchors, index, n, grid, discrimination=beta, lapse_rate=rate)
    for response in range(n):
        own = index == response
        expected = literal(grid.nodes, rankings[own], anchors[own], beta, rate)
        np.testing.assert_allclose(found[response], expected - expected.max(), atol=2e-5)


def test_a_misreading_is_integrated_over_with_lapses_too():
    rng = np.random.default_rng(1)
    anchors = rng.uniform(-5, 5, (8, 4))
    rankings = np.argsort(rng.random((8, 5)), axis=1) + 1
    grid = grid_for(BOUNDS, 1.0, 16)
    index = np.repeat([0, 1], 4)
    options = {"discrimination": 1.0, "misreading_sd": 1.5, "lapse_rate": 0.2}
    found = log_likelihoods(rankings, anchors, index, 2, grid, **options)
    seen = np.linspace(-16, 16, 3201)
    for response in range(2):
        likelihood = np.exp(literal(seen, rankings[index == response], anchors[index == response], 1.0, 0.2))
        expected = np.array([likelihood @ norm.pdf(seen, u, 1.5) for u in grid.nodes])
        np.testing.assert_allclose(np.exp(found[response]), expected / expected.max(), atol=0.02)


def test_a_window_worked_by_hand():
    """One anchor at 0, which the response beats: 0.8 / (1 + e^-u) + 0.2 / 2."""
    grid = Grid.over(BOUNDS, 0.5)
    found = log_likelihoods([[1, 2]], [[0.0]], [0], 1, grid, discrimination=1.0, lapse_rate=0.2)
    at = {node: float(found[0, place]) for place, node in enumerate(grid.nodes.round(6).tolist())}
    assert at[0.0] - at[10.0] == pytest.approx(np.log(0.5 / (0.1 + 0.8 / (1 + np.exp(-10)))), abs=1e-5)
    # The odds against a place far below are those of a lapse, 1 to 9, and no longer.
    assert at[-10.0] - at[10.0] == pytest.approx(np.log(0.1 / 0.9), abs=1e-3)


def test_without_lapses_nothing_changes_and_few_hardly_do():
    rng = np.random.default_rng(2)
    anchors = rng.uniform(-9, 9, (60, 5))
    rankings = simulate_rankings(np.column_stack([np.repeat(rng.uniform(-8, 8, 20), 3), anchors]), 0.7, rng)
    index = np.repeat(np.arange(20), 3)
    grid = grid_for(BOUNDS, 0.7, 15)
    arrays = rankings, anchors, index, 20, grid
    without = log_likelihoods(*arrays, discrimination=0.7)
    np.testing.assert_array_equal(log_likelihoods(*arrays, discrimination=0.7, lapse_rate=0.0), without)
    few = log_likelihoods(*arrays, discrimination=0.7, lapse_rate=1e-12)
    np.testing.assert_allclose(np.exp(few), np.exp(without), atol=1e-4)


def test_modes_are_those_of_a_dense_grid():
    nodes = np.linspace(-10, 10, 41)
    grid = Grid.over(BOUNDS, 0.5)
    centers = np.array([-12.0, -3.3, 0.1, 9.9])
    logs = -0.5 * (nodes - centers[:, None]) ** 2
    expected = np.clip(centers / (1 + 1e-3), -10, 10)
    np.testing.assert_allclose(mode_on_grid(logs, grid), expected, atol=1e-9)


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_a_share_that_is_none_is_told(rate):
    with pytest.raises(ValueError, match="lapse_rate must be at least 0 and below 1"):
        log_likelihoods([[1, 2]], [[0.0]], [0], 1, Grid.over(BOUNDS, 0.5), discrimination=1.0, lapse_rate=rate)


def test_comparisons_tell_less_by_the_share_of_lapses():
    alone = anchor_information([0.0, 3.0], [1.0, 2.0], [0.5, 1.0])
    half = anchor_information([0.0, 3.0], [1.0, 2.0], [0.5, 1.0], [0.25, 0.25])
    np.testing.assert_allclose(half, 0.75 * alone)


# ---- A judge


def test_the_probabilities_of_all_orders_add_up_to_one():
    """What the mixture is made of: both parts are distributions over all orders."""
    logits = np.array([0.3, -1.0, 2.0])
    assert sum(literal_chance(order, logits) for order in permutations(range(3))) == pytest.approx(1.0)


@pytest.mark.parametrize("sigma", [0.0, 1.5])
@pytest.mark.slow
def test_lapses_are_recovered_and_leave_slope_and_misreading_as_they_are(sigma):
    fits = [fit_places(*judged(seed, 40, 600, 5, 1.0, sigma, lapse_rate=0.1)) for seed in range(6)]
    rates = [fit.lapse_rate for fit in fits]
    # 600 windows: a standard error of 0.012 each.
    assert np.mean(rates) == pytest.approx(0.1, abs=0.015)
    assert all(0.05 < rate < 0.15 for rate in rates)
    assert np.mean([fit.discrimination for fit in fits]) == pytest.approx(1.0, rel=0.1)
    assert np.mean([fit.misreading_sd for fit in fits]) == pytest.approx(sigma, abs=0.3)


@pytest.mark.parametrize(("beta", "sigma"), [(0.15, 0.0), (1.0, 0.0), (3.0, 0.0), (1.0, 1.5), (1.0, 2.5), (0.0, 0.0)])
def test_judges_that_do_not_lapse_have_a_rate_of_exactly_zero(beta, sigma):
    for seed in range(4):
        assert fit_places(*judged(seed, 40, 600, 5, beta, sigma)).lapse_rate == 0.0


def test_a_judge_that_has_the_anchors_the_wrong_way_round_does_not_lapse():
    orders, ratings = judged(1, 40, 600, 5)
    assert fit_places(orders[:, ::-1].copy(), ratings).lapse_rate == 0.0


@pytest.mark.slow
def test_the_fit_is_near_the_maximum_of_the_integral_over_places():
    """All of slope, misreading and lapses, with the places integrated out by Gauss-Hermite quadrature."""
    orders, ratings = judged(3, 4, 250, 4, beta=0.4, sigma=1.0, lapse_rate=0.25)
    fit = fit_places(orders, ratings)
    assert fit.lapse_rate > 0
    z, weights = np.polynomial.hermite_e.hermegauss(9)
    nodes = np.stack(np.meshgrid(*[z] * 4, indexing="ij"), axis=-1)
    log_weights = sum(np.meshgrid(*[np.log(weights / weights.sum())] * 4, indexing="ij"))
    kinds, times = np.unique(orders, axis=0, return_counts=True)

    def posterior(log_beta, log_sigma, rate):
        beta, sigma = np.exp(log_beta), np.exp(log_sigma)
        logits = beta * (ratings + sigma * nodes)
        value = log_weights
        for order, count in zip(kinds.tolist(), times, strict=True):
            value = value + count * np.log((1 - rate) * literal_chance(order, logits) + rate / 24)
        prior = -0.5 * np.log(beta / 0.5) ** 2 - 0.5 * (sigma / 5) ** 2 + 4 * np.log(1 - rate)
        return logsumexp(value) + prior

    # Undoes the step from the most probable to the expected variance: at most three times as much.
    at = np.log(fit.discrimination), np.log(max(fit.misreading_sd / np.sqrt(3), 0.02)), fit.lapse_rate
    found = posterior(*at)
    around = [
        posterior(at[0] + a, max(at[1] + b, np.log(0.02)), rate)
        for a in (-0.3, 0.0, 0.3)
        for b in (-0.6, 0.0, 0.6)
        for rate in (0.6 * fit.lapse_rate, fit.lapse_rate, min(1.4 * fit.lapse_rate, 0.5))
    ]
    assert found > max(around) - 1.0
    assert found > posterior(at[0], at[1], 0.0) + 3
