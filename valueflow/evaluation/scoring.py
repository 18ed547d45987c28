"""From rankings to scores."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.judge import RankedWindows
from valueflow.plackett_luce import (
    anchor_kendall_tau,
    fit_discrimination,
    kendall_w,
    summarize_posterior,
    window_guarded,
)
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

PRIOR_PRECISION = 1e-3
"""Lambda of the design: a normal prior of standard deviation 32 points; it matters only where rankings set no limit."""

INTERVAL_LEVEL = 0.9

_BOUNDS = (LOWEST_INTENSITY, HIGHEST_INTENSITY)


@dataclass(frozen=True)
class Reliability:
    """How well a judge knows the anchors.

    Attributes
    ----------
    kendall_tau
        Mean over windows of Kendall's tau-b between its order of the anchors and the known one; NaN
        with one anchor per window.
    discrimination
        Slope beta of the judge per scale point; 1 where it cannot be estimated, NaN for a panel as a whole.
    discrimination_se
        Its standard error; NaN where it was not estimated.
    source
        `estimated`, `at bound` (orders so good, or so bad, that the likelihood has no inner maximum),
        `assumed` (one anchor per window, or equal ones: no order to learn from), or `one per judge` (a
        panel: its judges have slopes of their own).
    """

    kendall_tau: float
    discrimination: float
    discrimination_se: float
    source: Literal["estimated", "at bound", "assumed", "one per judge"]


@dataclass(frozen=True)
class JudgeRecord:
    """What one judge of a panel did.

    Attributes
    ----------
    name
        Its name.
    windows, windows_failed
        Windows it was asked about, and how many of them it failed to rank.
    reliability
        How well it knows the anchors.
    failures
        Why it failed, how often; the most common reason first.
    """

    name: str
    windows: int
    windows_failed: int
    reliability: Reliability
    failures: dict[str, int]


@dataclass(frozen=True)
class Agreement:
    """How far the judges of a panel agree.

    Attributes
    ----------
    kendall_w
        Mean of Kendall's W over windows; NaN where there is none. J judges who rank at random reach
        1/J.
    windows
        Windows that at least two judges ranked; W is that of those judges.
    windows_left_out
        Windows that fewer ranked.
    """

    kendall_w: float
    windows: int
    windows_left_out: int


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
    reliability
        Of the judge, or of a panel as a whole.
    judges
        Each judge of a panel; empty where there was one judge.
    agreement
        Of a panel; None where there was one judge.
    """

    score: npt.NDArray[np.float64]
    se: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    windows: npt.NDArray[np.int64]
    windows_failed: npt.NDArray[np.int64]
    not_converged: npt.NDArray[np.bool_]
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
) -> Scores:
    """Score responses from their ranked windows, those of all judges in one likelihood.

    Parameters
    ----------
    windows
        All rankings of a run; failed ones are counted, and not used.
    n_responses
        N.
    estimator
        `map`: beta of each judge from the order in which it put the anchors, prior, posterior on the
        scale.
        `window_guarded`: the published rule, beta = 1, with its guards.
    point
        What of the posterior `map` reports: its `mean` over the scale, which has the least expected
        squared error, or its `mode`, the maximum clipped to the scale. Above all anchors it met, a
        response's mode is the end of the scale whatever the anchors were; the mean is not.
    solver, max_iter, learning_rate
        How the maximum is found under `map`. A response whose maximum is not found has no score.

    Returns
    -------
    Scores
        Interval: the shortest that holds 90% of the posterior on [-10, 10].
    """
    ranked = windows[windows.ranked]
    arrays = ranked.orders, ranked.intensities, ranked.responses, n_responses
    records = _judge_records(windows)
    is_map = estimator == "map"
    slopes = np.array([record.reliability.discrimination for record in records])
    posterior = summarize_posterior(
        *arrays,
        discrimination=slopes[ranked.judges] if is_map else 1.0,
        prior_precision=PRIOR_PRECISION,
        # The published rule has its own search for the score; the solver is for `map` alone.
        solver=solver if is_map else "newton",
        max_iter=max_iter if is_map else 100,
        learning_rate=learning_rate,
        level=INTERVAL_LEVEL,
        bounds=_BOUNDS,
    )
    if estimator == "window_guarded":
        score = np.where(posterior.failed, np.nan, window_guarded(*arrays))
    else:
        score = posterior.mean if point == "mean" else np.clip(posterior.utility, *_BOUNDS)
    is_panel = len(records) > 1
    return Scores(
        score=score,
        se=posterior.standard_error,
        low=posterior.low,
        high=posterior.high,
        windows=np.bincount(windows.responses, minlength=n_responses),
        windows_failed=np.bincount(windows.responses[~windows.ranked], minlength=n_responses),
        not_converged=posterior.failed,
        reliability=_joint_reliability(ranked) if is_panel else records[0].reliability,
        judges=records if is_panel else (),
        agreement=judge_agreement(windows) if is_panel else None,
    )


def judge_reliability(ranked: RankedWindows) -> Reliability:
    """Measure a judge on the anchors alone, by its rankings; none of them may have failed."""
    if not _is_informative(ranked.intensities):
        return Reliability(np.nan, 1.0, np.nan, "assumed")
    fit = fit_discrimination(ranked.orders, ranked.intensities)
    return Reliability(
        kendall_tau=_mean_tau(ranked),
        discrimination=float(fit.discrimination),
        discrimination_se=float(fit.standard_error),
        source="at bound" if fit.at_bound else "estimated",
    )


def judge_agreement(windows: RankedWindows) -> Agreement:
    """Measure how far the judges of a panel agree, whatever the anchors' intensities are."""
    ranked = windows[windows.ranked]
    orders = ranked.orders[np.argsort(ranked.windows, kind="stable")]
    counts = np.bincount(ranked.windows, minlength=int(windows.windows.max(initial=-1)) + 1)
    starts = np.cumsum(counts) - counts
    concordances = [
        kendall_w(orders[starts[counts == n_judges][:, None] + np.arange(n_judges)])
        for n_judges in np.unique(counts[counts >= 2])
    ]
    found = np.concatenate(concordances) if concordances else np.empty(0)
    return Agreement(
        kendall_w=float(found.mean()) if len(found) else np.nan,
        windows=len(found),
        windows_left_out=len(np.unique(windows.windows)) - len(found),
    )


def _judge_records(windows: RankedWindows) -> tuple[JudgeRecord, ...]:
    records = []
    for number, name in enumerate(windows.judge_names):
        own = windows[windows.judges == number]
        failures = own.failures[~own.ranked]
        records.append(
            JudgeRecord(
                name=name,
                windows=len(own),
                windows_failed=len(failures),
                reliability=judge_reliability(own[own.ranked]),
                failures=dict(Counter(failures).most_common()),
            )
        )
    return tuple(records)


def _joint_reliability(ranked: RankedWindows) -> Reliability:
    tau = _mean_tau(ranked) if _is_informative(ranked.intensities) else np.nan
    return Reliability(tau, np.nan, np.nan, "one per judge")


def _is_informative(intensities: npt.NDArray[np.float64]) -> bool:
    """Return whether a window has two anchors of different intensity."""
    return len(intensities) > 0 and bool((np.ptp(intensities, axis=1) > 0).any())


def _mean_tau(ranked: RankedWindows) -> float:
    return float(np.nanmean(anchor_kendall_tau(ranked.orders, ranked.intensities)))
