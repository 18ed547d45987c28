"""From rankings to scores: what each estimator reports, and what has none."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, kendalltau

from valueflow.evaluation.judges import fit_judges
from valueflow.evaluation.scoring import Scores, judge_agreement, score_windows
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import simulate_rankings


def simulated(n: int = 60, m: int = 3, k: int = 6, beta: float = 0.8, seed: int = 1) -> RankedWindows:
    rng = np.random.default_rng(seed)
    responses = np.repeat(np.arange(n), m)
    intensities = rng.uniform(-10, 10, (n * m, k - 1))
    truth = rng.uniform(-9, 9, n)
    orders = simulate_rankings(np.column_stack([truth[responses], intensities]), beta, rng)
    return RankedWindows.of(responses, orders, intensities, np.full(n * m, "", dtype=object))


def score(windows: RankedWindows, n: int, **changes: object) -> Scores:
    options = {"estimator": "map", "point": "mean", "solver": "newton", "max_iter": 50, "learning_rate": 0.1}
    return score_windows(windows, n, **(options | changes))


def posterior(windows: RankedWindows, response: int, slopes: list[float], grid: np.ndarray) -> np.ndarray:
    """The posterior's density as the formula reads, up to a factor, at each utility of a grid."""
    log = -1e-3 / 2 * grid**2
    for row in np.flatnonzero((windows.responses == response) & windows.ranked):
        utilities = [grid, *(np.full_like(grid, anchor) for anchor in windows.intensities[row])]
        placed = slopes[windows.judges[row]] * np.stack([utilities[item - 1] for item in windows.orders[row]])
        for place in range(len(placed)):
            log += placed[place] - np.log(np.exp(placed[place:]).sum(axis=0))
    return np.exp(log - log.max())


def test_mean_and_mode_are_those_of_the_posterior() -> None:
    windows = simulated()
    mean, mode = score(windows, 60), score(windows, 60, point="mode")
    grid = np.linspace(-10, 10, 20_001)
    for response in range(60):
        density = posterior(windows, response, [mean.reliability.discrimination], grid)
        assert mode.score[response] == pytest.approx(grid[np.argmax(density)], abs=2e-3)
        assert mean.score[response] == pytest.approx(np.average(grid, weights=density), abs=5e-3)
        share = np.cumsum(density) / density.sum()
        inside = np.interp([mean.low[response], mean.high[response]], grid, share)
        assert inside[1] - inside[0] == pytest.approx(0.9, abs=5e-3)


def test_failed_windows_are_counted_and_teach_nothing() -> None:
    windows = simulated()
    failures = windows.failures.copy()
    failures[[0, 1, 2, 4]] = "no answer"
    orders = np.where((failures == "")[:, None], windows.orders, 0)
    scores = score(RankedWindows.of(windows.responses, orders, windows.intensities, failures), 61)
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
    failed = RankedWindows.of(
        windows.responses, windows.orders * 0, windows.intensities, np.full(6, "no answer", dtype=object)
    )
    scores = score(failed, 2)
    assert np.isnan(scores.score).all()
    assert scores.windows_failed.tolist() == [3, 3]


# ---- Panels

BETAS = np.array([0.3, 1.0, 2.0])


def simulated_panel(n: int = 400, m: int = 3, k: int = 6, seed: int = 1) -> tuple[RankedWindows, np.ndarray]:
    """Judges of three slopes ranked the same windows; also the true utilities."""
    rng = np.random.default_rng(seed)
    n_windows, n_judges = n * m, len(BETAS)
    truth = rng.uniform(-9, 9, n)
    responses = np.repeat(np.arange(n), m)
    intensities = rng.uniform(-10, 10, (n_windows, k - 1))
    windows = np.tile(np.arange(n_windows), n_judges)
    judges = np.repeat(np.arange(n_judges), n_windows)
    utilities = np.column_stack([truth[responses], intensities])[windows]
    panel = RankedWindows(
        responses=responses[windows],
        orders=simulate_rankings(utilities, BETAS[judges], rng),
        intensities=intensities[windows],
        failures=np.full(len(windows), "", dtype=object),
        windows=windows,
        judges=judges,
        judge_names=("dull", "fair", "sharp"),
    )
    return panel, truth


def chosen(windows: RankedWindows, rows: np.ndarray) -> RankedWindows:
    return RankedWindows.of(
        windows.responses[rows], windows.orders[rows], windows.intensities[rows], windows.failures[rows]
    )


def failing(windows: RankedWindows, rows: np.ndarray, reason: str) -> RankedWindows:
    failures = np.where(rows, reason, windows.failures)
    return replace(windows, failures=failures, orders=np.where((failures == "")[:, None], windows.orders, 0))


def test_a_panel_finds_each_judges_slope_and_beats_its_best_member_and_one_slope_for_all() -> None:
    panel, truth = simulated_panel()
    scores = score(panel, 400)
    for record, beta in zip(scores.judges, BETAS, strict=True):
        assert record.reliability.discrimination == pytest.approx(beta, abs=3.5 * record.reliability.discrimination_se)

    def rmse(other: Scores) -> float:
        return float(np.sqrt(np.mean((other.score - truth) ** 2)))

    alone = [rmse(score(chosen(panel, panel.judges == judge), 400)) for judge in range(3)]
    one_slope = rmse(score(chosen(panel, panel.judges >= 0), 400))
    assert rmse(scores) < 0.9 * min(*alone, one_slope)
    covered = ((scores.low <= truth) & (truth <= scores.high)).mean()
    assert covered == pytest.approx(0.9, abs=0.05)


