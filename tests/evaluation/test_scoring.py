"""From rankings to scores: what each estimator reports, and what has none."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import factorial

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, kendalltau, norm

from valueflow.evaluation.ascent import ascent_iterations
from valueflow.evaluation.judges import JudgeFit, fit_judges
from valueflow.evaluation.scoring import Scores, judge_agreement, score_windows
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import fit_utilities, simulate_rankings

POOL = np.random.default_rng(99).uniform(-9.5, 9.5, 40)
"""Ratings of the anchors from which windows are drawn."""


def drawn(rng: np.random.Generator, n_windows: int, k: int) -> np.ndarray:
    """Return the anchors of windows, no window with one twice."""
    return np.argsort(rng.random((n_windows, len(POOL))), axis=1)[:, : k - 1]


def simulated(
    n: int = 60,
    m: int = 3,
    k: int = 6,
    beta: float = 0.8,
    seed: int = 1,
    misreading: float = 0.0,
    lapse_rate: float = 0.0,
) -> RankedWindows:
    rng = np.random.default_rng(seed)
    responses = np.repeat(np.arange(n), m)
    anchors = drawn(rng, n * m, k)
    truth = rng.uniform(-9, 9, n)
    seen, places = (known + misreading * rng.standard_normal(len(known)) for known in (truth, POOL))
    orders = simulate_rankings(np.column_stack([seen[responses], places[anchors]]), beta, rng)
    lapses = rng.random(n * m) < lapse_rate
    orders[lapses] = np.argsort(rng.random((int(lapses.sum()), k)), axis=1) + 1
    windows = RankedWindows.of(responses, orders, POOL[anchors], np.full(n * m, "", dtype=object))
    return replace(windows, anchors=anchors)


def score(windows: RankedWindows, n: int, **changes: object) -> Scores:
    options = {"estimator": "map", "point": "mean", "solver": "newton", "max_iter": 50, "learning_rate": 0.1}
    return score_windows(windows, n, **(options | changes))


def posterior(windows: RankedWindows, response: int, fits: Sequence[JudgeFit], grid: np.ndarray) -> np.ndarray:
    """The posterior's density as the formula reads, up to a factor, at each utility of a grid.

    Each judge sees the anchors in their places, and the text at a place of its own around its utility.
    """
    density = np.exp(-1e-3 / 2 * grid**2)
    step = grid[1] - grid[0]
    for judge, fit in enumerate(fits):
        beta, sigma = fit.reliability.discrimination, fit.reliability.text_misreading_sd
        beyond = int(np.ceil(4 * sigma / step))
        seen = grid[0] + step * np.arange(-beyond, len(grid) + beyond)
        log = np.zeros(len(seen))
        for row in np.flatnonzero((windows.responses == response) & windows.ranked & (windows.judges == judge)):
            places = [seen, *(np.full_like(seen, fit.places[anchor]) for anchor in windows.anchors[row])]
            placed = beta * np.stack([places[item - 1] for item in windows.orders[row]])
            chance = np.zeros(len(seen))
            for place in range(len(placed)):
                chance += placed[place] - np.log(np.exp(placed[place:] - placed[place:].max(axis=0)).sum(axis=0))
                chance -= placed[place:].max(axis=0)
            rate = fit.reliability.lapse_rate
            log += np.log((1 - rate) * np.exp(chance) + rate / factorial(len(placed))) if rate else chance
        likelihood = np.exp(log - log.max())
        if beyond:
            weights = norm.pdf(step * np.arange(-beyond, beyond + 1), scale=sigma)
            likelihood = np.convolve(likelihood, weights / weights.sum(), mode="valid")
        density = density * likelihood
    return density / density.max()


def judged_mode(windows: RankedWindows, response: int, fits: Sequence[JudgeFit], grid: np.ndarray) -> float:
    """The maximum of the posterior of where judges that misread nothing would see the response."""
    faultless = [replace(fit, reliability=replace(fit.reliability, text_misreading_sd=0.0)) for fit in fits]
    return float(grid[np.argmax(posterior(windows, response, faultless, grid))])


@pytest.mark.parametrize("misreading", [0.0, 2.0])
def test_mean_and_mode_are_those_of_the_posterior(misreading: float) -> None:
    windows = simulated(misreading=misreading)
    mean, mode = score(windows, 60), score(windows, 60, point="mode")
    fits = fit_judges(windows)
    np.testing.assert_equal(asdict(mean.reliability), asdict(fits[0].reliability))
    grid = np.linspace(-10, 10, 4001)
    for response in range(60):
        density = posterior(windows, response, fits, grid)
        assert mode.score[response] == pytest.approx(judged_mode(windows, response, fits, grid), abs=6e-3)
        assert mean.score[response] == pytest.approx(np.average(grid, weights=density), abs=0.02)
        share = np.cumsum(density) / density.sum()
        inside = np.interp([mean.low[response], mean.high[response]], grid, share)
        assert inside[1] - inside[0] == pytest.approx(0.9, abs=0.01)
    # What all windows of a text share adds to the error of the maximum.
    without = fit_utilities(
        windows.orders,
        fits[0].places[windows.anchors],
        windows.responses,
        60,
        discrimination=fits[0].reliability.discrimination,
        prior_precision=1e-3,
    )
    shared = mean.se**2 - without.standard_error**2
    np.testing.assert_allclose(shared, fits[0].reliability.text_misreading_sd ** 2, rtol=1e-9)


def test_a_lapsing_judge_is_scored_by_the_mixture() -> None:
    windows = simulated(n=150, misreading=1.0, lapse_rate=0.15)
    mean, mode = score(windows, 150), score(windows, 150, point="mode")
    fits = fit_judges(windows)
    assert fits[0].reliability.lapse_rate == pytest.approx(0.15, abs=0.06)
    grid = np.linspace(-10, 10, 4001)
    for response in range(0, 150, 3):
        density = posterior(windows, response, fits, grid)
        center = np.average(grid, weights=density)
        assert mean.score[response] == pytest.approx(center, abs=0.03)
        assert mean.se[response] == pytest.approx(np.sqrt(np.average((grid - center) ** 2, weights=density)), abs=0.03)
        # Where two places are nearly as probable, either will do.
        assert np.interp(mode.score[response], grid, density) > 0.98
        inside = np.interp([mean.low[response], mean.high[response]], grid, np.cumsum(density) / density.sum())
        assert inside[1] - inside[0] > 0.89  # more where the interval spans two maxima


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


def test_ascent_converges_for_most_in_about_as_many_iterations_as_is_said() -> None:
    windows, needed = simulated(beta=0.5), ascent_iterations(6, 3, 0.1)
    assert needed == 1067
    done, undone = (score(windows, 60, solver="ascent", max_iter=n).not_converged for n in (needed, needed // 5))
    assert done.mean() < 0.5 < 0.9 < undone.mean()
    # A tenth of the step takes ten times as long, twice the windows half as long.
    assert (ascent_iterations(6, 3, 0.01), ascent_iterations(6, 6, 0.1)) == (10667, 534)


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


def test_a_judge_that_is_never_wrong_has_a_slope_with_an_error() -> None:
    windows = simulated(beta=1e7)
    scores = score(windows, 60)
    assert scores.reliability.source == "estimated"
    assert scores.reliability.kendall_tau == pytest.approx(1.0)
    assert 2 < scores.reliability.discrimination <= 10
    assert 0 < scores.reliability.discrimination_se < np.inf
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
    anchors = drawn(rng, n_windows, k)
    windows = np.tile(np.arange(n_windows), n_judges)
    judges = np.repeat(np.arange(n_judges), n_windows)
    utilities = np.column_stack([truth[responses], POOL[anchors]])[windows]
    panel = RankedWindows(
        responses=responses[windows],
        orders=simulate_rankings(utilities, BETAS[judges], rng),
        intensities=POOL[anchors][windows],
        anchors=anchors[windows],
        failures=np.full(len(windows), "", dtype=object),
        windows=windows,
        judges=judges,
        judge_names=("dull", "fair", "sharp"),
    )
    return panel, truth


def chosen(windows: RankedWindows, rows: np.ndarray) -> RankedWindows:
    """The rankings of some rows as those of one judge."""
    lone = RankedWindows.of(
        windows.responses[rows], windows.orders[rows], windows.intensities[rows], windows.failures[rows]
    )
    return replace(lone, anchors=windows.anchors[rows])


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
    fits = fit_judges(panel)
    grid = np.linspace(-10, 10, 4001)
    for response in range(30):
        density = posterior(panel, response, fits, grid)
        assert scores.score[response] == pytest.approx(np.average(grid, weights=density), abs=0.02)
        share = np.cumsum(density) / density.sum()
        inside = np.interp([scores.low[response], scores.high[response]], grid, share)
        assert inside[1] - inside[0] == pytest.approx(0.9, abs=0.01)


def test_each_judge_is_measured_on_its_own_rankings() -> None:
    panel, _ = simulated_panel(n=40)
    rows = np.arange(len(panel.responses))
    panel = failing(failing(panel, (panel.judges == 1) & (rows % 5 == 0), "cut off"), rows == 121, "no answer")
    scores = score(panel, 40)
    for judge, record in enumerate(scores.judges):
        own = (panel.judges == judge) & panel.ranked
        expected = fit_judges(chosen(panel, own), windows_per_response=3)[0].reliability
        np.testing.assert_equal(asdict(record.reliability), asdict(expected))
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
        anchors=panel.anchors[rows],
        judges=turn[panel.judges[rows]],
        judge_names=("fair", "sharp", "dull"),
    )
    other = score(mixed, 40)
    # Beta and sigma are found by a search that ends within its tolerance.
    np.testing.assert_allclose(other.score, straight.score, atol=1e-6)
    assert other.mean.mean == pytest.approx(straight.mean.mean, abs=1e-5)
    assert other.agreement.kendall_w == pytest.approx(straight.agreement.kendall_w, abs=1e-12)
    by_name = {record.name: record for record in other.judges}
    for record in straight.judges:
        beta = record.reliability.discrimination
        assert by_name[record.name].reliability.discrimination == pytest.approx(beta, rel=1e-6)


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
