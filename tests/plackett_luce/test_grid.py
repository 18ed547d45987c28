"""Posteriors on a grid, against the formula written out and against integrals by other means."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from valueflow.plackett_luce import (
    LOWEST_LOG_LIKELIHOOD,
    Grid,
    grid_for,
    log_likelihoods,
    simulate_rankings,
    summarize_on_grid,
)

BOUNDS = (-10.0, 10.0)


def drawn(seed, n=12, m=3, k=5, beta=1.0, top=9.0):
    rng = np.random.default_rng(seed)
    pool = np.sort(rng.uniform(-top, top, 40))
    anchors = pool[np.argsort(rng.random((n * m, 40)), axis=1)[:, : k - 1]]
    index = np.repeat(np.arange(n), m)
    truth = np.linspace(-10, 10, n)
    rankings = simulate_rankings(np.column_stack([truth[index], anchors]), beta, rng)
    return rankings, anchors, index


def literal(u, rankings, anchors, beta):
    """Log-likelihood of one response's windows at utility u, or at each of an array."""
    u, total = np.asarray(u, dtype=float), 0.0
    for ranking, known in zip(rankings.tolist(), anchors, strict=True):
        logits = np.array([beta * (u if item == 1 else np.full(u.shape, known[item - 2])) for item in ranking])
        for stage in range(len(logits) - 1):
            total = total + logits[stage] - np.logaddexp.reduce(logits[stage:])
    return total


@given(
    st.lists(st.integers(-50, 50), min_size=4, max_size=4),
    st.floats(0.02, 3.0),
    st.integers(-10, 5),
    st.integers(1, 30),
)
def test_sums_over_nodes_are_exact_for_cubics(coefficients, spacing, low, width):
    grid = Grid.over((low, low + width), min(spacing, width))
    exact = sum(
        Fraction(c, power + 1) * (Fraction(low + width) ** (power + 1) - Fraction(low) ** (power + 1))
        for power, c in enumerate(coefficients)
    )
    values = np.polynomial.polynomial.polyval(grid.nodes, coefficients)
    scale = np.abs(grid.weights) @ np.polynomial.polynomial.polyval(np.abs(grid.nodes), np.abs(coefficients))
    assert grid.weights @ values == pytest.approx(float(exact), abs=1e-12 * max(scale, 1.0))
    assert (grid.nodes[0], grid.nodes[-1]) == pytest.approx((low, low + width))


@pytest.mark.parametrize(("k", "m", "beta"), [(2, 1, 1.0), (3, 3, 0.2), (5, 3, 1.0), (6, 10, 5.0)])
def test_likelihoods_are_those_of_the_formula(k, m, beta):
    rankings, anchors, index = drawn(k, m=m, k=k, beta=beta)
    grid = grid_for(BOUNDS, beta, m * (k - 1))
    found = log_likelihoods(rankings, anchors, index, 13, grid, discrimination=beta)
    for response in range(12):
        own = index == response
        # What is left out of the rankings of anchors alone is the same at each node.
        expected = literal(grid.nodes, rankings[own], anchors[own], beta)
        expected = np.maximum(expected - expected.max(), LOWEST_LOG_LIKELIHOOD)
        np.testing.assert_allclose(found[response], expected, atol=2e-5)
    assert (found[12] == 0).all()


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_a_misreading_is_the_integral_over_places(sigma):
    rankings, anchors, index = drawn(3, n=4)
    grid = grid_for(BOUNDS, 1.0, 12)
    found = log_likelihoods(rankings, anchors, index, 4, grid, discrimination=1.0, misreading_sd=sigma)
    for response in range(4):
        own = index == response
        highest = literal(np.linspace(-15, 15, 300), rankings[own], anchors[own], 1.0).max()

        def integrand(y, u, own=own, highest=highest):
            return np.exp(literal(y, rankings[own], anchors[own], 1.0) - highest) * norm.pdf(y, u, sigma)

        at = [*range(0, len(grid.nodes), 8), len(grid.nodes) - 1]
        expected = np.array(
            [
                quad(integrand, u - 6 * sigma, u + 6 * sigma, args=(u,), epsabs=1e-13, limit=200)[0]
                for u in grid.nodes[at]
            ]
        )
        got = np.exp(found[response][at].astype(float))
        # Up to a factor; a text is taken to be seen at most three standard deviations away.
        np.testing.assert_allclose(got * (expected @ got / (got @ got)), expected, atol=0.02 * expected.max())


