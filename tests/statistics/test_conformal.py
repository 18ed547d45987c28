"""Intervals of predictions: how many hold, and that they are what the literal definition says."""

import numpy as np
import pytest
from scipy import integrate, stats

from valueflow.statistics import fit_lines, jackknife_plus, shrunk_scales


def test_the_interval_is_that_of_refits_without_each_case() -> None:
    rng = np.random.default_rng(1)
    x, n = rng.normal(size=30), 30
    y = x + rng.standard_t(3, 30)
    lines = fit_lines(x, y, np.zeros(n, int), np.arange(n))
    at = np.array([-2.0, 0.1, 1.7])
    low, high = jackknife_plus(at, lines.line(0).without, np.abs(lines.left_out), 0.9)
    for place, where in enumerate(at):
        below, above = [], []
        for case in range(n):
            slope, intercept = np.polyfit(np.delete(x, case), np.delete(y, case), 1)
            residual = abs(y[case] - intercept - slope * x[case])
            below.append(intercept + slope * where - residual)
            above.append(intercept + slope * where + residual)
        # The ceil(.9 * 31) = 28th smallest, and the third smallest.
        assert high[place] == pytest.approx(sorted(above)[27])
        assert low[place] == pytest.approx(sorted(below)[2])


@pytest.mark.parametrize("noise", ["normal", "heavy", "skewed", "uneven"])
def test_nine_in_ten_hold_whatever_the_noise(noise: str) -> None:
    held = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=24 + 20)
        error = {
            "normal": rng.normal(size=44),
            "heavy": rng.standard_t(2, 44),
            "skewed": rng.exponential(size=44),
            "uneven": rng.normal(size=44) * np.exp(x),
        }[noise]
        y = 2 * x + error
        lines = fit_lines(x[:24], y[:24], np.zeros(24, int), np.arange(24))
        low, high = jackknife_plus(x[24:], lines.line(0).without, np.abs(lines.left_out), 0.9)
        held.append(np.mean((low <= y[24:]) & (y[24:] <= high)))
    assert np.mean(held) == pytest.approx(0.91, abs=0.025)


def test_fewer_than_nine_cases_say_nothing_of_nine_in_ten() -> None:
    at, lines = np.zeros(2), np.zeros((9, 2))
    low, high = jackknife_plus(at, lines[:8], np.ones(8), 0.9)
    assert np.isneginf(low).all()
    assert np.isposinf(high).all()
    low, high = jackknife_plus(at, lines, np.arange(9.0), 0.9)
    np.testing.assert_array_equal([low, high], [[-8, -8], [8, 8]])


def test_many_predictions_at_once_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    lines, half, at = rng.normal(size=(5000, 2)), rng.exponential(size=5000), rng.normal(size=2000)
    low, high = jackknife_plus(at, lines, half, 0.9)
    for place in (0, 799, 800, 1999):
        alone = jackknife_plus(at[[place]], lines, half, 0.9)
        assert (low[place], high[place]) == (alone[0][0], alone[1][0])


def test_scales_are_shrunk_as_far_as_groups_are_alike() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(40), 12)
    alike = shrunk_scales(rng.normal(0, 3, 480), group)
    assert alike.common == pytest.approx(3, rel=0.1)
    assert np.ptp(alike.own) < 0.6
    sds = np.sqrt(5 / rng.chisquare(5, 40))
    residuals = rng.normal(0, sds[group])
    differ = shrunk_scales(residuals, group)
    raw = np.sqrt(np.bincount(group, residuals**2) / 12)
    assert 2 < differ.freedom < 15
    error, raw_error = (np.mean(np.log(found / sds) ** 2) for found in (differ.own, raw))
    assert error < raw_error
    # Without one residual: the same formula with one less.
    row = 17
    squares = (residuals[group == group[row]] ** 2).sum() - residuals[row] ** 2
    expected = np.sqrt((differ.freedom * differ.common**2 + squares) / (differ.freedom + 11))
    assert differ.without[row] == pytest.approx(expected)


def test_the_marginal_likelihood_of_scales_is_the_integral() -> None:
    """The parameters found are better than others by the integral over a group's variance, done numerically."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(15), 6)
    residuals = rng.normal(0, np.exp(rng.normal(0, 0.5, 15))[group])
    found = shrunk_scales(residuals, group)
    assert 0.2 < found.freedom < 2000

    def log_likelihood(freedom: float, common: float) -> float:
        prior = stats.invgamma(freedom / 2, scale=freedom * common**2 / 2)
        total = 0.0
        for g in range(15):
            squares = float((residuals[group == g] ** 2).sum())

            def density(log_variance: float, squares: float = squares) -> float:
                variance = np.exp(log_variance)
                return float(variance ** (-6 / 2) * np.exp(-squares / (2 * variance)) * prior.pdf(variance) * variance)

            total += np.log(integrate.quad(density, -8, 8, limit=200)[0])
        return total

    best = log_likelihood(found.freedom, found.common)
    for freedom, common in ((0.6, 1.0), (1.6, 1.0), (1.0, 0.9), (1.0, 1.1)):
        assert log_likelihood(found.freedom * freedom, found.common * common) < best + 1e-6
