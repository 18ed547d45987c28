from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from tests.examples import examples
from valueflow.plackett_luce import fit_utilities, maximum, simulate_rankings, windows

PRIOR = 1e-3


def literal_log_likelihood(u, rankings, anchors, beta):
    """Sum over windows of the log of the product that defines the model, item by item."""
    total = 0.0
    for ranking, known, slope in zip(rankings, anchors, np.broadcast_to(beta, len(rankings)), strict=True):
        utilities = [u, *known]
        for stage in range(len(ranking)):
            logits = np.array([slope * utilities[item - 1] for item in ranking[stage:]])
            total += logits[0] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    return total


def literal_log_posterior(u, rankings, anchors, beta):
    return literal_log_likelihood(u, rankings, anchors, beta) - 0.5 * PRIOR * u**2


def draw(rng, n_windows, k, beta, truth=None):
    anchors = rng.uniform(-10, 10, (n_windows, k - 1))
    truth = rng.uniform(-9, 9) if truth is None else truth
    rankings = simulate_rankings(np.column_stack([np.full(n_windows, truth), anchors]), beta, rng)
    return rankings, anchors


@pytest.mark.parametrize("k", [2, 3, 6, 9])
@pytest.mark.parametrize("m", [1, 3, 10])
@pytest.mark.parametrize("beta", [0.05, 0.3, 1.0, 4.0, "panel"])
def test_fit_is_the_maximum_of_the_literal_posterior(k, m, beta):
    rng = np.random.default_rng(k * 100 + m)
    for _ in range(3):
        slope = rng.uniform(0.2, 3.0, m) if beta == "panel" else beta
        rankings, anchors = draw(rng, m, k, slope)
        fit = fit_utilities(rankings, anchors, np.zeros(m, int), 1, discrimination=slope)
        assert fit.converged.all()

        def loss(u, data=(rankings, anchors, slope)):
            return -literal_log_posterior(u, *data)

        grid = np.linspace(-60, 60, 201)
        best = grid[np.argmin([loss(u) for u in grid])]
        found = minimize_scalar(loss, bounds=(best - 1.0, best + 1.0), method="bounded", options={"xatol": 1e-9})
        # Near its flat top the literal value is only good to the square root of rounding.
        assert abs(fit.utility[0] - found.x) < 1e-4 * max(1.0, fit.standard_error[0])
        step = 1e-3 * fit.standard_error[0]
        sides = [loss(fit.utility[0] + offset) for offset in (-step, 0.0, step)]
        assert sides[1] <= min(sides[0], sides[2])
        wide = min(0.02 * fit.standard_error[0], 0.03 / np.max(slope))
        points = [loss(fit.utility[0] + offset) for offset in (-wide, 0.0, wide)]
        curvature = (points[0] - 2 * points[1] + points[2]) / wide**2
        assert fit.standard_error[0] == pytest.approx(curvature**-0.5, rel=2e-3)


@pytest.mark.parametrize("panel", [False, True])
def test_derivatives_match_the_literal_posterior(panel):
    rng = np.random.default_rng(5)
    m, k = 4, 5
    slope = rng.uniform(0.3, 2.0, m) if panel else 0.8
    rankings, anchors = draw(rng, m, k, slope)
    checked = windows.check_windows(rankings, anchors, np.zeros(m, int), 1, slope)
    ((_, block),) = windows.response_blocks(checked)

    def value(u):
        return literal_log_posterior(u, rankings, anchors, slope)

    for u in np.linspace(-12, 12, 13):
        x = np.array([u * block.slope])
        gradient, information, third = (
            d[0] for d in maximum.log_posterior_derivatives(x, block, PRIOR / block.slope**2)
        )
        h = 1e-3
        assert gradient * block.slope == pytest.approx((value(u + h) - value(u - h)) / (2 * h), abs=1e-5)
        h = 1e-2
        second = (value(u + h) - 2 * value(u) + value(u - h)) / h**2
        assert -information * block.slope**2 == pytest.approx(second, abs=1e-4)
        h = 5e-2
        differences = value(u + 2 * h) - 2 * value(u + h) + 2 * value(u - h) - value(u - 2 * h)
        assert third * block.slope**3 == pytest.approx(differences / (2 * h**3), abs=2e-2)


