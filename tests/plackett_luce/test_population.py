"""The mean of a population, against a search by brute force, refits without responses, and the cluster bootstrap."""

import numpy as np
import pytest

from valueflow.plackett_luce import (
    Grid,
    fit_population,
    grid_for,
    log_likelihoods,
    simulate_rankings,
)

BOUNDS = (-10.0, 10.0)


def simulated(seed, truth, m=3, k=5, beta=1.0, top=9.0):
    """Return likelihoods of responses at true places, and their grid."""
    rng = np.random.default_rng(seed)
    truth = np.asarray(truth, dtype=float)
    n = len(truth)
    pool = np.linspace(-top, top, 40)
    anchors = pool[np.argsort(rng.random((n * m, 40)), axis=1)[:, : k - 1]]
    index = np.repeat(np.arange(n), m)
    rankings = simulate_rankings(np.column_stack([truth[index], anchors]), beta, rng)
    grid = grid_for(BOUNDS, beta, m * (k - 1))
    return np.exp(log_likelihoods(rankings, anchors, index, n, grid, discrimination=beta).astype(float)), grid


def literal_loss(mu, tau, likelihoods, grid):
    """Minus the log-likelihood, response by response and node by node."""
    density = [w * np.exp(-0.5 * ((u - mu) / tau) ** 2) for u, w in zip(grid.nodes, grid.weights, strict=True)]
    total = 0.0
    for row in likelihoods.tolist():
        total -= np.log(sum(own * p for own, p in zip(row, density, strict=True)) / sum(density))
    return total


def searched_mean(likelihoods, grid):
    """Return E[u] at the best of a grid over mu and tau that closes in on it."""
    mu, log_tau, reach = 0.0, 1.0, np.array([8.0, 2.0])
    for _ in range(16):
        tries = [
            (literal_loss(a, np.exp(b), likelihoods, grid), a, b)
            for a in mu + reach[0] * np.linspace(-1, 1, 7)
            for b in log_tau + reach[1] * np.linspace(-1, 1, 7)
        ]
        _, mu, log_tau = min(tries)
        reach = reach * 0.6
    density = grid.weights * np.exp(-0.5 * ((grid.nodes - mu) / np.exp(log_tau)) ** 2)
    return float(density @ grid.nodes / density.sum())


@pytest.mark.parametrize(("seed", "center", "spread"), [(1, 0.0, 3.0), (2, 5.0, 2.0)])
def test_the_mean_is_that_of_a_brute_force_search(seed, center, spread):
    truth = np.clip(center + spread * np.random.default_rng(seed).standard_normal(12), -9.5, 9.5)
    likelihoods, grid = simulated(seed, truth, m=4)
    assert fit_population(likelihoods, grid).mean == pytest.approx(searched_mean(likelihoods, grid), abs=1e-3)


@pytest.mark.parametrize("beta", [0.3, 1.0])
@pytest.mark.parametrize("center", [0.0, 6.0, 9.0])
def test_the_mean_is_not_shrunk_to_the_middle(beta, center):
    means = [fit_population(*simulated(seed, np.full(80, center), beta=beta, top=9.9)).mean for seed in range(8)]
    assert np.mean(means) == pytest.approx(center, abs=0.3)


def test_influences_are_the_derivatives_of_the_mean_in_the_weights_of_responses():
    likelihoods, grid = simulated(3, np.random.default_rng(3).normal(2, 3, 40).clip(-9, 9))
    fit = fit_population(likelihoods, grid)
    assert fit.influence.sum() == pytest.approx(0.0, abs=1e-3)
    for response in range(0, 40, 4):
        # Twenty times all responses, and one of them once more: a small weight, by refitting alone.
        more = np.vstack([np.repeat(likelihoods, 20, axis=0), likelihoods[response : response + 1]])
        change = 20 * (fit_population(more, grid).mean - fit.mean)
        assert change == pytest.approx(fit.influence[response], abs=0.004 + 0.03 * abs(fit.influence[response]))


def test_the_clustered_variance_is_that_of_a_bootstrap_over_queries():
    rng = np.random.default_rng(4)
    queries = np.repeat(np.arange(24), 4)
    truth = np.clip(1 + 2 * rng.standard_normal(24)[queries] + 2 * rng.standard_normal(96), -9.5, 9.5)
    likelihoods, grid = simulated(4, truth)
    fit = fit_population(likelihoods, grid)
    sums = np.bincount(queries, fit.influence)
    clustered = np.sqrt(24 / 23 * (sums**2).sum())
    again = []
    for _ in range(300):
        drawn = rng.integers(24, size=24)
        again.append(fit_population(likelihoods.reshape(24, 4, -1)[drawn].reshape(96, -1), grid).mean)
    # A standard deviation of 300 draws is known to 4%.
    assert clustered == pytest.approx(np.std(again), rel=0.15)
    assert clustered > 1.2 * np.sqrt((fit.influence**2).sum())


