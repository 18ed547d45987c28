"""The chosen prior: intervals hold what they say, however far utilities spread."""

import numpy as np
import pytest

from valueflow.plackett_luce import LOWEST_PRIOR_PRECISION, choose_prior_precision, fit_items, simulate_rankings


def simulated(spread: float, k: int, m: int, seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    truth = draws.normal(0, spread, n)
    items = np.concatenate([draws.permutation(n).reshape(-1, k) for _ in range(m)])
    return truth, np.take_along_axis(items, simulate_rankings(truth[items], 1.0, draws) - 1, axis=1)


@pytest.mark.parametrize("spread", [1.0, 5.0])
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.slow
def test_intervals_hold_what_they_say(spread: float, k: int) -> None:
    covered, slopes = [], []
    for seed in range(3):
        truth, order = simulated(spread, k, 12, seed)
        fit = fit_items(order, 300, prior_precision=choose_prior_precision(order, 300))
        centered = truth - truth.mean()
        covered.append(np.abs(fit.utility - centered) < 1.645 * fit.standard_error)
        slopes.append(centered @ fit.utility / (fit.utility @ fit.utility))
    assert 0.85 < np.mean(covered) < 0.95
    # The truth is neither stretched nor shrunk: no fixed prior does that for both spreads.
    assert np.mean(slopes) == pytest.approx(1, abs=0.25)


def test_of_several_judges_with_slopes_of_their_own() -> None:
    draws = np.random.default_rng(0)
    truth, items = draws.normal(0, 2, 200), np.argsort(draws.random((3_000, 200)), axis=1)[:, :3]
    judge, slopes = np.arange(3_000) % 2, np.array([0.5, 2.0])
    ranked = simulate_rankings(truth[items], slopes[judge], draws) - 1
    order = np.take_along_axis(items, ranked, axis=1)
    fit = fit_items(order, 200, judges=judge, prior_precision=choose_prior_precision(order, 200, judges=judge))
    covered = np.abs(fit.utility - (truth - truth.mean())) < 1.645 * fit.standard_error
    assert 0.84 < covered.mean() < 0.96


@pytest.mark.parametrize("n_judges", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_panel_s_rankings_of_a_window_are_held_out_together(n_judges: int) -> None:
    """Its rows alternate between judges, as those of a panel do: a fold by rows would be a judge, not windows."""
    draws = np.random.default_rng(3)
    truth = draws.normal(0, 2, 200)
    items = np.concatenate([draws.permutation(200).reshape(-1, 2) for _ in range(4)])
    window, judge = np.repeat(np.arange(len(items)), n_judges), np.tile(np.arange(n_judges), len(items))
    ranked = simulate_rankings(truth[items[window]], 1.0, draws) - 1
    order = np.take_along_axis(items[window], ranked, axis=1)
    found = choose_prior_precision(order, 200, judges=judge, windows=window)
    assert 0.06 < found < 0.6


@pytest.mark.parametrize("k", [3, 6])
@pytest.mark.slow
def test_a_panel_with_a_judge_that_never_errs(k: int) -> None:
    draws = np.random.default_rng(5)
    truth = draws.normal(0, 1, 60)
    items = np.concatenate([draws.permutation(60).reshape(-1, k) for _ in range(2)])
    window, judge = np.repeat(np.arange(len(items)), 2), np.tile([0, 1], len(items))
    noise = draws.gumbel(size=(len(window), k)) * judge[:, None]
    order = np.take_along_axis(items[window], np.argsort(-(truth[items[window]] + noise), axis=1), axis=1)
    found = choose_prior_precision(order, 60, judges=judge, windows=window)
    fit = fit_items(order, 60, judges=judge, prior_precision=found)
    assert np.isfinite(fit.standard_error).all()
    assert np.corrcoef(fit.utility, truth)[0, 1] > 0.6


def test_items_that_no_judge_tells_apart_are_all_alike() -> None:
    draws = np.random.default_rng(1)
    order = np.argsort(draws.random((2_000, 100)), axis=1)[:, :2]
    precision = choose_prior_precision(order, 100)
    assert precision > 1
    assert np.abs(fit_items(order, 100, prior_precision=precision).utility).max() < 0.5


def test_orders_without_a_doubt_take_the_widest_prior() -> None:
    draws = np.random.default_rng(2)
    order = np.sort(np.argsort(draws.random((2_000, 100)), axis=1)[:, :3], axis=1)
    assert choose_prior_precision(order, 100) == LOWEST_PRIOR_PRECISION


@pytest.mark.parametrize("order", [[[0, 1]], [[0, 1], [1, 2]], [[0, 1]] * 5])
def test_few_windows_leave_the_usual_spread(order: list[list[int]]) -> None:
    assert choose_prior_precision(order, 3) == pytest.approx(1 / 9, rel=0.5)


def test_windows_of_another_number_than_rankings() -> None:
    with pytest.raises(ValueError, match=r"windows must have shape \(2,\)"):
        choose_prior_precision([[0, 1], [1, 0]], 2, windows=[0])