def test_a_misreading_makes_posteriors_wider_by_its_variance():
    grid = Grid.over(BOUNDS, 0.1)
    # A hundred windows with anchors at -1 and 1 say where the judge sees the text: near 0, exactly.
    rankings = np.tile([[2, 1, 3]], (400, 1))
    anchors = np.tile([[0.5, -0.5]], (400, 1))
    index = np.zeros(400, dtype=int)
    spreads = [
        summarize_on_grid(
            log_likelihoods(rankings, anchors, index, 1, grid, discrimination=1.0, misreading_sd=sigma), grid
        )[1, 0]
        for sigma in (0.0, 1.0, 2.0)
    ]
    for sigma, spread in zip((1.0, 2.0), spreads[1:], strict=True):
        assert spread**2 - spreads[0] ** 2 == pytest.approx(sigma**2, rel=0.02)


def dense_posterior(rankings, anchors, beta, nodes):
    log = literal(nodes, rankings, anchors, beta) - 1e-3 / 2 * nodes**2
    density = np.exp(log - log.max())
    return density / density.sum()


@pytest.mark.parametrize(("k", "m", "beta"), [(2, 1, 0.5), (3, 2, 3.0), (5, 3, 1.0), (6, 10, 0.3)])
def test_summaries_are_those_of_the_posterior_also_beyond_all_anchors(k, m, beta):
    rankings, anchors, index = drawn(k + 10, m=m, k=k, beta=beta, top=6.0)
    beaten = index == 11
    rankings[beaten] = [1, *range(2, k + 1)]
    lost = index == 0
    rankings[lost] = [*range(2, k + 1), 1]
    grid = grid_for(BOUNDS, beta, m * (k - 1))
    logs = log_likelihoods(rankings, anchors, index, 12, grid, discrimination=beta)
    mean, sd, low, high = summarize_on_grid(logs, grid)
    nodes = np.linspace(*BOUNDS, 4001)
    for response in range(12):
        own = index == response
        p = dense_posterior(rankings[own], anchors[own], beta, nodes)
        center = p @ nodes
        spread = np.sqrt(p @ nodes**2 - center**2)
        assert mean[response] == pytest.approx(center, abs=0.005)
        assert sd[response] == pytest.approx(spread, abs=0.01)
        inside = np.interp([low[response], high[response]], nodes, np.cumsum(p) - p / 2)
        assert inside[1] - inside[0] == pytest.approx(0.9, abs=0.006)
        # Of highest density: the shortest that holds 90%.
        by_density = np.argsort(-p, kind="stable")
        held = nodes[by_density[: np.searchsorted(np.cumsum(p[by_density]), 0.9) + 1]]
        assert high[response] - low[response] == pytest.approx(np.ptp(held), abs=0.02 + 0.01 * np.ptp(held))
        if response in (0, 11):  # where the density is nearly flat, its ends are not known as well
            assert (low[response], high[response]) == pytest.approx((held.min(), held.max()), abs=0.1)


def test_a_response_without_a_window_has_the_prior_alone():
    grid = Grid.over(BOUNDS, 0.25)
    mean, sd, low, high = summarize_on_grid(np.zeros((1, len(grid.nodes))), grid)[:, 0]
    assert mean == pytest.approx(0.0, abs=1e-9)
    assert sd == pytest.approx(20 / np.sqrt(12), abs=0.1)
    assert high - low == pytest.approx(18, abs=0.1)


@pytest.mark.slow
def test_many_windows_of_a_steep_judge_keep_an_interval_of_some_width():
    """Narrower than the finest grid: still the right place, and no interval of no width."""
    rng = np.random.default_rng(0)
    anchors = rng.uniform(-3, 3, (1000, 5))
    rankings = simulate_rankings(np.column_stack([np.full(1000, 1.234), anchors]), 10.0, rng)
    index = np.zeros(1000, dtype=int)
    grid = grid_for(BOUNDS, 10.0, 5000)
    mean, sd, low, high = summarize_on_grid(
        log_likelihoods(rankings, anchors, index, 1, grid, discrimination=10.0), grid
    )[:, 0]
    assert mean == pytest.approx(1.234, abs=0.04)
    assert low < mean < high
    assert 0.005 < high - low < 0.1
    assert 0 < sd < 0.05


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_a_misreading_that_is_none_is_told(sigma):
    with pytest.raises(ValueError, match="misreading_sd must be finite and not below zero"):
        log_likelihoods([[1, 2]], [[0.0]], [0], 1, Grid.over(BOUNDS, 0.5), discrimination=1.0, misreading_sd=sigma)
