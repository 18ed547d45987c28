"""Utility of a response from windows in which it was ranked among anchors of known utility.

The model is Plackett-Luce (Luce, 1959; Plackett, 1975): a judge picks the items of a window one after the other, each
with a probability proportional to exp(beta u) among those left. With the anchors' utilities known, the response's u is
the one unknown, and the log-posterior under a normal prior of precision lambda is strictly concave in it.

References
----------
Luce, R. D. (1959). Individual Choice Behavior. Wiley.
Plackett, R. L. (1975). The analysis of permutations. Applied Statistics 24(2), 193-202.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .interval import check_interval, summarize_block
from .maximum import PLAIN_STEPS, TOLERANCE, solve_block
from .windows import AnchoredWindows, FloatArray, IntArray, check_windows, response_blocks

Solver = Literal["newton", "ascent"]

# Maximum number of Newton steps to the posterior's maximum where the estimate did not find it by Newton's method.
_MAX_ITER = 100


@dataclass(frozen=True)
class UtilityFit:
    """Estimated utilities of N responses.

    Attributes
    ----------
    utility : (N,) float array
        Maximum of the posterior, in points of the anchors' scale; NaN where not converged or without a window.
    standard_error : (N,) float array
        Inverse square root of the observed information (prior included); NaN where ``utility`` is.
    converged : (N,) bool array
        The Newton distance |gradient / information| at ``utility`` is below the tolerance. False without a window.
    n_windows : (N,) int array
        Windows of each response.
    iterations : int
        Evaluations of the gradient that the slowest response took.
    """

    utility: FloatArray
    standard_error: FloatArray
    converged: NDArray[np.bool_]
    n_windows: IntArray
    iterations: int

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Responses that have windows but did not converge, shape (N,)."""
        return ~self.converged & (self.n_windows > 0)


