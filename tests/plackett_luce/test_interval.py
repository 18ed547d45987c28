import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tests.examples import examples
from valueflow.plackett_luce import fit_discrimination, fit_utilities, simulate_rankings, summarize_posterior

PRIOR = 1e-3


def interval(*data, **options):
    found = summarize_posterior(*data, **options)
    return found.low, found.high


def log_density(u, rankings, anchors, beta):
    total = -0.5 * PRIOR * u**2
    for ranking, known, slope in zip(rankings, anchors, np.broadcast_to(beta, len(rankings)), strict=True):
        logits = slope * np.array([u, *known])[ranking - 1]
        total += sum(logits[k] - np.logaddexp.reduce(logits[k:]) for k in range(len(ranking)))
    return total


def windows_of(seed, m, k, beta, truth):
    rng = np.random.default_rng(seed)
    anchors = np.sort(rng.uniform(-10, 10, (m, k - 1)), axis=1)
    return simulate_rankings(np.column_stack([np.full(m, truth), anchors]), beta, rng), anchors


@pytest.mark.parametrize("beta", [0.1, 0.3, 1.0, 2.0, "panel"])
@pytest.mark.parametrize(("m", "truth"), [(1, -9.5), (3, 0.0), (3, 9.5), (10, 4.0)])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_mass_is_the_level_and_ends_are_equally_dense(beta, m, truth, level):
    k = 6
    slope = np.random.default_rng(m).uniform(0.3, 2.0, m) if beta == "panel" else beta
    rankings, anchors = windows_of(int(10 * abs(truth)) + m, m, k, slope, truth)
    found = summarize_posterior(rankings, anchors, np.zeros(m, int), 1, discrimination=slope, level=level)
    low, high, mean = found.low[0], found.high[0], found.mean[0]
    fit = fit_utilities(rankings, anchors, np.zeros(m, int), 1, discrimination=slope)
    mode = float(np.clip(fit.utility[0], -10, 10))
    assert -10 <= low <= mode <= high <= 10
    peak = log_density(mode, rankings, anchors, slope)

    def density(u):
        return np.exp(log_density(u, rankings, anchors, slope) - peak)

    points = sorted({low, mode, high})
    total = quad(density, -10, 10, points=points, limit=200)[0]
    inside = quad(density, low, high, limit=200)[0]
    assert inside / total == pytest.approx(level, abs=2e-3)
    moment = quad(lambda u: u * density(u), -10, 10, points=points, limit=200)[0]
    assert mean == pytest.approx(moment / total, abs=5e-3)
    if low > -10 and high < 10:
        assert density(low) == pytest.approx(density(high), abs=1e-2)
    elif low > -10:
        assert density(10.0) >= density(low) - 1e-2
    elif high < 10:
        assert density(-10.0) >= density(high) - 1e-2


@settings(deadline=None, max_examples=examples(40))
@given(seed=st.integers(0, 10**6), k=st.integers(2, 7), beta=st.floats(0.02, 20.0), level=st.floats(0.05, 0.995))
def test_interval_holds_the_score_and_widens_with_the_level(seed, k, beta, level):
    rng = np.random.default_rng(seed)
    n, m = 20, 3
    index = np.repeat(np.arange(n), m)
    anchors = rng.uniform(-10, 10, (n * m, k - 1))
    rankings = np.argsort(rng.random((n * m, k)), axis=1) + 1
    if seed % 2:
        rankings = simulate_rankings(np.column_stack([np.repeat(rng.uniform(-10, 10, n), m), anchors]), beta, rng)
    low, high = interval(rankings, anchors, index, n, discrimination=beta, level=level)
    score = np.clip(fit_utilities(rankings, anchors, index, n, discrimination=beta).utility, -10, 10)
    assert np.isfinite(low).all()
    assert (low <= score + 1e-7).all()
    assert (score <= high + 1e-7).all()
    assert (low >= -10).all()
    assert (high <= 10).all()
    wide_low, wide_high = interval(rankings, anchors, index, n, discrimination=beta, level=(level + 1) / 2)
    # Where a steep judge leaves the density flat, ends are known to the stated share of the width only.
    resolution = 0.005 * (wide_high - wide_low) + 1e-6
    assert (wide_low <= low + resolution).all()
    assert (wide_high >= high - resolution).all()


