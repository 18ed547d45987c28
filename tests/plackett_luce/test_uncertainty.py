"""Posterior moments of utilities against inverses, quadrature and sums over a whole grid."""

import numpy as np
import pytest
from scipy.integrate import quad

from valueflow.plackett_luce import fit_items, simulate_rankings
from valueflow.plackett_luce.item_likelihood import ItemWindows, curvature, information, log_likelihood
from valueflow.plackett_luce.uncertainty import _conditional_moments, marginal_moments, variances

PRECISION = 0.2


def simulated(n: int, windows: int, k: int, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    truth, items = draws.normal(0, 1.5, n), np.argsort(draws.random((windows, n)), axis=1)[:, :k]
    return np.take_along_axis(items, simulate_rankings(truth[items], 1.0, draws) - 1, axis=1)


def test_variances_are_those_of_centred_utilities() -> None:
    order = simulated(30, 200, 3, seed=3)
    fit = fit_items(order, 30, prior_precision=0.2)
    windows = ItemWindows.of(order, 30)
    whole = np.linalg.inv(information(fit.utility, np.ones(1), windows).toarray() + 0.2 * np.eye(30))
    centring = np.eye(30) - 1 / 30
    found = variances(fit.utility, np.ones(1), windows, 0.2, fit.component)
    assert found == pytest.approx(np.diag(centring @ whole @ centring), rel=1e-9)


def test_the_series_of_many_items_is_near_the_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    order = simulated(400, 4_000, 2, seed=5)
    fit = fit_items(order, 400)
    component, windows = np.zeros(400, dtype=np.intp), ItemWindows.of(order, 400)
    exact = variances(fit.utility, np.ones(1), windows, 0.1, component)
    monkeypatch.setattr("valueflow.plackett_luce.uncertainty._DENSE_UP_TO", 0)
    series = variances(fit.utility, np.ones(1), windows, 0.1, component)
    ratio = np.sqrt(series / exact)
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    assert (np.abs(ratio - 1) < 0.1).mean() > 0.95


@pytest.mark.parametrize("k", [2, 3, 5])
def test_conditional_moments_are_those_of_quadrature(k: int) -> None:
    order, judge = simulated(6, 12, k, seed=k), np.arange(12) % 2
    windows, slopes = ItemWindows.of(order, 6, judge, 2), np.array([0.7, 1.6])
    utility = fit_items(order, 6, prior_precision=PRECISION).utility
    first, second = _conditional_moments(utility, slopes, windows, PRECISION)
    for item in range(6):
        unit = 1 / np.sqrt(curvature(utility, slopes, windows)[item] + PRECISION)
        top = log_likelihood(utility, slopes, windows)[0] - PRECISION / 2 * utility[item] ** 2

        def density(step: float, item: int = item, unit: float = unit, top: float = top) -> float:
            moved = utility + np.eye(6)[item] * unit * step
            return float(np.exp(log_likelihood(moved, slopes, windows)[0] - PRECISION / 2 * moved[item] ** 2 - top))

        whole, *moments = (
            quad(lambda step, power=power: step**power * density(step), -12, 12)[0] for power in (0, 1, 2)
        )
        assert [first[item], second[item]] == pytest.approx(np.divide(moments, whole), abs=5e-3)


@pytest.mark.parametrize(
    "order",
    [
        [[0, 1], [0, 1], [0, 2], [1, 2]],
        [[0, 1, 2], [0, 2, 1], [0, 1, 2]],
        [[0, 1], [1, 2], [2, 0], [0, 1], [1, 2], [0, 2]],
    ],
    ids=["one item always wins", "windows of all", "a ring"],
)
def test_moments_are_nearer_to_the_posterior_than_the_normal_approximation(order: list[list[int]]) -> None:
    fit = fit_items(order, 3, prior_precision=PRECISION)
    # All three utilities, up to four prior deviations out, summed over a grid.
    axis = np.linspace(-9, 9, 91)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    log_density = -PRECISION / 2 * (grid**2).sum(axis=1)
    for row in np.array(order):
        for place in range(len(row) - 1):
            log_density += grid[:, row[place]] - np.logaddexp.reduce(grid[:, row[place:]], axis=1)
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    centered = grid - grid.mean(axis=1, keepdims=True)
    mean = density @ centered
    spread = np.sqrt(density @ (centered - mean) ** 2)
    windows, part = ItemWindows.of(np.array(order), 3), np.zeros(3, dtype=int)
    found, variance = marginal_moments(fit.utility, np.ones(1), windows, PRECISION, part)
    normal = np.sqrt(variances(fit.utility, np.ones(1), windows, PRECISION, part))
    assert np.abs(np.sqrt(variance) - spread).max() < max(np.abs(normal - spread).max(), 0.05)
    assert np.abs(found - mean).max() < max(np.abs(fit.utility - mean).max(), 0.05)


def test_what_has_hardly_a_prior_stays_finite() -> None:
    order = np.array([[0, 1, 2, 3, 4, 5]] * 3)
    fit, windows = fit_items(order, 6, prior_precision=1e-6), ItemWindows.of(order, 6)
    moments = marginal_moments(fit.utility, np.ones(1), windows, 1e-6, fit.component)
    assert np.isfinite(moments).all()