def test_two_items_are_a_logistic_regression():
    # One window won, one lost against the same anchor: without the prior the estimate is the anchor itself.
    fit = fit_utilities([[1, 2], [2, 1]], [[3.0], [3.0]], [0, 0], 1, prior_precision=1e-12)
    assert fit.utility[0] == pytest.approx(3.0, abs=1e-6)
    assert fit.standard_error[0] == pytest.approx(np.sqrt(2.0), rel=1e-6)


def many(seed, n, k, beta, most_windows=6):
    """Responses with 0 to ``most_windows`` windows each, in random order."""
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(n), rng.integers(0, most_windows + 1, n))
    rng.shuffle(index)
    anchors = rng.uniform(-10, 10, (index.size, k - 1))
    truth = rng.uniform(-10, 10, n)
    return simulate_rankings(np.column_stack([truth[index], anchors]), beta, rng), anchors, index


def test_ragged_windows_equal_each_response_alone(monkeypatch):
    monkeypatch.setattr(windows, "BLOCK_NUMBERS", 64)
    n = 60
    rankings, anchors, index = many(3, n, 5, 0.9)
    fit = fit_utilities(rankings, anchors, index, n, discrimination=0.9)
    counts = np.bincount(index, minlength=n)
    np.testing.assert_array_equal(fit.n_windows, counts)
    assert counts.min() == 0
    np.testing.assert_array_equal(np.isnan(fit.utility), counts == 0)
    np.testing.assert_array_equal(np.isnan(fit.standard_error), counts == 0)
    np.testing.assert_array_equal(fit.converged, counts > 0)
    assert not fit.failed.any()
    for response in np.flatnonzero(counts):
        own = index == response
        alone = fit_utilities(rankings[own], anchors[own], np.zeros(own.sum(), int), 1, discrimination=0.9)
        assert fit.utility[response] == pytest.approx(alone.utility[0], abs=2e-8)
        assert fit.standard_error[response] == pytest.approx(alone.standard_error[0], rel=1e-5)


def test_nothing_in_nothing_out():
    fit = fit_utilities(np.empty((0, 3), int), np.empty((0, 2)), np.empty(0, int), 4)
    assert np.isnan(fit.utility).all()
    assert not fit.failed.any()
    assert fit.iterations == 0
    assert fit_utilities(np.empty((0, 3), int), np.empty((0, 2)), np.empty(0, int), 0).utility.shape == (0,)


@settings(deadline=None, max_examples=examples(40))
@given(seed=st.integers(0, 10**6), k=st.integers(2, 7), beta=st.floats(0.05, 20.0))
def test_order_of_windows_does_not_matter(seed, k, beta):
    n = 12
    rankings, anchors, index = many(seed, n, k, beta)
    shuffled = np.random.default_rng(seed).permutation(index.size)
    fit = fit_utilities(rankings, anchors, index, n, discrimination=beta)
    again = fit_utilities(rankings[shuffled], anchors[shuffled], index[shuffled], n, discrimination=beta)
    np.testing.assert_allclose(fit.utility, again.utility, rtol=0, atol=2e-8)
    assert not fit.failed.any()


@settings(deadline=None, max_examples=examples(40))
@given(seed=st.integers(0, 10**6), k=st.integers(2, 7), beta=st.floats(0.05, 20.0))
def test_reversing_everything_changes_the_sign_where_one_stage_decides(seed, k, beta):
    # Plackett-Luce is not symmetric under reversal in general; with two items it is.
    rankings, anchors, index = many(seed, 12, 2, beta)
    fit = fit_utilities(rankings, anchors, index, 12, discrimination=beta)
    mirrored = fit_utilities(rankings[:, ::-1], -anchors, index, 12, discrimination=beta)
    np.testing.assert_allclose(fit.utility, -mirrored.utility, rtol=0, atol=2e-8)
    np.testing.assert_allclose(fit.standard_error, mirrored.standard_error, rtol=1e-5)


