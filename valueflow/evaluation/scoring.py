"""From rankings to scores."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.rankings import RankedWindows
from valueflow.plackett_luce import (
    anchor_kendall_tau,
    fit_discrimination,
    fit_utilities,
    kendall_w,
    summarise_posterior,
    window_guarded,
)
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

PRIOR_PRECISION = 1e-3
"""Lambda of the design: a normal prior of standard deviation 32 points, felt only where the rankings say nothing."""

INTERVAL_LEVEL = 0.9

_BOUNDS = (LOWEST_INTENSITY, HIGHEST_INTENSITY)


@dataclass(frozen=True)
class Reliability:
    """How well a judge knows the anchors.

    Attributes
    ----------
    kendall_tau
        Mean over windows of Kendall's tau-b between its order of the anchors and the known one; NaN
        with one anchor a window.
    discrimination
        Slope beta of the judge a scale point; 1 where nothing tells it, NaN for a panel as a whole.
    discrimination_se
        Its standard error; NaN where nothing tells it.
    source
        `estimated`, `at bound` (orders so good, or so bad, that the likelihood has no inner maximum),
        `assumed` (one anchor a window, or equal ones: no order to learn from), or `one per judge` (a
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
        All rankings of a run; failed ones count, and teach nothing.
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
    ranked = windows.ranked
    orders, intensities, responses = windows.orders[ranked], windows.intensities[ranked], windows.responses[ranked]
    n_windows = np.bincount(windows.responses, minlength=n_responses)
    n_failed = np.bincount(windows.responses[~ranked], minlength=n_responses)
    records = _judge_records(windows)
    slopes = np.array([record.reliability.discrimination for record in records])
    beta = slopes[windows.judges[ranked]] if estimator == "map" else 1.0
    is_panel = len(records) > 1
    fit = fit_utilities(
        orders,
        intensities,
        responses,
        n_responses,
        discrimination=beta,
        prior_precision=PRIOR_PRECISION,
        # The published rule brings a search of its own for the score; only its standard error comes from here.
        solver=solver if estimator == "map" else "newton",
        max_iter=max_iter if estimator == "map" else 100,
        learning_rate=learning_rate,
    )
    posterior = summarise_posterior(
        orders,
        intensities,
        responses,
        n_responses,
        discrimination=beta,
        prior_precision=PRIOR_PRECISION,
        level=INTERVAL_LEVEL,
        bounds=_BOUNDS,
    )
    if estimator == "window_guarded":
        score = window_guarded(orders, intensities, responses, n_responses)
    else:
        score = posterior.mean if point == "mean" else np.clip(fit.utility, *_BOUNDS)
    failed = fit.failed
    return Scores(
        score=np.where(failed, np.nan, score),
        se=fit.standard_error,
        low=np.where(failed, np.nan, posterior.low),
        high=np.where(failed, np.nan, posterior.high),
        windows=n_windows,
        windows_failed=n_failed,
        not_converged=failed,
        reliability=_joint_reliability(orders, intensities) if is_panel else records[0].reliability,
        judges=records if is_panel else (),
        agreement=judge_agreement(windows) if is_panel else None,
    )


def judge_reliability(orders: npt.NDArray[np.int64], intensities: npt.NDArray[np.float64]) -> Reliability:
    """Measure a judge on the anchors alone: rankings (W, K) and the anchors' intensities (W, K-1)."""
    if not _tell_something(intensities):
        return Reliability(np.nan, 1.0, np.nan, "assumed")
    fit = fit_discrimination(orders, intensities)
    return Reliability(
        kendall_tau=_mean_tau(orders, intensities),
        discrimination=float(fit.discrimination),
        discrimination_se=float(fit.standard_error),
        source="at bound" if fit.at_bound else "estimated",
    )


def judge_agreement(windows: RankedWindows) -> Agreement:
    """Measure how far the judges of a panel agree, whatever the anchors' intensities are."""
    numbers = windows.windows[windows.ranked]
    orders = windows.orders[windows.ranked][np.argsort(numbers, kind="stable")]
    rankings = np.bincount(numbers, minlength=int(windows.windows.max(initial=-1)) + 1)
    asked = np.unique(windows.windows)
    starts = np.cumsum(rankings) - rankings
    concordances = []
    for n_judges in np.unique(rankings[rankings >= 2]):
        rows = starts[rankings == n_judges][:, None] + np.arange(n_judges)
        concordances.append(kendall_w(orders[rows]))
    found = np.concatenate(concordances) if concordances else np.empty(0)
    return Agreement(
        kendall_w=float(found.mean()) if len(found) else np.nan,
        windows=len(found),
        windows_left_out=len(asked) - len(found),
    )


def _judge_records(windows: RankedWindows) -> tuple[JudgeRecord, ...]:
    ranked = windows.ranked
    records = []
    for number, name in enumerate(windows.judge_names):
        own = windows.judges == number
        told = own & ranked
        records.append(
            JudgeRecord(
                name=name,
                windows=int(own.sum()),
                windows_failed=int((own & ~ranked).sum()),
                reliability=judge_reliability(windows.orders[told], windows.intensities[told]),
                failures=dict(Counter(windows.failures[own & ~ranked]).most_common()),
            )
        )
    return tuple(records)


def _joint_reliability(orders: npt.NDArray[np.int64], intensities: npt.NDArray[np.float64]) -> Reliability:
    tau = _mean_tau(orders, intensities) if _tell_something(intensities) else np.nan
    return Reliability(tau, np.nan, np.nan, "one per judge")


def _tell_something(intensities: npt.NDArray[np.float64]) -> bool:
    """Tell whether a window has two anchors of different intensity."""
    return len(intensities) > 0 and bool((np.ptp(intensities, axis=1) > 0).any())


def _mean_tau(orders: npt.NDArray[np.int64], intensities: npt.NDArray[np.float64]) -> float:
    return float(np.nanmean(anchor_kendall_tau(orders, intensities)))