def test_a_paired_difference_has_the_variance_of_a_bootstrap_over_queries():
    rng = np.random.default_rng(5)
    shared = 2.5 * rng.standard_normal(40)
    jobs = [simulated(seed, np.clip(center + shared, -9.5, 9.5)) for seed, center in ((5, 4.0), (6, 0.0))]
    fits = [fit_population(*job) for job in jobs]
    paired = np.sqrt(40 / 39 * ((fits[0].influence - fits[1].influence) ** 2).sum())
    apart = np.sqrt(40 / 39 * sum((fit.influence**2).sum() for fit in fits))
    again = []
    for _ in range(250):
        drawn = rng.integers(40, size=40)
        first, second = (fit_population(likelihoods[drawn], grid).mean for likelihoods, grid in jobs)
        again.append(first - second)
    assert paired == pytest.approx(np.std(again), rel=0.18)
    assert paired < 0.85 * apart


def test_neither_order_nor_number_type_nor_a_factor_matters():
    likelihoods, grid = simulated(7, np.linspace(-8, 8, 50))
    fit = fit_population(likelihoods, grid)
    rows = np.random.default_rng(0).permutation(50)
    other = fit_population((likelihoods[rows] * np.linspace(0.2, 3, 50)[:, None]).astype(np.float32), grid)
    assert other.mean == pytest.approx(fit.mean, abs=1e-3)
    np.testing.assert_allclose(other.influence, fit.influence[rows], atol=1e-4)


def test_one_response_and_likelihoods_that_say_nothing_are_no_crash():
    grid = Grid.over(BOUNDS, 0.25)
    one = fit_population(np.exp(-0.5 * ((grid.nodes - 3.1) / 1.5) ** 2)[None], grid)
    assert one.mean == pytest.approx(3.1, abs=0.05)
    for n in (1, 40):
        flat = fit_population(np.ones((n, len(grid.nodes))), grid)
        assert flat.mean == pytest.approx(0.0, abs=1e-6)
        assert np.isnan(flat.influence).all()
        np.testing.assert_allclose(flat.point_loss, 0.0, atol=1e-9)


@pytest.mark.parametrize("shape", [(0, 81), (3, 80), (81,)])
def test_likelihoods_of_another_shape_are_told(shape):
    with pytest.raises(ValueError, match=r"likelihoods must have shape \(N, 81\) with N of 1 or more"):
        fit_population(np.ones(shape), Grid.over(BOUNDS, 0.25))


def test_where_all_beat_all_anchors_the_mean_may_be_anywhere_above_them():
    """The likelihood of a point population, written out, is next to the best one's from the highest anchor on."""
    grid = Grid.over(BOUNDS, 0.1)
    likelihoods = np.tile(1 / (1 + np.exp(-3 * (grid.nodes - 4))) ** 5, (30, 1))
    fit = fit_population(likelihoods, grid)
    assert np.isfinite([fit.mean, fit.sd]).all()
    lost = [literal_loss(u, 0.01, likelihoods, grid) - literal_loss(10, 0.01, likelihoods, grid) for u in grid.nodes]
    np.testing.assert_allclose(fit.point_loss, lost, atol=1e-3)
    assert fit.point_loss[grid.nodes > 6.5].max() < 0.1
    assert fit.point_loss[grid.nodes < 4].min() > 10


def test_a_point_loses_what_a_spread_population_gains():
    likelihoods, grid = simulated(8, np.linspace(-8, 8, 30), m=10)
    fit = fit_population(likelihoods, grid)
    assert fit.point_loss.min() > 50


def test_weights_count_as_repetitions_do():
    likelihoods, grid = simulated(11, np.random.default_rng(11).normal(2, 2, 40))
    times = np.random.default_rng(12).integers(0, 4, 40)
    weighted = fit_population(likelihoods, grid, times.astype(float))
    repeated = fit_population(np.repeat(likelihoods, times, axis=0), grid)
    assert weighted.mean == pytest.approx(repeated.mean, abs=1e-4)
    assert weighted.sd == pytest.approx(repeated.sd, abs=1e-3)
    sums = np.bincount(np.repeat(np.arange(40), times), weights=repeated.influence, minlength=40)
    np.testing.assert_allclose(weighted.influence, sums, atol=1e-4)
    np.testing.assert_allclose(
        fit_population(likelihoods, grid, np.full(40, 7.0)).mean, fit_population(likelihoods, grid).mean
    )


@pytest.mark.parametrize("weights", [np.ones(3), np.zeros(40), np.full(40, -1.0), np.full(40, np.nan)])
def test_weights_that_are_none_are_told(weights):
    likelihoods, grid = simulated(11, np.zeros(40))
    with pytest.raises(ValueError, match="weights"):
        fit_population(likelihoods, grid, weights)
