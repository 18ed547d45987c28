import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import kendalltau

from tests.examples import examples
from valueflow.plackett_luce import anchor_kendall_tau, fit_discrimination, simulate_rankings


def draw(seed, w, k, beta):
    rng = np.random.default_rng(seed)
    anchors = rng.uniform(-10, 10, (w, k - 1))
    rankings = simulate_rankings(np.column_stack([rng.uniform(-9, 9, w), anchors]), beta, rng)
    return rankings, anchors


def literal_log_likelihood(beta, rankings, anchors):
    total = 0.0
    for ranking, known in zip(rankings, anchors, strict=True):
        left = [item for item in ranking if item != 1]
        while left:
            logits = [beta * known[item - 2] for item in left]
            total += logits[0] - np.logaddexp.reduce(logits)
            left.pop(0)
    return total


@pytest.mark.parametrize("k", [3, 4, 6])
@pytest.mark.parametrize("beta", [0.1, 0.5, 2.0])
def test_estimate_is_the_maximum_of_the_literal_likelihood(k, beta):
    rankings, anchors = draw(k, 80, k, beta)
    fit = fit_discrimination(rankings, anchors)

    def loss(slope):
        return -literal_log_likelihood(slope, rankings, anchors)

    found = minimize_scalar(loss, bounds=(0.01, 20), method="bounded", options={"xatol": 1e-10})
    assert fit.discrimination == pytest.approx(found.x, rel=1e-5)
    assert not fit.at_bound
    assert fit.n_windows == 80
    h = 0.02 * fit.standard_error
    curvature = (loss(fit.discrimination + h) - 2 * loss(fit.discrimination) + loss(fit.discrimination - h)) / h**2
    assert fit.standard_error == pytest.approx(curvature**-0.5, rel=1e-3)


def test_likelihood_agrees_with_choix():
    # choix knows one set of utilities for all rankings: the same anchors in every window, times the slope.
    rng = np.random.default_rng(2)
    known = np.array([-4.0, -1.0, 0.5, 3.0])
    anchors = np.tile(known, (60, 1))
    rankings = simulate_rankings(np.column_stack([rng.uniform(-5, 5, 60), anchors]), 0.6, rng)
    orders = [[item - 2 for item in ranking if item != 1] for ranking in rankings.tolist()]
    fit = fit_discrimination(rankings, anchors)
    objective = choix.opt.Top1Fcts.from_rankings(orders, 0.0)
    found = minimize_scalar(
        lambda slope: objective.objective(slope * known), bounds=(0.01, 20), method="bounded", options={"xatol": 1e-9}
    )
    assert fit.discrimination == pytest.approx(found.x, rel=1e-5)


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
def test_recovery_and_honest_standard_errors(beta):
    fits = [fit_discrimination(*draw(seed, 1500, 6, beta)) for seed in range(60)]
    errors = np.array([(fit.discrimination - beta) / fit.standard_error for fit in fits])
    assert abs(errors.mean()) < 4 / np.sqrt(60)
    assert 0.7 < errors.std() < 1.35
    large = fit_discrimination(*draw(99, 60_000, 6, beta))
    assert large.discrimination == pytest.approx(beta, rel=0.02)
    assert large.iterations <= 5


def test_bounds_hold_and_are_reported():
    anchors = np.tile([-3.0, 0.0, 4.0], (5, 1))
    agrees, contradicts = np.tile([4, 1, 3, 2], (5, 1)), np.tile([2, 3, 1, 4], (5, 1))
    high = fit_discrimination(agrees, anchors)
    assert (high.discrimination, high.at_bound) == (20.0, True)
    low = fit_discrimination(contradicts, anchors)
    assert (low.discrimination, low.at_bound) == (0.01, True)
    assert np.isnan([high.standard_error, low.standard_error]).all()
    assert fit_discrimination(agrees, anchors, bounds=(0.5, 3.0)).discrimination == 3.0


def test_windows_with_equal_anchors_tell_nothing():
    rankings, anchors = draw(4, 50, 5, 1.0)
    with_dull = fit_discrimination(np.vstack([rankings, rankings]), np.vstack([anchors, np.zeros_like(anchors)]))
    alone = fit_discrimination(rankings, anchors)
    assert with_dull.n_windows == 50
    assert with_dull.discrimination == pytest.approx(alone.discrimination, rel=1e-9)


@pytest.mark.parametrize(
    ("rankings", "anchors", "options", "message"),
    [
        ([[1, 2]], [[3.0]], {}, "two anchors"),
        (np.empty((0, 4), int), np.empty((0, 3)), {}, "different utility"),
        ([[1, 2, 3]], [[5.0, 5.0]], {}, "different utility"),
        ([[1, 2, 3]], [[5.0, np.nan]], {}, "finite"),
        ([[1, 2, 2]], [[5.0, 1.0]], {}, "window 0 is not a permutation"),
        ([[1, 2, 3]], [[5.0, 1.0]], {"bounds": (2.0, 1.0)}, "bounds"),
        ([[1, 2, 3]], [[5.0, 1.0]], {"bounds": (0.0, 1.0)}, "bounds"),
        ([[1, 2, 3]], [[500.0, 1.0]], {}, "must not exceed 300"),
    ],
)
def test_nothing_to_estimate_is_said(rankings, anchors, options, message):
    with pytest.raises(ValueError, match=message):
        fit_discrimination(rankings, anchors, **options)


def test_too_few_evaluations_are_an_error():
    with pytest.raises(RuntimeError, match="2 evaluations"):
        fit_discrimination(*draw(1, 100, 5, 3.0), max_iter=2)


@settings(deadline=None, max_examples=examples(60))
@given(seed=st.integers(0, 10**6), k=st.integers(2, 8), ties=st.booleans())
def test_tau_equals_scipy(seed, k, ties):
    rng = np.random.default_rng(seed)
    anchors = rng.integers(0, 3, (20, k - 1)).astype(float) if ties else rng.uniform(-10, 10, (20, k - 1))
    rankings = np.argsort(rng.random((20, k)), axis=1) + 1
    found = anchor_kendall_tau(rankings, anchors)
    for ranking, known, tau in zip(rankings, anchors, found, strict=True):
        place = np.argsort(ranking)[1:]
        expected = kendalltau(-place, known).statistic if k > 2 else np.nan
        assert tau == pytest.approx(expected, abs=1e-12, nan_ok=True)