@settings(deadline=None, max_examples=examples(60))
@given(seed=st.integers(0, 10**6), k=st.integers(2, 7), beta=st.floats(0.05, 20.0))
def test_one_place_higher_is_a_higher_utility(seed, k, beta):
    rng = np.random.default_rng(seed)
    anchors = rng.uniform(-10, 10, (1, k - 1))
    others = rng.permutation(np.arange(2, k + 1))
    placed = [np.insert(others, place, 1) for place in range(k)]
    fits = fit_utilities(np.stack(placed), np.repeat(anchors, k, axis=0), np.arange(k), k, discrimination=beta)
    assert fits.converged.all()
    assert all(higher > lower for higher, lower in pairwise(fits.utility))


@settings(deadline=None, max_examples=examples(40))
@given(seed=st.integers(0, 10**6), shift=st.floats(-20, 20))
def test_shifting_anchors_shifts_the_utility_but_for_the_prior(seed, shift):
    rankings, anchors, index = many(seed, 12, 4, 1.0)
    fit = fit_utilities(rankings, anchors, index, 12, prior_precision=1e-9)
    moved = fit_utilities(rankings, anchors + shift, index, 12, prior_precision=1e-9)
    inside = fit.standard_error < 5  # elsewhere the prior decides
    np.testing.assert_allclose(moved.utility[inside], fit.utility[inside] + shift, rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=examples(40))
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 10.0))
def test_the_unit_of_the_scale_does_not_matter(seed, factor):
    rankings, anchors, index = many(seed, 12, 4, 1.0)
    fit = fit_utilities(rankings, anchors, index, 12)
    scaled = fit_utilities(
        rankings, anchors * factor, index, 12, discrimination=1 / factor, prior_precision=PRIOR / factor**2
    )
    np.testing.assert_allclose(scaled.utility, fit.utility * factor, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("beta", [0.01, 1.0, 20.0])
@pytest.mark.parametrize("m", [1, 3, 100])
def test_extremes_neither_overflow_nor_fail(beta, m):
    k = 6
    anchors = np.tile(np.linspace(-10, 10, k - 1), (6 * m, 1))
    up, down = np.arange(k, 1, -1), np.arange(2, k + 1)
    kinds = [[1, *up], [*up, 1], [1, *down], [*down, 1], [*down[:2], 1, *down[2:]], [*up[:1], 1, *up[1:]]]
    rankings = np.repeat(np.array(kinds), m, axis=0)
    with np.errstate(all="raise", under="ignore"):
        fit = fit_utilities(rankings, anchors, np.repeat(np.arange(6), m), 6, discrimination=beta)
    assert fit.converged.all()
    for response in range(6):
        own = slice(response * m, response * m + m)
        low, high = (
            literal_log_posterior(fit.utility[response] + side, rankings[own], anchors[own], beta)
            for side in (-1e-2, 1e-2)
        )
        middle = literal_log_posterior(fit.utility[response], rankings[own], anchors[own], beta)
        assert middle >= max(low, high) - 1e-9 * abs(middle)


@settings(deadline=None, max_examples=examples(60))
@given(seed=st.integers(0, 10**6), k=st.integers(2, 8), steep=st.sampled_from([0.01, 0.5, 3.0, 10.0, 20.0]))
def test_newton_converges_whatever_the_judge_says(seed, k, steep):
    # Orders that no model explains: the likelihood is then flattest between the anchors.
    rng = np.random.default_rng(seed)
    n = 50
    index = np.repeat(np.arange(n), 4)
    anchors = rng.uniform(-10, 10, (index.size, k - 1))
    rankings = np.argsort(rng.random((index.size, k)), axis=1) + 1
    slope = steep if seed % 2 else rng.uniform(0.01, 20.0, index.size)
    fit = fit_utilities(rankings, anchors, index, n, discrimination=slope)
    assert fit.converged.all()
    assert fit.iterations <= 50


def test_too_few_iterations_are_counted_not_returned():
    rankings, anchors, index = many(8, 200, 6, 2.0)
    fit = fit_utilities(rankings, anchors, index, 200, discrimination=2.0, max_iter=1)
    assert fit.iterations == 1
    assert fit.failed.sum() > 100
    assert np.isnan(fit.utility[~fit.converged]).all()
    assert np.isnan(fit.standard_error[~fit.converged]).all()
    assert np.isfinite(fit.utility[fit.converged]).all()
    partly = fit_utilities(rankings, anchors, index, 200, discrimination=2.0, max_iter=3)
    assert 0 < partly.failed.sum() < fit.failed.sum()


def test_converged_means_the_newton_distance_at_the_result():
    rankings, anchors, index = many(9, 300, 6, 2.0)
    keep = np.isin(index, np.flatnonzero(np.bincount(index, minlength=300) == 3))
    _, index = np.unique(index[keep], return_inverse=True)
    n = index.max() + 1
    for tolerance in (1e-3, 1e-6, 1e-10):
        for max_iter in (2, 3, 50):
            fit = fit_utilities(
                rankings[keep], anchors[keep], index, n, discrimination=2.0, tolerance=tolerance, max_iter=max_iter
            )
            ((responses, block),) = windows.response_blocks(
                windows.check_windows(rankings[keep], anchors[keep], index, n, 2.0)
            )
            utility = fit.utility[responses]
            gradient, information, _ = maximum.log_posterior_derivatives(np.nan_to_num(2.0 * utility), block, PRIOR / 4)
            distance = np.abs(gradient / information) / 2
            assert (distance[fit.converged[responses]] < tolerance + 1e-13).all()


def test_ascent_agrees_with_newton_where_it_converges():
    rankings, anchors, index = many(10, 100, 5, 1.0)
    newton = fit_utilities(rankings, anchors, index, 100)
    ascent = fit_utilities(
        rankings, anchors, index, 100, solver="ascent", learning_rate=0.5, max_iter=4000, tolerance=1e-7
    )
    both = ascent.converged
    assert both.sum() > 50
    np.testing.assert_allclose(ascent.utility[both], newton.utility[both], rtol=0, atol=3e-7)
    np.testing.assert_allclose(ascent.standard_error[both], newton.standard_error[both], rtol=1e-5)
    short = fit_utilities(rankings, anchors, index, 100, solver="ascent", max_iter=50)
    assert short.failed.sum() > 0
    assert np.isnan(short.utility[short.failed]).all()


def test_ascent_steps_are_plain():
    # Steps from 0 by hand, for one window of two items: gradient = beta (1 - chance to win) - prior * u.
    iterates, distances = [0.0], []
    for _ in range(3):
        chance = 1 / (1 + np.exp(0.7 * (2.0 - iterates[-1])))
        gradient = 0.7 * (1 - chance) - PRIOR * iterates[-1]
        distances.append(abs(gradient / (0.7**2 * chance * (1 - chance) + PRIOR)))
        iterates.append(iterates[-1] + 0.1 * gradient)
    for steps, tolerance in ((0, 100.0), (2, (distances[1] + distances[2]) / 2)):
        fit = fit_utilities(
            *([[1, 2]], [[2.0]], [0], 1),
            **{"discrimination": 0.7, "solver": "ascent", "learning_rate": 0.1, "max_iter": 3, "tolerance": tolerance},
        )
        assert fit.utility[0] == pytest.approx(iterates[steps], rel=1e-12)
        assert fit.iterations == steps + 1
