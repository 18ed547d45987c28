"""Utilities of many items against choix, literal formulas, finite differences and known truths."""

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from tests.examples import examples
from valueflow.plackett_luce import fit_items
from valueflow.plackett_luce.item_likelihood import ItemWindows, curvature, information, log_likelihood


def simulated(n: int, windows: int, k: int, seed: int, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    truth = draws.normal(0, spread, n)
    items = np.argsort(draws.random((windows, n)), axis=1)[:, :k]
    noisy = truth[items] + draws.gumbel(size=items.shape)
    return truth, np.take_along_axis(items, np.argsort(-noisy, axis=1), axis=1)


def literal_log_likelihood(utility: np.ndarray, slope: np.ndarray, order: np.ndarray) -> float:
    total = 0.0
    for row, own in zip(order, slope, strict=True):
        for place in range(len(row) - 1):
            total += own * utility[row[place]] - logsumexp(own * utility[row[place:]])
    return total


@pytest.mark.parametrize(("k", "precision"), [(2, 0.1), (4, 0.02), (6, 1.0)])
def test_equals_choix_with_the_same_regularisation(k: int, precision: float) -> None:
    _, order = simulated(25, 80, k, seed=k)
    ours = fit_items(order, 40, prior_precision=precision)
    # choix penalises alpha * ||u||^2, we lambda / 2.
    theirs = choix.opt_rankings(40, [tuple(row) for row in order], alpha=precision / 2, tol=1e-8)
    assert np.abs(ours.utility - ours.utility.mean() - (theirs - theirs.mean())).max() < 1e-5
    assert ours.converged


@pytest.mark.slow
def test_equals_choix_on_300_items() -> None:
    _, order = simulated(300, 400, 3, seed=1)
    ours = fit_items(order, 300, prior_precision=0.02)
    theirs = choix.opt_rankings(300, [tuple(row) for row in order], alpha=0.01, tol=1e-8)
    assert np.abs(ours.utility - ours.utility.mean() - (theirs - theirs.mean())).max() < 1e-4


@settings(max_examples=examples(20))
@given(st.integers(0, 1000), st.integers(2, 6))
def test_likelihood_and_its_derivatives(seed: int, k: int) -> None:
    draws = np.random.default_rng(seed)
    _, order = simulated(7, 9, k, seed)
    utility, slopes, judge = draws.normal(0, 2, 7), draws.uniform(0.3, 2, 3), draws.integers(0, 3, 9)
    value, gradient, of_slopes = log_likelihood(utility, slopes, ItemWindows.of(order, 7, judge, 3))
    assert value == pytest.approx(literal_log_likelihood(utility, slopes[judge], order), rel=1e-12)
    step = 1e-6
    for item in range(7):
        moved = np.eye(7)[item] * step
        above, below = (literal_log_likelihood(utility + sign * moved, slopes[judge], order) for sign in (1, -1))
        assert gradient[item] == pytest.approx((above - below) / (2 * step), abs=1e-6)
    for own in range(3):
        moved = np.eye(3)[own] * step
        above, below = (literal_log_likelihood(utility, (slopes + sign * moved)[judge], order) for sign in (1, -1))
        assert of_slopes[own] == pytest.approx((above - below) / (2 * step), abs=1e-6)


@settings(max_examples=examples(20))
@given(st.integers(0, 1000), st.integers(2, 6))
def test_information_is_minus_the_second_derivative(seed: int, k: int) -> None:
    draws = np.random.default_rng(seed)
    _, order = simulated(7, 9, k, seed)
    utility, slopes, judge = draws.normal(0, 2, 7), draws.uniform(0.3, 2, 2), draws.integers(0, 2, 9)
    windows = ItemWindows.of(order, 7, judge, 2)
    whole = information(utility, slopes, windows).toarray()
    assert curvature(utility, slopes, windows) == pytest.approx(whole.diagonal(), rel=1e-9)
    step = 1e-5
    for item in range(7):
        moved = np.eye(7)[item] * step
        above, below = (log_likelihood(utility + sign * moved, slopes, windows)[1] for sign in (1, -1))
        assert whole[item] == pytest.approx(-(above - below) / (2 * step), abs=1e-5)


@pytest.mark.parametrize("spread", [1.0, 90.0, 900.0])
def test_likelihood_of_small_and_of_far_utilities(spread: float) -> None:
    _, order = simulated(8, 12, 5, seed=2)
    utility, slope = np.random.default_rng(3).normal(0, spread, 8), np.array([1.3])
    windows = ItemWindows.of(order, 8)
    value, gradient, _ = log_likelihood(utility, slope, windows)
    assert value == pytest.approx(literal_log_likelihood(utility, np.full(12, 1.3), order), rel=1e-10)
    step = 1e-5
    for item in range(8):
        moved = np.eye(8)[item] * step
        above, below = (literal_log_likelihood(utility + sign * moved, np.full(12, 1.3), order) for sign in (1, -1))
        assert gradient[item] == pytest.approx((above - below) / (2 * step), abs=1e-4)
    whole = information(utility, slope, windows).toarray()
    assert np.isfinite(whole).all()
    assert curvature(utility, slope, windows) == pytest.approx(whole.diagonal(), abs=1e-12)


@pytest.mark.parametrize("k", [2, 4])
def test_intervals_hold_what_they_say(k: int) -> None:
    covered = []
    for seed in range(4):
        truth, order = simulated(300, 300 * 20 // k, k, seed, spread=2.0)
        fit = fit_items(order, 300)
        covered.append(np.abs(fit.utility - (truth - truth.mean())) < 1.645 * fit.standard_error)
        assert np.corrcoef(truth, fit.utility)[0, 1] > 0.9
    assert 0.86 < np.mean(covered) < 0.94


def test_each_judge_has_a_slope_of_its_own() -> None:
    draws = np.random.default_rng(0)
    truth, items = draws.normal(0, 2, 100), np.argsort(draws.random((6_000, 100)), axis=1)[:, :3]
    judge = np.arange(6_000) % 3
    slopes = np.array([0.4, 1.0, 2.5])
    noisy = slopes[judge][:, None] * truth[items] + draws.gumbel(size=items.shape)
    order = np.take_along_axis(items, np.argsort(-noisy, axis=1), axis=1)
    fit = fit_items(order, 100, judges=judge)
    assert np.exp(np.log(fit.discrimination).mean()) == pytest.approx(1, rel=1e-6)
    assert fit.discrimination / fit.discrimination[1] == pytest.approx(slopes, rel=0.15)
    assert np.corrcoef(truth, fit.utility)[0, 1] > np.corrcoef(truth, fit_items(order, 100).utility)[0, 1]


def test_a_judge_that_never_errs_or_has_ranked_nothing_has_a_slope_within_bounds() -> None:
    draws = np.random.default_rng(4)
    truth = draws.normal(0, 2, 60)
    items = np.tile(draws.permutation(60).reshape(-1, 3), (2, 1))
    noise = draws.gumbel(size=items.shape) * np.repeat([[0.0], [1.0]], 20, axis=0)
    order = np.take_along_axis(items, np.argsort(-(truth[items] + noise), axis=1), axis=1)
    fit = fit_items(order, 60, judges=np.repeat([0, 2], 20), prior_precision=1e-3)
    assert np.isfinite(fit.utility).all()
    assert np.isfinite(fit.standard_error).all()
    assert fit.discrimination[0] > fit.discrimination[2]
    assert 0.05 < fit.discrimination.min() < fit.discrimination.max() < 20


def test_parts_that_nothing_joins() -> None:
    order = np.array([[0, 1], [1, 0], [0, 1], [2, 3], [3, 4], [2, 4]])
    fit = fit_items(order, 6)
    assert fit.component.tolist() == [1, 1, 0, 0, 0, 2]
    assert fit.utility[:2].sum() == pytest.approx(0, abs=1e-5)
    assert fit.utility[2:5].sum() == pytest.approx(0, abs=1e-5)
    assert fit.never_lost.tolist() == [False, False, True, False, False, False]
    assert fit.never_won.tolist() == [False, False, False, False, True, False]
    assert np.isfinite(fit.utility).all()
    assert np.isnan(fit.standard_error).tolist() == [False] * 5 + [True]
    assert fit.n_windows.tolist() == [3, 3, 2, 2, 2, 0]


def test_the_order_of_windows_makes_no_difference() -> None:
    _, order = simulated(50, 300, 4, seed=9)
    shuffled = np.random.default_rng(1).permutation(300)
    assert fit_items(order, 50).utility == pytest.approx(fit_items(order[shuffled], 50).utility, abs=1e-5)


@pytest.mark.parametrize(
    ("rankings", "more", "line"),
    [
        ([[0, 1, 1]], {}, "window 0 holds an item twice"),
        ([[0, 5]], {}, "items from 0 to 2"),
        ([[0.5, 1]], {}, "integers of shape"),
        ([[0], [1]], {}, "K of 2 or more"),
        ([[0, 1]], {"prior_precision": 0.0}, "prior_precision must be above zero"),
        ([[0, 1]], {"judges": [0, 1]}, "judges must be integers of shape"),
    ],
)
def test_what_cannot_be_fitted(rankings: list[list[float]], more: dict[str, object], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        fit_items(np.array(rankings), 3, **more)  # type: ignore[arg-type]
