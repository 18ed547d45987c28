"""Which responses fit no place on the scale: their windows contradict each other more than the model lets them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc

from .windows import FloatArray, check_rankings

_WINDOWS_AT_ONCE = 8192
_LARGEST_LOG = 300.0


def outfit(
    rankings: ArrayLike,
    anchor_utilities: ArrayLike,
    response_index: ArrayLike,
    utilities: ArrayLike,
    *,
    discrimination: float | ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    r"""Compare where each response was ranked with where its utility puts it.

    Given the judge's order of the anchors, the response comes j-th with probability ``p_j prod_{i<j} (1 - p_i)``, where
    ``p_j = e^{b u} / (e^{b u} + W_j)`` and W_j is the strength of the anchors left: exactly, by Luce's choice axiom.
    With L the number of anchors ranked above it, the outfit is the mean over windows of ``(L - E L)^2 / Var L``, about
    1 where the model holds (Wright and Masters, 1982).

    Parameters
    ----------
    rankings, anchor_utilities, response_index, discrimination
        As in :func:`fit_utilities`.
    utilities : (N,) float array
        Of the responses.

    Returns
    -------
    outfit, p_value : (N,) float arrays
        The p-value is that of a gamma distribution with the mean and variance that the sum has under the model, the
        utility being estimated from the same windows; 1 where the outfit is at most 1. NaN below two windows, or
        without a utility.

    References
    ----------
    Wright, B. D. and Masters, G. N. (1982). Rating Scale Analysis. MESA Press.
    """
    order, anchors = check_rankings(rankings, anchor_utilities)
    index, utility = np.asarray(response_index), np.asarray(utilities, dtype=np.float64)
    slope = np.broadcast_to(np.asarray(discrimination, dtype=np.float64), index.shape)
    square, excess = np.zeros(len(index)), np.zeros(len(index))
    for first in range(0, len(index), _WINDOWS_AT_ONCE):
        part = slice(first, first + _WINDOWS_AT_ONCE)
        square[part], excess[part] = _standardized(order[part], anchors[part], utility[index[part]], slope[part])
    n = len(utility)
    count = np.bincount(index, minlength=n).astype(np.float64)
    total = np.bincount(index, square, minlength=n)
    variance = np.bincount(index, excess, minlength=n)
    usable = (count > 1) & ~np.isnan(utility)
    mean_square = np.divide(total, count, out=np.full(n, np.nan), where=usable)
    # The estimated utility takes up one window's worth of what varies.
    expected = count - 1
    variance = np.maximum(variance * expected / np.maximum(count, 1), 1e-9)
    shape = np.divide(expected**2, variance, out=np.ones(n), where=usable)
    scaled = np.divide(total * expected, variance, out=np.zeros(n), where=usable)
    # Where ranks other than the expected one are next to impossible, the gamma distribution has nearly all its mass at
    # 0, and even a response that is ranked exactly as expected lies in its upper tail.
    p_value = np.where(total <= count, 1.0, gammaincc(shape, scaled))
    return mean_square, np.where(usable, p_value, np.nan)


def _standardized(
    order: np.ndarray, anchors: FloatArray, u: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (L - E L)^2 / Var L and the variance of that number, for windows (W,)."""
    n_windows, k = order.shape
    picked = order[order != 1].reshape(n_windows, k - 1) - 2
    logits = slope * (np.take_along_axis(anchors, picked, axis=1) - u[:, None]).T
    # Relative to the response's own strength, 1.
    rest = np.cumsum(np.exp(np.clip(logits, -_LARGEST_LOG, _LARGEST_LOG))[::-1], axis=0)[::-1]
    losses = np.argmax(order == 1, axis=1)
    chance = np.empty((k, n_windows))
    left = np.ones(n_windows)
    for place in range(k - 1):
        chance[place] = left / (1 + rest[place])
        left = left * (rest[place] / (1 + rest[place]))
    chance[k - 1] = left
    places = np.arange(k)[:, None]
    mean = (places * chance).sum(axis=0)
    away = (places - mean) ** 2
    variance = np.maximum((away * chance).sum(axis=0), 1e-6)
    fourth = (away**2 * chance).sum(axis=0)
    return (losses - mean) ** 2 / variance, np.minimum(fourth / variance**2, 1e6) - 1
