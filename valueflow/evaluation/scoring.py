"""From rankings to scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.judges import (
    BOUNDS,
    INTERVAL_LEVEL,
    JudgeFit,
    Reliability,
    content_keys,
    fit_judges,
    with_anchors,
)
from valueflow.evaluation.likelihoods import judges_of, likelihoods_of, places_of_anchors
from valueflow.evaluation.mean import AnchorLine, MeanEstimate, anchor_line, estimate_mean, mean_of_scores, without_mean
from valueflow.evaluation.panels import Agreement, JudgeRecord, joint_reliability, judge_agreement, judge_records
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import (
    HIGHEST_DISCRIMINATION,
    fit_population,
    fit_utilities,
    mode_on_grid,
    outfit,
    summarize_on_grid,
    summarize_posterior,
    window_guarded,
)

PRIOR_PRECISION = 1e-3
"""Lambda of the design: a normal prior of standard deviation 32 points; it matters only where rankings set no limit."""

MISFIT_BELOW = 0.01
"""p-value of the outfit below which a response is marked as one that fits no place on the scale."""

_RESPONSES_FOR_SHIFT = 2_000
"""Responses from which the change of the mean with beta is found, chosen by their content."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Scores of N responses; NaN where there is none.

    Attributes
    ----------
    score, se, low, high
        (N,) estimated intensity in [-10, 10], its standard error, and its 90% interval.
    windows, windows_failed
        (N,) rankings of each response's windows, and how many of them failed; a panel of J judges
        gives J rankings of each window.
    not_converged
        (N,) whether the solver used up its iterations.
    outfit
        (N,) how far windows contradict each other, 1 where the model holds (see `plackett_luce.outfit`).
    misfit
        (N,) whether the outfit's p-value is below 0.01; False without a score.
    far
        (N,) whether no anchor of the run lies within 2 / slope in ratings of the score; of a panel the steepest.
    mean
        Of the job.
    line
        Of the anchors, by which the mean is uncertain.
    reliability
        Of the judge, or of a panel as a whole.
    judges
        Each judge of a panel; empty where there was one judge.
    agreement
        Of a panel; None where there was one judge.
    """

    score: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    windows: npt.NDArray[np.int64]
    windows_failed: npt.NDArray[np.int64]
    not_converged: BoolArray
    outfit: FloatArray
    misfit: BoolArray
    far: BoolArray
    mean: MeanEstimate
    line: AnchorLine
    reliability: Reliability
    judges: tuple[JudgeRecord, ...]
    agreement: Agreement | None


def score_windows(
    windows: RankedWindows,
    n_responses: int,
    *,
    estimator: Literal["map", "window_guarded"],
    point: Literal["mean", "mode"],
    solver: Literal["newton", "ascent"],
    max_iter: int,
    learning_rate: float,
    judge_check: bool = True,
    clusters: npt.NDArray[np.int64] | None = None,
    fits: Sequence[JudgeFit] | None = None,
) -> Scores:
    """Score responses from their ranked windows, those of all judges in one likelihood.

    Parameters
    ----------
    windows
        All rankings of a run; failed ones are counted, and not used.
    n_responses
        N.
    estimator
        `map`: beta, misreading, lapses and places of the anchors from the orders in which each judge put them, prior,
        posterior on the scale; the mean by marginal maximum likelihood.
        `window_guarded`: the published rule, beta = 1, with its guards, and the plain mean of its scores.
    point
        What of the posterior `map` reports: its `mean` over the scale, which has the least expected
        squared error, or its `mode`, the maximum clipped to the scale. Above all anchors it met, a
        response's mode is the end of the scale whatever the anchors were; the mean is not.
    solver, max_iter, learning_rate
        How the maximum is found under `map`. A response whose maximum is not found has no score.
    judge_check
        Whether `map` leaves out judges that do not order the anchors; where none is left there are no scores.
    clusters
        (N,) number of each response's query, for the interval of the mean; None: each response is its own.
    fits
        What is known of the judges; None: learned from these windows.

    Returns
    -------
    Scores
        Interval: the shortest that holds 90% of the posterior on [-10, 10].
    """
    if windows.anchors is None:
        # Numbered once: rankings that are left out below may hold anchors that no other one has.
        windows = replace(windows, anchors=with_anchors(windows)[0])
    fits = fit_judges(windows) if fits is None else tuple(fits)
    if clusters is None:
        clusters = np.arange(n_responses)
    is_map = estimator == "map"
    counting = [is_map and (fit.counts or not judge_check) for fit in fits]
    if is_map:
        rows = windows.ranked & np.array(counting)[windows.judges]
        used = windows if rows.all() else windows[rows]
        part = _by_posterior(used, n_responses, fits, point, solver, max_iter, learning_rate, clusters)
    else:
        part = _by_published_rule(windows[windows.ranked], n_responses, clusters)
    records = judge_records(windows, fits)
    is_panel = len(records) > 1
    return replace(
        part,
        windows=np.bincount(windows.responses, minlength=n_responses),
        windows_failed=np.bincount(windows.responses[~windows.ranked], minlength=n_responses),
        reliability=joint_reliability(windows[windows.ranked], fits) if is_panel else records[0].reliability,
        judges=records if is_panel else (),
        agreement=judge_agreement(windows) if is_panel else None,
    )


def _by_published_rule(ranked: RankedWindows, n: int, clusters: npt.NDArray[np.int64]) -> Scores:
    arrays = ranked.orders, ranked.intensities, ranked.responses, n
    posterior = summarize_posterior(*arrays, level=INTERVAL_LEVEL, bounds=BOUNDS, max_iter=100)
    score = np.where(posterior.failed, np.nan, window_guarded(*arrays))
    mean = mean_of_scores(score, ~np.isnan(score), clusters)
    line = AnchorLine(0, float("nan"), 0.0, 0.0)
    return _scores(score, posterior.standard_error, posterior.low, posterior.high, posterior.failed, mean, line)


def _by_posterior(
    ranked: RankedWindows,
    n: int,
    fits: Sequence[JudgeFit],
    point: Literal["mean", "mode"],
    solver: Literal["newton", "ascent"],
    max_iter: int,
    learning_rate: float,
    clusters: npt.NDArray[np.int64],
) -> Scores:
    ids, ratings, _ = with_anchors(ranked)
    counting = [fits[number] for number in judges_of(ranked)]
    line = anchor_line(counting)
    if len(ranked) == 0:
        nothing = np.full(n, np.nan)
        failed = np.zeros(n, dtype=np.bool_)
        return _scores(nothing, nothing, nothing, nothing, failed, without_mean(n), line)
    slopes = np.array([fit.reliability.discrimination for fit in fits])[ranked.judges]
    places = places_of_anchors(ranked, ids, fits)
    mode = fit_utilities(
        ranked.orders,
        places,
        ranked.responses,
        n,
        discrimination=slopes,
        prior_precision=PRIOR_PRECISION,
        solver=solver,
        max_iter=max_iter,
        learning_rate=learning_rate,
    )
    logs, grid = likelihoods_of(ranked, places, n, fits)
    mean, spread, low, high = np.where(mode.converged, summarize_on_grid(logs, grid, level=INTERVAL_LEVEL), np.nan)
    if any(fit.reliability.lapse_rate > 0 for fit in counting):
        # With lapses a posterior can have several maxima, and the curvature at one of them says little of the others.
        score = mean if point == "mean" else np.where(mode.converged, mode_on_grid(logs, grid), np.nan)
        se = spread
    else:
        # A text is misread in all its windows: no number of them takes this part away.
        score = mean if point == "mean" else np.clip(mode.utility, *BOUNDS)
        se = np.sqrt(mode.standard_error**2 + _misreading_variance(ranked, n, fits))
    shifts = _beta_shifts(ranked, places, fits, n)
    np.exp(logs, out=logs)
    estimate = estimate_mean(logs, grid, mode.converged, clusters, line, shifts)
    mean_square, p_value = _outfits(ranked, n, fits)
    reach = 2 / max(fit.reliability.slope_in_ratings for fit in counting)
    known = np.sort(ratings[np.flatnonzero(np.bincount(ids.ravel(), minlength=len(ratings)))])
    right = np.clip(np.searchsorted(known, score), 1, max(len(known) - 1, 1))
    nearest = np.minimum(np.abs(score - known[right - 1]), np.abs(score - known[np.minimum(right, len(known) - 1)]))
    return replace(
        _scores(score, se, low, high, mode.failed, estimate, line),
        outfit=mean_square,
        misfit=(p_value < MISFIT_BELOW) & ~np.isnan(score),
        far=nearest > reach,
    )


def _outfits(ranked: RankedWindows, n: int, fits: Sequence[JudgeFit]) -> tuple[FloatArray, FloatArray]:
    """Return the outfit of each response and its p-value, (N,).

    Anchors are where they are rated, and misreading and lapses count as noise: that places are uncertain, or one window
    in ten is ranked at random, must not make a response look odd.
    """
    slopes = np.array([fit.reliability.slope_in_ratings for fit in fits])[ranked.judges]
    arrays = ranked.orders, ranked.intensities, ranked.responses
    found = fit_utilities(*arrays, n, discrimination=slopes, prior_precision=PRIOR_PRECISION)
    return outfit(*arrays, found.utility, discrimination=slopes)


def _scores(
    score: FloatArray,
    se: FloatArray,
    low: FloatArray,
    high: FloatArray,
    failed: BoolArray,
    mean: MeanEstimate,
    line: AnchorLine,
) -> Scores:
    """Return scores without what is counted over all rankings."""
    n = len(score)
    none, no = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    unknown = joint_reliability(None, ())
    return Scores(score, se, low, high, none, none, failed, np.full(n, np.nan), no, no, mean, line, unknown, (), None)


def _misreading_variance(ranked: RankedWindows, n: int, fits: Sequence[JudgeFit]) -> FloatArray:
    """Return the variance (N,) of the mean misreading of the judges that ranked each response."""
    total, count = np.zeros(n), np.zeros(n)
    for number in judges_of(ranked):
        has_ranked = np.bincount(ranked.responses[ranked.judges == number], minlength=n) > 0
        total += has_ranked * fits[number].reliability.text_misreading_sd ** 2
        count += has_ranked
    return np.asarray(total / np.maximum(count, 1) ** 2)


def _beta_shifts(ranked: RankedWindows, places: FloatArray, fits: Sequence[JudgeFit], n: int) -> list[float]:
    """Return the change of the mean when the beta of each judge that has a standard error rises by it."""
    keys = np.zeros(n, dtype=np.uint64)
    np.add.at(keys, ranked.responses, content_keys(ranked))
    judged = np.flatnonzero(np.bincount(ranked.responses, minlength=n))
    chosen = judged[np.argsort(keys[judged], kind="stable")[:_RESPONSES_FOR_SHIFT]]
    place = np.full(n, -1)
    place[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(place[ranked.responses] >= 0)
    sample, places = ranked[rows].with_responses(place[ranked.responses[rows]]), places[rows]
    betas = [fit.reliability.discrimination for fit in fits]

    def mean_at(number: int, beta: float) -> float:
        logs, grid = likelihoods_of(sample, places, len(chosen), fits, [*betas[:number], beta, *betas[number + 1 :]])
        return fit_population(np.exp(logs), grid).mean

    shifts = []
    for number in judges_of(ranked):
        beta, error = betas[number], fits[number].reliability.discrimination_se
        if np.isnan(error):
            shifts.append(0.0)
            continue
        up, down = min(beta * np.exp(error / beta), HIGHEST_DISCRIMINATION), beta * np.exp(-error / beta)
        shifts.append((mean_at(number, up) - mean_at(number, down)) / 2)
    return shifts
