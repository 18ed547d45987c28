"""Uncertainty of the utilities of items, from the likelihood around its maximum."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.linalg import cholesky, lapack

from .item_likelihood import ItemWindows, chances, curvature, information, logarithms
from .windows import LARGEST_EXPONENT, FloatArray, IntArray

_DENSE_UP_TO = 1_500
"""Items up to which the information is inverted whole: 18 MB, a fraction of a second. Beyond it they are a series."""

_NODES = 15
"""Places at which an item's density is taken: of twice as many, means differ by less than a hundredth of a standard
error, also for items that never lost."""


def marginal_moments(
    utility: FloatArray, slopes: FloatArray, windows: ItemWindows, precision: float, component: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance (N,) of each utility's posterior.

    The normal approximation at the maximum gives each item's variance about its component's mean, all others free. Its
    shape is that of the item's density with all others at the maximum. This is skewed away from 0 where few windows
    pull the item back; it is stretched to that variance, and its moments are taken by Gauss-Hermite quadrature.

    References
    ----------
    Tierney, L. and Kadane, J. B. (1986). Accurate approximations for posterior moments and marginal densities. JASA 81.
    """
    variance = variances(utility, slopes, windows, precision, component)
    first, second = _conditional_moments(utility, slopes, windows, precision)
    return utility + np.sqrt(variance) * first, variance * (second - first**2)


def variances(
    utility: FloatArray, slopes: FloatArray, windows: ItemWindows, precision: float, component: IntArray
) -> FloatArray:
    """Return each utility's variance (N,) about the mean of its component, by the observed information.

    With L the information of the windows (a graph's Laplacian: the constant vector is in its kernel), the variance of
    item i about its component's mean is ``inv(L + lambda I)_ii - 1 / (lambda n)``, n the size of the component. Above
    1,500 items, with D the diagonal of ``L + lambda I`` and A what is left, it is
    ``(1 + sum_j A_ij^2 / (D_i D_j)) / D_i``, the first terms of ``inv(D - A) = inv(D) + inv(D) A inv(D) + ...``.
    """
    observed = information(utility, slopes, windows)
    size = np.bincount(component)[component]
    diagonal = observed.diagonal() + precision
    if len(utility) <= _DENSE_UP_TO:
        whole = observed.toarray()
        whole[np.diag_indices_from(whole)] += precision
        # inv(R R') = inv(R)' inv(R), of which the diagonal is wanted alone: a third of the work of a whole inverse.
        inverse, _ = lapack.dtrtri(cholesky(whole, lower=True, check_finite=False), lower=1)
        return np.asarray((inverse**2).sum(axis=0) - 1 / (precision * size), dtype=np.float64).clip(min=0.0)
    coupled = observed.copy()
    coupled.setdiag(0.0)
    second = (coupled.multiply(coupled)) @ (1 / diagonal) / diagonal
    return np.asarray((1 + second) / diagonal * (1 - 1 / size), dtype=np.float64)


def _conditional_moments(
    utility: FloatArray, slopes: FloatArray, windows: ItemWindows, precision: float
) -> tuple[FloatArray, FloatArray]:
    """Return mean and mean square (N,) of each item's step from the maximum, in normal units, all others fixed."""
    nodes, weights = hermegauss(_NODES)
    at_places, log_totals = logarithms(np.outer(slopes, utility), windows)
    stages = len(log_totals)
    # A step so long that strengths would leave the range of numbers has no density left.
    longest = LARGEST_EXPONENT / (stages * np.abs(nodes).max() * slopes.max())
    unit = np.minimum(1 / np.sqrt(curvature(utility, slopes, windows) + precision), longest)
    picked = slopes @ windows.picked.reshape(len(slopes), -1)
    # By subtraction from 1, little would be left of what a stage has beside the item that it chose.
    behind = np.concatenate([log_totals[1:], at_places[-1:]])
    others = np.exp(behind - log_totals)
    chance = [chances(at_places, log_totals, place) for place in range(stages + 1)]
    logs = np.empty((_NODES, len(utility)))
    for number, node in enumerate(nodes):
        step = node * unit
        growth = np.exp(np.outer(slopes, step)).ravel().take(windows.cells)
        # How totals grow with the item, which at place p is in the stages up to p, and is chosen at the last one.
        change = np.empty_like(at_places)
        for place in range(stages + 1):
            before = chance[place][:place]
            ratio = (1 - before + before * growth[place]).prod(axis=0)
            if place < stages:
                ratio *= others[place] + chance[place][place] * growth[place]
            change[place] = np.log(ratio)
        logs[number] = (
            step * picked
            - windows.summed(change).sum(axis=0)
            - precision / 2 * step * (2 * utility + step)
            + node**2 / 2
        )
    density = weights[:, None] * np.exp(logs - logs.max(axis=0))
    density /= density.sum(axis=0)
    return nodes @ density, nodes**2 @ density