@pytest.mark.parametrize("beta", [5.0, 20.0])
def test_steep_judges_too(beta):
    for truth in (-9.9, 0.3, 6.0, 9.9):
        rankings, anchors = windows_of(3, 3, 6, beta, truth)
        found = summarize_posterior(rankings, anchors, np.zeros(3, int), 1, discrimination=beta)
        grid = np.linspace(-10, 10, 40_001)
        logs = np.array([log_density(u, rankings, anchors, beta) for u in grid[::20]])
        logs = np.interp(grid, grid[::20], logs)
        weights = np.exp(logs - logs.max())
        inside = weights[(grid >= found.low[0]) & (grid <= found.high[0])].sum() / weights.sum()
        assert inside == pytest.approx(0.9, abs=1e-2)


def test_no_windows_and_other_bounds():
    rankings, anchors = windows_of(0, 3, 5, 1.0, 2.0)
    low, high = interval(rankings, anchors, [0, 0, 2], 3)
    assert np.isnan([low[1], high[1]]).all()
    assert np.isfinite([low[0], high[0], low[2], high[2]]).all()
    low, high = interval(rankings, anchors, [0, 0, 2], 3, bounds=(4.0, 5.0))
    assert (low[[0, 2]] >= 4.0).all()
    assert (high[[0, 2]] <= 5.0).all()
    # The maximum lies below the bounds, so the interval leans on the lower one.
    assert fit_utilities(rankings, anchors, [0, 0, 2], 3).utility[0] < 4.0
    assert low[0] == 4.0


def test_nothing_in_nothing_out():
    low, high = interval(np.empty((0, 3), int), np.empty((0, 2)), np.empty(0, int), 2)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 0.0}, "level"),
        ({"level": 1.0}, "level"),
        ({"bounds": (1.0, 1.0)}, "bounds"),
        ({"bounds": (-np.inf, 1.0)}, "bounds"),
        ({"bounds": (-1000.0, 10.0)}, "must not exceed 300"),
        ({"prior_precision": -1.0}, "prior_precision"),
    ],
)
def test_bad_settings_are_named(change, message):
    rankings, anchors = windows_of(0, 3, 5, 1.0, 2.0)
    with pytest.raises(ValueError, match=message):
        interval(rankings, anchors, [0, 0, 0], 1, **change)


@pytest.mark.parametrize("m", [3, 10])
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
def test_intervals_hold_the_truth_nine_times_in_ten(m, beta):
    rng = np.random.default_rng(m)
    n, k = 2000, 6
    pool = np.sort(rng.uniform(-10, 10, 2000))
    bins = np.digitize(pool, np.linspace(pool[0], pool[-1], k)[1:-1])
    anchors = np.stack([rng.choice(pool[bins == b], n * m) for b in range(k - 1)], axis=1)
    truth = rng.uniform(-9, 9, n)
    index = np.repeat(np.arange(n), m)
    rankings = simulate_rankings(np.column_stack([truth[index], anchors]), beta, rng)
    slope = fit_discrimination(rankings, anchors).discrimination
    assert slope == pytest.approx(beta, rel=0.1)
    low, high = interval(rankings, anchors, index, n, discrimination=slope)
    # Four standard deviations of a share of 2,000 around 90%; benchmarks/coverage.py holds the narrow bar.
    assert 0.873 < np.mean((low <= truth) & (truth <= high)) < 0.927


@pytest.mark.parametrize("options", [{}, {"max_iter": 3}, {"max_iter": 1}, {"solver": "ascent", "max_iter": 200}])
def test_maximum_and_error_are_those_of_the_fit_and_what_has_none_has_no_interval(options):
    rng = np.random.default_rng(6)
    index = rng.integers(0, 90, 270)
    anchors = rng.uniform(-10, 10, (270, 4))
    rankings = simulate_rankings(np.column_stack([rng.uniform(-10, 10, 90)[index], anchors]), 1.0, rng)
    fit = fit_utilities(rankings, anchors, index, 90, **options)
    whole = summarize_posterior(rankings, anchors, index, 90, **options)
    for name in ("utility", "standard_error", "converged", "n_windows"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(fit, name))
    assert whole.iterations == fit.iterations
    patient = summarize_posterior(rankings, anchors, index, 90)
    for name in ("mean", "low", "high"):
        np.testing.assert_array_equal(np.isnan(getattr(whole, name)), ~fit.converged)
        own, expected = (getattr(found, name)[fit.converged] for found in (whole, patient))
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-9)