@dataclass(frozen=True)
class PosteriorSummary(UtilityFit):
    """Posterior of N responses: its maximum, and mean and interval on a bounded scale.

    Attributes
    ----------
    mean : (N,) float array
        Posterior mean, in points: of all scores the one with the least expected squared error.
    low, high : (N,) float arrays
        Ends of the interval of highest density, in points.
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray


def fit_utilities(
    rankings: ArrayLike,
    anchor_utilities: ArrayLike,
    response_index: ArrayLike,
    n_responses: int,
    *,
    discrimination: float | ArrayLike = 1.0,
    prior_precision: float = 1e-3,
    solver: Solver = "newton",
    max_iter: int = 50,
    learning_rate: float = 0.1,
    tolerance: float = TOLERANCE,
) -> UtilityFit:
    """Estimate each response's utility by the maximum of its posterior.

    Maximizes ``sum_w log P(ranking_w) - prior_precision / 2 * u**2`` (Plackett-Luce, anchors fixed) separately for
    every response: the other responses do not change its result.

    Parameters
    ----------
    rankings : (W, K) array of int
        Item numbers of each window, most supportive first: 1 is the response, j + 1 is anchor j.
    anchor_utilities : (W, K - 1) array of float
        Known utilities of the anchors, in points.
    response_index : (W,) array of int
        Response of each window, in 0..N-1. Responses may have different numbers of windows, or none.
    n_responses : int
        Number of responses N.
    discrimination : float or (W,) array of float, default 1
        Slope beta of the judge, per point; one per window for a panel.
    prior_precision : float, default 1e-3
        Precision lambda of the normal prior around 0, per squared point. Above zero, so that a response ranked first
        (or last) everywhere has a finite maximum.
    solver : {"newton", "ascent"}, default "newton"
        Newton's method, corrected by the third derivative (Halley) and kept inside a shrinking bracket; or plain
        gradient ascent from 0, for comparison.
    max_iter : int, default 50
        Maximum number of evaluations of the gradient for a response.
    learning_rate : float, default 0.1
        Step of ``"ascent"``: u += learning_rate * gradient.
    tolerance : float, default 1e-8
        Points. Both solvers have converged where |gradient / information| at the returned utility is below it.

    Raises
    ------
    ValueError
        Where an argument is out of its range, or a ranking is not a permutation of 1..K.
    """
    _check_solver(solver, prior_precision, max_iter, learning_rate, tolerance)
    windows = check_windows(rankings, anchor_utilities, response_index, n_responses, discrimination)
    rate = learning_rate if solver == "ascent" else None
    estimates, converged, iterations = _estimate(windows, prior_precision, max_iter, tolerance, rate, None)
    return UtilityFit(estimates[0], estimates[1], converged, windows.n_windows, iterations)


def summarize_posterior(
    rankings: ArrayLike,
    anchor_utilities: ArrayLike,
    response_index: ArrayLike,
    n_responses: int,
    *,
    discrimination: float | ArrayLike = 1.0,
    prior_precision: float = 1e-3,
    solver: Solver = "newton",
    max_iter: int = 50,
    learning_rate: float = 0.1,
    level: float = 0.9,
    bounds: tuple[float, float] = (-10.0, 10.0),
) -> PosteriorSummary:
    """Find each response's maximum, posterior mean and interval of highest posterior density.

    The posterior density is proportional to ``exp(sum_w log P(ranking_w) - prior_precision / 2 * u**2)`` within
    ``bounds`` and zero outside. Its interval holds the maximum clipped to ``bounds``.

    Parameters
    ----------
    rankings, anchor_utilities, response_index, n_responses, discrimination, prior_precision, solver, max_iter, \
    learning_rate
        As in :func:`fit_utilities`.
    level : float, default 0.9
        Posterior probability of the interval, between 0 and 1.
    bounds : (float, float), default (-10, 10)
        Ends of the scale, in points.

    Returns
    -------
    PosteriorSummary
        NaN for a response without a window or whose maximum was not found. Ends are exact to about 0.002 of the
        interval's width.

    Raises
    ------
    ValueError
        Where an argument is out of its range, or a ranking is not a permutation of 1..K.
    """
    _check_solver(solver, prior_precision, max_iter, learning_rate, TOLERANCE)
    windows = check_windows(rankings, anchor_utilities, response_index, n_responses, discrimination)
    check_interval(level, bounds, float(np.max(windows.discrimination, initial=0.0)))
    rate = learning_rate if solver == "ascent" else None
    estimates, converged, iterations = _estimate(windows, prior_precision, max_iter, TOLERANCE, rate, (level, bounds))
    utility, standard_error, *summary = estimates
    return PosteriorSummary(utility, standard_error, converged, windows.n_windows, iterations, *summary)


def _estimate(
    windows: AnchoredWindows,
    prior_precision: float,
    max_iter: int,
    tolerance: float,
    learning_rate: float | None,
    interval: tuple[float, tuple[float, float]] | None,
) -> tuple[FloatArray, NDArray[np.bool_], int]:
    """Return utility and standard error, with an interval's level and bounds also mean, low and high; (2 or 5, N)."""
    estimates = np.full((2 if interval is None else 5, windows.n_responses), np.nan)
    converged = np.zeros(windows.n_responses, dtype=np.bool_)
    iterations = 0
    for responses, block in response_blocks(windows):
        found = solve_block(block, windows.span, prior_precision, max_iter, tolerance, learning_rate)
        estimates[0, responses] = np.where(found.converged, found.utility, np.nan)
        estimates[1, responses] = 1 / np.sqrt(np.where(found.converged, found.information, np.nan))
        if interval is not None:
            # Ascent, or a search that ended too early, leaves maxima from which no interval can be found.
            is_newton = learning_rate is None and max_iter >= PLAIN_STEPS and found.converged.all()
            mode = found if is_newton else solve_block(block, windows.span, prior_precision, _MAX_ITER, tolerance)
            figures = summarize_block(block, mode, prior_precision / block.slope**2, *interval)
            estimates[2:, responses] = np.where(found.converged & mode.converged, figures, np.nan)
        converged[responses] = found.converged
        iterations = max(iterations, found.iterations)
    return estimates, converged, iterations


def _check_solver(solver: str, prior_precision: float, max_iter: int, learning_rate: float, tolerance: float) -> None:
    if solver not in ("newton", "ascent"):
        raise ValueError(f"solver must be 'newton' or 'ascent', not {solver!r}")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate must be above zero, got {learning_rate}")
    if not (np.isfinite(prior_precision) and prior_precision > 0):
        raise ValueError(f"prior_precision must be above zero, got {prior_precision}")
    if max_iter < 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter}")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be above zero, got {tolerance}")
