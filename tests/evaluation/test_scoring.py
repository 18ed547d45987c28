"""From rankings to scores: what each estimator reports, and what has none."""

import numpy as np
import pytest
from scipy.integrate import quad

from valueflow.evaluation.rankings import RankedWindows
from valueflow.evaluation.scoring import Scores, score_windows
from valueflow.plackett_luce import simulate_rankings


def simulated(n: int = 60, m: int = 3, k: int = 6, beta: float = 0.8, seed: int = 1) -> RankedWindows:
    rng = np.random.default_rng(seed)
    responses = np.repeat(np.arange(n), m)
    intensities = rng.uniform(-10, 10, (n * m, k - 1))
    truth = rng.uniform(-9, 9, n)
    orders = simulate_rankings(np.column_stack([truth[responses], intensities]), beta, rng)
    return RankedWindows(responses, orders, intensities, np.full(n * m, "", dtype=object))


def score(windows: RankedWindows, n: int, **changes: object) -> Scores:
    options = {"estimator": "map", "point": "mean", "solver": "newton", "max_iter": 50, "learning_rate": 0.1}
    return score_windows(windows, n, **(options | changes))


def test_mean_and_mode_are_those_of_the_posterior_by_quadrature() -> None:
    windows = simulated()
    mean, mode = score(windows, 60), score(windows, 60, point="mode")
    beta = mean.reliability.discrimination
    for response in range(0, 60, 7):
        own = windows.responses == response

        def density(u: float, own: np.ndarray = own) -> float:
            log = -1e-3 / 2 * u * u
            for order, anchors in zip(windows.orders[own], windows.intensities[own], strict=True):
                utilities = beta * np.concatenate([[u], anchors])[order - 1]
                log += sum(utilities[j] - np.log(np.exp(utilities[j:]).sum()) for j in range(len(order)))
            return float(np.exp(log + 20))

        grid = np.linspace(-10, 10, 4001)
        assert mode.score[response] == pytest.approx(grid[np.argmax([density(u) for u in grid])], abs=0.01)
        total = quad(density, -10, 10, limit=200)[0]
        moment = quad(lambda u, f=density: u * f(u), -10, 10, limit=200)[0]
        assert mean.score[response] == pytest.approx(moment / total, abs=0.01)
        inside = quad(density, mean.low[response], mean.high[response], limit=200)[0]
        assert inside / total == pytest.approx(0.9, abs=0.005)


def test_failed_windows_are_counted_and_teach_nothing() -> None:
    windows = simulated()
    failures = windows.failures.copy()
    failures[[0, 1, 2, 4]] = "no answer"
    orders = np.where((failures == "")[:, None], windows.orders, 0)
    scores = score(RankedWindows(windows.responses, orders, windows.intensities, failures), 61)
    assert scores.windows[:3].tolist() == [3, 3, 3]
    assert scores.windows_failed[:3].tolist() == [3, 1, 0]
    assert np.isnan([scores.score[0], scores.se[0], scores.low[0], scores.high[0]]).all()
    assert np.isfinite(scores.score[1:60]).all()
    assert scores.windows[60] == 0
    assert np.isnan(scores.score[60])
    assert not scores.not_converged.any()


def test_what_has_not_converged_has_no_score_and_is_counted() -> None:
    windows = simulated()
    for changes in ({"max_iter": 1}, {"solver": "ascent", "max_iter": 5}):
        scores = score(windows, 60, **changes)
        assert scores.not_converged.sum() > 30
        assert np.isnan(scores.score[scores.not_converged]).all()
        assert np.isfinite(scores.score[~scores.not_converged]).all()
    patient = score(windows, 60, solver="ascent", max_iter=20_000, point="mode")
    done = ~patient.not_converged  # what beat all its anchors has its maximum too far out for plain steps
    assert done.mean() > 0.7
    np.testing.assert_allclose(patient.score[done], score(windows, 60, point="mode").score[done], atol=1e-6)


def test_the_published_rule_does_not_depend_on_the_solver() -> None:
    windows = simulated()
    plain = score(windows, 60, estimator="window_guarded")
    other = score(windows, 60, estimator="window_guarded", solver="ascent", max_iter=1)
    np.testing.assert_array_equal(plain.score, other.score)
    np.testing.assert_array_equal(plain.se, other.se)
    assert not other.not_converged.any()


def test_one_anchor_a_window_tells_nothing_of_the_judge() -> None:
    scores = score(simulated(k=2), 60)
    assert scores.reliability.source == "assumed"
    assert scores.reliability.discrimination == 1.0
    assert np.isnan(scores.reliability.kendall_tau)
    assert np.isfinite(scores.score).all()


def test_a_judge_that_is_never_wrong_is_at_the_bound() -> None:
    windows = simulated(beta=1e7)
    scores = score(windows, 60)
    assert scores.reliability.source == "at bound"
    assert scores.reliability.kendall_tau == pytest.approx(1.0)
    assert np.isfinite(scores.score).all()


def test_nothing_ranked_at_all_is_no_crash() -> None:
    windows = simulated(n=2)
    failed = RankedWindows(
        windows.responses, windows.orders * 0, windows.intensities, np.full(6, "no answer", dtype=object)
    )
    scores = score(failed, 2)
    assert np.isnan(scores.score).all()
    assert scores.windows_failed.tolist() == [3, 3]
