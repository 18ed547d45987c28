"""How far utilities lie apart: the precision of their prior, found from the windows themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit

from .items import fit_items
from .ranked import RankedWindows, checked_order
from .uncertainty import marginal_moments
from .windows import IntArray

LOWEST_PRECISION, HIGHEST_PRECISION = 1e-3, 10.0
"""Between these a precision is sought: priors by which utilities lie some 30, and some 0.3, from 0."""

_FOLDS = 4
_ENOUGH = 5_000
"""Held-out windows that tell a precision to a few percent; where there are more, not every fold is needed."""

_TOLERANCE = 1e-4
"""Of the fits: utilities far nearer to their maximum than they are known."""

_USUAL_SPREAD, _FACTOR = 3.0, 2.0
"""What the spread of utilities is taken for before any window: within this factor of 3, two times in three. It keeps a
dozen windows from saying anything wild; a thousand leave it little weight, unless utilities spread by 8 or more."""

_NEAR = 0.1
"""How near, in the logarithm, a precision is found: a tenth more or less moves intervals by less than a hundredth."""


def choose_precision(
    rankings: ArrayLike, n_items: int, *, judges: ArrayLike | None = None, windows: ArrayLike | None = None
) -> float:
    r"""Choose the prior by which held-out windows are foretold neither too surely nor too little so.

    Each quarter of the windows in turn is held out, utilities are fitted to the others, and the chance that item i
    stands before item j of a held-out window is taken as

    .. math::

        \sigma\left( \frac{b s (m_i - m_j)}{\sqrt{1 + \pi/8 \, b^2 s^2 (v_i + v_j)}} \right)

    with means m and variances v of the posterior, a judge's slope b (MacKay, 1992) and s = 1. The precision is the one
    at which no other s, no stretching of the scale, would foretell held-out pairs better. Few windows leave it near
    0.1.

    Variances are those of an item by itself about what it hangs together with: what two items have in common is left
    out. It was chosen by how well intervals then hold (`benchmarks/construction_plan.py`). The likelihood of held-out
    windows itself, and that of all windows by Laplace's approximation, took utilities to lie too near to each other.

    What was ranked must not have decided which windows came after it: a window held out then speaks through those that
    followed. So windows are random ones.

    Parameters
    ----------
    rankings : (W, K) int array
        Items of each window, numbered from 0, the most supportive first; windows drawn at random.
    n_items : int
        N.
    judges : (W,) int array, optional
        Which judge ranked each window, from 0.
    windows : (W,) int array, optional
        Which window each ranking is of, where several judges ranked the same ones: all rankings of a window are held
        out together.

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
    # In the order in which windows come, whatever their numbers.
    fold = np.unique(window, return_inverse=True)[1] % _FOLDS
    needed = min(_FOLDS, 1 + _ENOUGH * _FOLDS // max(len(order), 1))

    def too_flat(log_precision: float) -> float:
        """Sum how much better held-out pairs would be foretold on a wider scale: below 0 where on a narrower one."""
        precision = float(np.exp(log_precision))
        usual = (np.log(_USUAL_SPREAD) + log_precision / 2) / np.log(_FACTOR) ** 2
        gains = (
            _gain_of_stretching(
                (order[fold != own], judge[fold != own]),
                (order[fold == own], judge[fold == own]),
                n_items,
                n_judges,
                precision,
            )
            for own in range(needed)
        )
        return float(usual + sum(gains))

    low, high = np.log(LOWEST_PRECISION), np.log(HIGHEST_PRECISION)
    if too_flat(low) >= 0:
        return LOWEST_PRECISION
    if too_flat(high) <= 0:
        return HIGHEST_PRECISION
    return float(np.exp(brentq(too_flat, low, high, xtol=_NEAR)))


def _gain_of_stretching(
    fitted: tuple[IntArray, IntArray],
    held_out: tuple[IntArray, IntArray],
    n_items: int,
    n_judges: int,
    precision: float,
) -> float:
    """Return the derivative of held-out pairs' log-likelihood in the logarithm of the scale; windows come with judges.

    Pairs of a window are not independent: they count as its K - 1 choices do.
    """
    order, judge = fitted
    judges = judge if n_judges > 1 else None
    fit = fit_items(order, n_items, judges=judges, prior_precision=precision, tolerance=_TOLERANCE, errors=False)
    windows = RankedWindows.of(order, n_items, judge, len(fit.discrimination))
    mean, variance = marginal_moments(fit.utility, fit.discrimination, windows, precision, fit.component)
    # Of an item in none of the windows no more is known than the prior.
    variance = np.where(fit.n_windows > 0, variance, 1 / precision)
    order, judge = held_out
    above, below = np.triu_indices(order.shape[1], k=1)
    slope = np.append(fit.discrimination, np.ones(n_judges - len(fit.discrimination)))[judge][:, None]
    distance = slope * (mean[order[:, above]] - mean[order[:, below]])
    spread = 1 + np.pi / 8 * slope**2 * (variance[order[:, above]] + variance[order[:, below]])
    gains = expit(-distance / np.sqrt(spread)) * distance * spread**-1.5
    return float(2 / order.shape[1] * gains.sum())
