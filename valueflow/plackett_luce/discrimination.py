"""How sharply a judge discriminates between texts, estimated from anchors of known utility."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from .windows import BLOCK_NUMBERS, FloatArray, anchor_span, are_permutations, check_rankings, permutation_error

# Half the span of a window times the highest discrimination: exp() of it and of its negative stay in range.
_LARGEST_EXPONENT = 300.0

# Windows of a first estimate, which leaves a step or two over all of them.
_SUBSAMPLE = 4096


@dataclass(frozen=True)
class DiscriminationFit:
    """Estimated discrimination of one judge.

    Attributes
    ----------
    discrimination : float
        Maximum of the likelihood within its bounds, per point of the anchors' scale.
    standard_error : float
        Inverse square root of the observed information; NaN at a bound, where it means nothing.
    at_bound : bool
        The likelihood still rises (or falls) at the bound: the judge never (or only) contradicts the anchors.
    n_windows : int
        Windows whose anchors differ: only these are informative.
    iterations : int
        Evaluations of the gradient over all windows.
    """

    discrimination: float
    standard_error: float
    at_bound: bool
    n_windows: int
    iterations: int


def fit_discrimination(
    rankings: ArrayLike,
    anchor_utilities: ArrayLike,
    *,
    bounds: tuple[float, float] = (0.01, 20.0),
    max_iter: int = 100,
    tolerance: float = 1e-9,
) -> DiscriminationFit:
    """Estimate a judge's discrimination from the order in which it put the anchors.

    Maximizes the Plackett-Luce likelihood of the anchors' order alone (the response, item 1, is left out of each
    ranking, which is again a Plackett-Luce ranking: Luce's choice axiom). It is concave in the one unknown.

    Parameters
    ----------
    rankings : (W, K) array of int
        Item numbers of each window, most supportive first: 1 is the response, j + 1 is anchor j.
    anchor_utilities : (W, K - 1) array of float
        Known utilities of the anchors, in points.
    bounds : (float, float), default (0.01, 20)
        Lowest and highest discrimination considered.
    max_iter : int, default 100
        Maximum number of evaluations of the gradient.
    tolerance : float, default 1e-9
        Stops where Newton's step is below it, relative to the estimate.

    Raises
    ------
    ValueError
        Where an argument is out of its range, or no window has two anchors of different utility.
    RuntimeError
        Where ``max_iter`` evaluations were not enough.
    """
    lowest, highest = bounds
    if not (np.isfinite(highest) and 0 < lowest < highest):
        raise ValueError(f"bounds must be finite, above zero and rising, got {bounds}")
    ordered = _anchors_in_judged_order(rankings, anchor_utilities)
    if ordered.shape[0] < 2:
        raise ValueError("discrimination needs at least two anchors per window (K >= 3)")
    least, most = ordered.min(axis=0, initial=np.inf), ordered.max(axis=0, initial=-np.inf)
    informative = most > least
    n_windows = int(np.count_nonzero(informative))
    if n_windows == 0:
        raise ValueError("discrimination needs a window with two anchors of different utility")
    # Only differences within a window count; counted from its middle they need the smallest exponents.
    ordered = ordered[:, informative] - (least + most)[informative] / 2
    if highest * np.abs(ordered).max() > _LARGEST_EXPONENT:
        raise ValueError(f"the upper bound times half a window's span must not exceed {_LARGEST_EXPONENT:g}")

    start = float(np.sqrt(lowest * highest))
    if n_windows > 2 * _SUBSAMPLE:
        sample = np.ascontiguousarray(ordered[:, :: n_windows // _SUBSAMPLE])
        start = _maximize(sample, start, bounds, max_iter, 1e-4)[0]
    estimate, information, at_bound, iterations = _maximize(ordered, start, bounds, max_iter, tolerance)
    return DiscriminationFit(
        discrimination=float(estimate),
        standard_error=float("nan") if at_bound else float(information**-0.5),
        at_bound=at_bound,
        n_windows=n_windows,
        iterations=iterations,
    )


def anchor_kendall_tau(rankings: ArrayLike, anchor_utilities: ArrayLike) -> FloatArray:
    """Compare the judge's order of the anchors with the known one: Kendall's tau-b of each window.

    Parameters
    ----------
    rankings, anchor_utilities : (W, K) array of int, (W, K - 1) array of float
        As in :func:`fit_discrimination`.

    Returns
    -------
    (W,) float array
        1 where the judge agrees, -1 where it reverses the known order; NaN for a window with a single anchor or with
        all anchors equal.

    Raises
    ------
    ValueError
        Where a shape is wrong or a ranking is not a permutation of 1..K.

    References
    ----------
    Kendall, M. G. (1945). The treatment of ties in ranking problems. Biometrika 33(3), 239-251.
    """
    ordered = _anchors_in_judged_order(rankings, anchor_utilities)
    agreement, untied = np.zeros(ordered.shape[1]), np.zeros(ordered.shape[1])
    pairs = len(ordered) * (len(ordered) - 1) // 2
    for earlier, later in combinations(ordered, 2):
        sign = np.sign(earlier - later)
        agreement += sign
        untied += np.abs(sign)
    tau = np.full(agreement.size, np.nan)
    np.divide(agreement, np.sqrt(untied * pairs), out=tau, where=untied > 0)
    return tau


def _anchors_in_judged_order(rankings: ArrayLike, anchor_utilities: ArrayLike) -> FloatArray:
    """Return the anchors' utilities, most supportive first by the judge: (K - 1, W)."""
    order, anchors = check_rankings(rankings, anchor_utilities)
    anchor_span(anchors)
    valid = are_permutations(order)
    if not valid.all():
        raise permutation_error(order, int(np.flatnonzero(~valid)[0]))
    places = order[order != 1].reshape(anchors.shape) - 2
    return np.ascontiguousarray(np.take_along_axis(anchors, places, axis=1).T)


