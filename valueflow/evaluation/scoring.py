"""From rankings to scores."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.rankings import RankedWindows
from valueflow.plackett_luce import (
    anchor_kendall_tau,
    fit_discrimination,
    fit_utilities,
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
        Slope beta of the judge a scale point; 1 where nothing tells it.
    discrimination_se
        Its standard error; NaN where nothing tells it.
    source
        `estimated`, `at bound` (orders so good, or so bad, that the likelihood has no inner maximum),
        or `assumed` (one anchor a window, or equal ones: no order to learn from).
    """

    kendall_tau: float
    discrimination: float
    discrimination_se: float
    source: Literal["estimated", "at bound", "assumed"]


@dataclass(frozen=True)
class Scores:
    """Scores of N responses; NaN where there is none.

    Attributes
    ----------
    score, se, low, high
        (N,) estimated intensity in [-10, 10], its standard error, and its 90% interval.
    windows, windows_failed
        (N,) windows of each response, and how many of them failed.
    not_converged
        (N,) whether the solver used up its iterations.
    reliability
        Of the judge.
    """

    score: npt.NDArray[np.float64]
    se: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    windows: npt.NDArray[np.int64]
    windows_failed: npt.NDArray[np.int64]
    not_converged: npt.NDArray[np.bool_]
    reliability: Reliability


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
    """Score responses from their ranked windows.

    Parameters
    ----------
    windows
        All windows of a run; failed ones count, and teach nothing.
    n_responses
        N.
    estimator
        `map`: beta from the anchors' order, prior, posterior on the scale.
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
    reliability = judge_reliability(orders, intensities)
    beta = reliability.discrimination if estimator == "map" else 1.0
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
        reliability=reliability,
    )


def judge_reliability(orders: npt.NDArray[np.int64], intensities: npt.NDArray[np.float64]) -> Reliability:
    """Measure a judge on the anchors alone: rankings (W, K) and the anchors' intensities (W, K-1)."""
    informative = len(orders) > 0 and bool((np.ptp(intensities, axis=1) > 0).any())
    if not informative:
        return Reliability(np.nan, 1.0, np.nan, "assumed")
    taus = anchor_kendall_tau(orders, intensities)
    fit = fit_discrimination(orders, intensities)
    return Reliability(
        kendall_tau=float(np.nanmean(taus)),
        discrimination=float(fit.discrimination),
        discrimination_se=float(fit.standard_error),
        source="at bound" if fit.at_bound else "estimated",
    )
