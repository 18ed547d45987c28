"""Precision of the prior on utilities of items, estimated by cross-validation on the windows themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit

from .item_likelihood import ItemWindows, checked_order
from .items import fit_items
from .uncertainty import marginal_moments
from .windows import IntArray

LOWEST_PRIOR_PRECISION, HIGHEST_PRIOR_PRECISION = 1e-3, 10.0
"""Between these a precision is sought: priors by which utilities lie some 30, and some 0.3, from 0."""

_FOLDS = 4
_SUFFICIENT_WINDOWS = 5_000
"""Held-out windows that determine a precision to a few percent; where there are more, not every fold is needed."""

_TOLERANCE = 1e-4
"""Of the fits: utilities far nearer to their maximum than they are known."""

_PRIOR_SPREAD, _PRIOR_FACTOR = 3.0, 2.0
"""Log-normal prior on the spread of utilities: within this factor of 3, two times in three. It regularizes the estimate
from a dozen windows; against a thousand it has little weight, unless utilities spread by 8 or more."""

_NEAR = 0.1
"""How near, in the logarithm, a precision is found: a tenth more or less moves intervals by less than a hundredth."""


def choose_prior_precision(
    rankings: ArrayLike, n_items: int, *, judges: ArrayLike | None = None, windows: ArrayLike | None = None
) -> float:
    r"""Choose the prior precision under which predictions of held-out windows are calibrated.

    Each quarter of the windows in turn is held out, utilities are fitted to the others, and the probability that item i
    is ranked before item j of a held-out window is taken as

    .. math::

        \sigma\left( \frac{b s (m_i - m_j)}{\sqrt{1 + \pi/8 \, b^2 s^2 (v_i + v_j)}} \right)

    with means m and variances v of the posterior, a judge's slope b (MacKay, 1992) and s = 1. The precision is the one
    at which no other s, no rescaling of the utilities, would predict held-out pairs better. Few windows leave it near
    0.1.

    Variances are marginal, about the mean of an item's component; covariances are left out. This was chosen by how well
    intervals then hold (`benchmarks/construction_plan.py`). The likelihood of held-out windows itself, and that of all
    windows by Laplace's approximation, put utilities too near to each other. Windows must be drawn at random: if
    earlier rankings chose later windows, a held-out window would have influenced those that followed.

    Parameters
    ----------
    rankings : (W, K) int array
        Items of each window, numbered from 0, the most supportive first; windows drawn at random.
    n_items : int
        N.
    judges : (W,) int array, optional
        Which judge ranked each window, from 0.
    windows : (W,) int array, optional
        Which window each ranking is of, where judges share windows: all rankings of a window are held out together.

    Returns
    -------
    float
        Between 0.001 and 10.

    Raises
    ------
    ValueError
        Where an argument has a wrong shape or range.

    References
    ----------
    MacKay, D. J. C. (1992). The evidence framework applied to classification networks. Neural Computation 4(5).
    """
    order, judge, n_judges = checked_order(rankings, n_items, judges)
    window = np.arange(len(order)) if windows is None else np.asarray(windows)
    if window.shape != (len(order),):
        raise ValueError(f"windows must have shape ({len(order)},), not {window.shape}")
    # By the rank of a window's number.
    fold = np.unique(window, return_inverse=True)[1] % _FOLDS
    needed = min(_FOLDS, 1 + _SUFFICIENT_WINDOWS * _FOLDS // max(len(order), 1))

    def scale_derivative(log_precision: float) -> float:
        """Return the derivative of held-out pairs' log-likelihood, with its prior, in the logarithm of the scale."""
        precision = float(np.exp(log_precision))
        of_prior = (np.log(_PRIOR_SPREAD) + log_precision / 2) / np.log(_PRIOR_FACTOR) ** 2
        derivatives = (
            _held_out_scale_derivative(order, judge, fold == own, n_items, n_judges, precision) for own in range(needed)
        )
        return float(of_prior + sum(derivatives))

    low, high = np.log(LOWEST_PRIOR_PRECISION), np.log(HIGHEST_PRIOR_PRECISION)
    if scale_derivative(low) >= 0:
        return LOWEST_PRIOR_PRECISION
    if scale_derivative(high) <= 0:
        return HIGHEST_PRIOR_PRECISION
    return float(np.exp(brentq(scale_derivative, low, high, xtol=_NEAR)))


def _held_out_scale_derivative(
    orders: IntArray, judge_of: IntArray, is_held_out: NDArray[np.bool_], n_items: int, n_judges: int, precision: float
) -> float:
    """Return the derivative of held-out pairs' log-likelihood in the logarithm of the scale.

    Pairs of a window are not independent: they count as its K - 1 choices do.
    """
    order, judge = orders[~is_held_out], judge_of[~is_held_out]
    judges = judge if n_judges > 1 else None
    fit = fit_items(order, n_items, judges=judges, prior_precision=precision, tolerance=_TOLERANCE, errors=False)
    windows = ItemWindows.of(order, n_items, judge, len(fit.discrimination))
    mean, variance = marginal_moments(fit.utility, fit.discrimination, windows, precision, fit.component)
    # An item in no window has its prior variance.
    variance = np.where(fit.n_windows > 0, variance, 1 / precision)
    order, judge = orders[is_held_out], judge_of[is_held_out]
    above, below = np.triu_indices(order.shape[1], k=1)
    slope = np.append(fit.discrimination, np.ones(n_judges - len(fit.discrimination)))[judge][:, None]
    distance = slope * (mean[order[:, above]] - mean[order[:, below]])
    spread = 1 + np.pi / 8 * slope**2 * (variance[order[:, above]] + variance[order[:, below]])
    terms = expit(-distance / np.sqrt(spread)) * distance * spread**-1.5
    return float(2 / order.shape[1] * terms.sum())