def _maximize(
    ordered: FloatArray, start: float, bounds: tuple[float, float], max_iter: int, tolerance: float
) -> tuple[float, float, bool, int]:
    """Newton's method inside a bracket; returns estimate, information, whether at a bound, and evaluations."""
    lower, upper = bounds
    beta = start
    noise = 1e-14 * ordered.size * float(np.abs(ordered).max()) ** 2
    for iteration in range(1, max_iter + 1):
        gradient, information = _derivatives(ordered, beta)
        # Where rounding is all that is left of the information, the judge has not contradicted the anchors once:
        # the likelihood still rises.
        saturated = information <= noise
        rising = saturated or gradient > 0
        outward = (beta >= bounds[1] and rising) or (beta <= bounds[0] and not rising)
        step = np.inf if saturated else gradient / information
        if outward or abs(step) <= tolerance * beta:
            # The last step is free: its error is the square of its length.
            return beta if outward else float(np.clip(beta + step, *bounds)), information, bool(outward), iteration
        lower, upper = (beta, upper) if rising else (lower, beta)
        proposal = beta + step
        if lower < proposal < upper:
            beta = proposal
        elif (proposal >= upper == bounds[1]) or (proposal <= lower == bounds[0]):
            # Nothing is known of the bound yet. If the likelihood still rises there, the search ends there.
            beta = upper if proposal >= upper else lower
        else:
            beta = (lower + upper) / 2
    raise RuntimeError(f"discrimination did not converge in {max_iter} evaluations")


def _derivatives(ordered: FloatArray, beta: float) -> tuple[float, float]:
    """Gradient of the log-likelihood in beta and observed information, summed over windows."""
    gradient, information = 0.0, 0.0
    places, n = ordered.shape
    step = max(1, BLOCK_NUMBERS // places)
    for first in range(0, n, step):
        anchors = ordered[:, first : first + step]
        weights = np.exp(beta * anchors)
        weighted = weights * anchors
        squared = weighted * anchors
        total, mean, square = weights[-1].copy(), weighted[-1].copy(), squared[-1].copy()
        # From the last place upwards each stage adds one anchor to those that competed. The last has no rival.
        for place in range(places - 2, -1, -1):
            total += weights[place]
            mean += weighted[place]
            square += squared[place]
            expected = mean / total
            gradient += float((anchors[place] - expected).sum())
            information += float((square / total - expected * expected).sum())
    return gradient, information
