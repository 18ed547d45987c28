"""The chosen prior: intervals hold what they say, however far utilities spread."""

import numpy as np
import pytest

from valueflow.plackett_luce import choose_precision, fit_items, simulate_rankings
from valueflow.plackett_luce.precision import HIGHEST_PRECISION, LOWEST_PRECISION


def simulated(spread: float, k: int, m: int, seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    truth = draws.normal(0, spread, n)
    items = np.concatenate([draws.permutation(n).reshape(-1, k) for _ in range(m)])
    return truth, np.take_along_axis(items, simulate_rankings(truth[items], 1.0, draws) - 1, axis=1)


@pytest.mark.parametrize("spread", [1.0, 5.0])
@pytest.mark.parametrize("k", [2, 4])
def test_intervals_hold_what_they_say(spread: float, k: int) -> None:
    held, slopes = [], []
    for seed in range(3):
        truth, order = simulated(spread, k, 12, seed)
        fit = fit_items(order, 300, prior_precision=choose_precision(order, 300))
        centred = truth - truth.mean()
        held.append(np.abs(fit.utility - centred) < 1.645 * fit.standard_error)
        slopes.append(centred @ fit.utility / (fit.utility @ fit.utility))
    assert 0.85 < np.mean(held) < 0.95
    assert np.mean(slopes) == pytest.approx(1, abs=0.25)


def test_of_several_judges_with_slopes_of_their_own() -> None:
    draws = np.random.default_rng(0)
    truth, items = draws.normal(0, 2, 200), np.argsort(draws.random((3_000, 200)), axis=1)[:, :3]
    judge, slopes = np.arange(3_000) % 2, np.array([0.5, 2.0])
    ranked = simulate_rankings(truth[items], slopes[judge], draws) - 1
    order = np.take_along_axis(items, ranked, axis=1)
    fit = fit_items(order, 200, judges=judge, prior_precision=choose_precision(order, 200, judges=judge))
    held = np.abs(fit.utility - (truth - truth.mean())) < 1.645 * fit.standard_error
    assert 0.84 < held.mean() < 0.96


def test_items_that_no_judge_tells_apart_are_all_alike() -> None:
    draws = np.random.default_rng(1)
    order = np.argsort(draws.random((2_000, 100)), axis=1)[:, :2]
    precision = choose_precision(order, 100)
    assert precision > 1
    assert np.abs(fit_items(order, 100, prior_precision=precision).utility).max() < 0.5


def test_orders_without_a_doubt_take_the_widest_prior() -> None:
    draws = np.random.default_rng(2)
    order = np.sort(np.argsort(draws.random((2_000, 100)), axis=1)[:, :3], axis=1)
    assert choose_precision(order, 100) == LOWEST_PRECISION


@pytest.mark.parametrize("order", [[[0, 1]], [[0, 1], [1, 0]], [[0, 1]] * 9])
def test_few_windows(order: list[list[int]]) -> None:
    assert LOWEST_PRECISION <= choose_precision(order, 3) <= HIGHEST_PRECISION