def test_a_panels_score_is_the_mean_of_the_product_of_all_members_likelihoods() -> None:
    panel, _ = simulated_panel(n=30)
    panel = failing(panel, np.arange(len(panel.responses)) % 7 == 3, "no answer")
    scores = score(panel, 30)
    slopes = [record.reliability.discrimination for record in scores.judges]
    grid = np.linspace(-10, 10, 20_001)
    for response in range(30):
        density = posterior(panel, response, slopes, grid)
        assert scores.score[response] == pytest.approx(np.average(grid, weights=density), abs=2e-3)
        share = np.cumsum(density) / density.sum()
        inside = np.interp([scores.low[response], scores.high[response]], grid, share)
        assert inside[1] - inside[0] == pytest.approx(0.9, abs=5e-3)


def test_each_judge_is_measured_on_its_own_rankings() -> None:
    panel, _ = simulated_panel(n=40)
    rows = np.arange(len(panel.responses))
    panel = failing(failing(panel, (panel.judges == 1) & (rows % 5 == 0), "cut off"), rows == 121, "no answer")
    scores = score(panel, 40)
    for judge, record in enumerate(scores.judges):
        own = (panel.judges == judge) & panel.ranked
        assert record.reliability == judge_reliability(panel[own])
        assert record.name == panel.judge_names[judge]
    assert [record.windows for record in scores.judges] == [120, 120, 120]
    assert [record.windows_failed for record in scores.judges] == [0, 25, 0]
    assert [record.failures for record in scores.judges] == [{}, {"cut off": 24, "no answer": 1}, {}]
    assert scores.windows.tolist() == [9] * 40
    assert scores.windows_failed.sum() == 25
    taus = [
        kendalltau([-(order.tolist().index(item)) for item in range(2, 7)], anchors).statistic
        for order, anchors in zip(panel.orders[panel.ranked], panel.intensities[panel.ranked], strict=True)
    ]
    assert scores.reliability.kendall_tau == pytest.approx(np.mean(taus))
    assert scores.reliability.source == "one per judge"
    assert np.isnan([scores.reliability.discrimination, scores.reliability.discrimination_se]).all()


def test_the_order_of_rankings_and_the_numbers_of_judges_change_no_score() -> None:
    panel, _ = simulated_panel(n=40)
    straight = score(panel, 40)
    turn = np.array([2, 0, 1])
    rows = np.random.default_rng(0).permutation(len(panel.responses))
    mixed = RankedWindows(
        *(getattr(panel, name)[rows] for name in ("responses", "orders", "intensities", "failures", "windows")),
        judges=turn[panel.judges[rows]],
        judge_names=("fair", "sharp", "dull"),
    )
    other = score(mixed, 40)
    np.testing.assert_allclose(other.score, straight.score, atol=1e-9)
    assert other.agreement.kendall_w == pytest.approx(straight.agreement.kendall_w, abs=1e-12)
    by_name = {record.name: record for record in other.judges}
    for record in straight.judges:
        beta = record.reliability.discrimination
        assert by_name[record.name].reliability.discrimination == pytest.approx(beta, rel=1e-9)


def test_the_published_rule_takes_all_members_for_one_judge() -> None:
    panel, _ = simulated_panel(n=40)
    together = score(chosen(panel, panel.judges >= 0), 40, estimator="window_guarded")
    np.testing.assert_array_equal(score(panel, 40, estimator="window_guarded").score, together.score)


def test_a_lone_judge_is_no_panel() -> None:
    scores = score(simulated(), 60)
    assert scores.judges == ()
    assert scores.agreement is None


def test_agreement_is_that_of_the_judges_who_ranked() -> None:
    panel, _ = simulated_panel(n=4, m=1)  # judge j's ranking of window w is row 4 j + w
    failed = np.isin(np.arange(12), [4, 1, 5, 2, 6, 10])  # window 0 lacks judge 1, window 1 two of them, window 2 all
    panel = failing(panel, failed, "no answer")

    def w(*rows: int) -> float:
        places = [[panel.orders[row].tolist().index(item) for item in range(1, 7)] for row in rows]
        if len(rows) > 2:
            return float(friedmanchisquare(*np.transpose(places)).statistic / (len(rows) * 5))
        # Two judges: (1 + Spearman's rho) / 2.
        return float((1 + np.corrcoef(places)[0, 1]) / 2)

    agreement = judge_agreement(panel)
    assert agreement.kendall_w == pytest.approx((w(0, 8) + w(3, 7, 11)) / 2)
    assert (agreement.windows, agreement.windows_left_out) == (2, 2)


def test_a_panel_that_ranked_nothing_is_no_crash() -> None:
    panel, _ = simulated_panel(n=2)
    scores = score(failing(panel, np.full(18, True), "no answer"), 2)
    assert np.isnan(scores.score).all()
    assert np.isnan(scores.agreement.kendall_w)
    assert (scores.agreement.windows, scores.agreement.windows_left_out) == (0, 6)
    assert np.isnan(scores.reliability.kendall_tau)
    assert [record.windows_failed for record in scores.judges] == [6, 6, 6]


def test_a_member_that_ranked_nothing_leaves_the_others_their_scores() -> None:
    panel, _ = simulated_panel(n=40)
    without = score(failing(panel, panel.judges == 0, "no answer"), 40)
    two = panel.judges > 0
    others = replace(
        chosen(panel, two), windows=panel.windows[two], judges=panel.judges[two] - 1, judge_names=("b", "c")
    )
    np.testing.assert_allclose(without.score, score(others, 40).score, atol=1e-9)
    assert without.judges[0].reliability.source == "assumed"
