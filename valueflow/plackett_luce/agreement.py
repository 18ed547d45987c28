"""How far several judges agree on the same windows, whatever the truth is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .windows import FloatArray, are_permutations


def kendall_w(orders: ArrayLike) -> FloatArray:
    """Compute Kendall's coefficient of concordance of J judges, for each of N windows.

    With R_i the sum of item i's places over the judges and S the sum of the squared distances of R_i from their mean,
    ``W = 12 S / (J^2 (K^3 - K))``; rankings have no ties.

    Parameters
    ----------
    orders : (N, J, K) array of int
        Each judge's item numbers, most supportive first.

    Returns
    -------
    (N,) float array
        1 where all judges give the same order, 0 where their places cancel out. Judges who rank at random reach 1/J
        on average.

    Raises
    ------
    ValueError
        Where there are fewer than two judges or two items, or an order is not a permutation of 1..K.

    References
    ----------
    Kendall, M. G. & Babington Smith, B. (1939). The problem of m rankings. Annals of Mathematical Statistics 10(3),
    275-287.
    """
    order = np.asarray(orders)
    if order.ndim != 3 or order.shape[1] < 2 or order.shape[2] < 2:
        raise ValueError(f"orders must have shape (N, J, K) with J >= 2 and K >= 2, not {order.shape}")
    if not np.issubdtype(order.dtype, np.integer):
        raise ValueError(f"orders must be integers, not {order.dtype}")
    _, j, k = order.shape
    valid = are_permutations(order)
    if not valid.all():
        window, judge = np.argwhere(~valid)[0]
        raise ValueError(
            f"ranking of window {window} by judge {judge} is not a permutation of 1..{k}: "
            f"{order[window, judge].tolist()}"
        )
    places = np.argsort(order, axis=2) + 1
    # Twice the distance from the mean, J (K + 1) / 2, is a whole number: equal orders give exactly 1.
    twice = 2 * places.sum(axis=1) - j * (k + 1)
    return np.asarray(3 * (twice**2).sum(axis=1) / (j**2 * (k**3 - k)), dtype=np.float64)
