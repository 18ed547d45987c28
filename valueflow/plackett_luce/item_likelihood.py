"""Likelihood of windows in which items were ranked among each other, and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array

from .windows import LARGEST_EXPONENT, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class ItemWindows:
    """Windows laid out for many passes over them.

    A cell is ``judge * N + item``: a judge's slope times an item's utility is the same in all its windows, so
    exponentials are taken once per cell. Places come first, so that each step of a pass runs along all windows.
    """

    cells: IntArray  # (K, W) the cell at each place, the most supportive first
    picked: FloatArray  # (J * N,) how often each was chosen, except at a window's last stage, which leaves no choice
    n_items: int
    n_judges: int

    @classmethod
    def of(cls, order: IntArray, n_items: int, judge: IntArray | None = None, n_judges: int = 1) -> ItemWindows:
        """Lay out rankings (W, K) of items by judges (W,), both numbered from 0."""
        cells = np.ascontiguousarray(order.T, dtype=np.intp)
        if judge is not None:
            cells = cells + judge * n_items
        size = n_judges * n_items
        return cls(cells, np.bincount(cells[:-1].ravel(), minlength=size).astype(np.float64), n_items, n_judges)

    def summed(self, places: FloatArray) -> FloatArray:
        """Sum numbers of the places (K, W) by judge and item: (J, N)."""
        sums = np.bincount(self.cells.ravel(), weights=places.ravel(), minlength=self.picked.size)
        return np.asarray(sums.reshape(self.n_judges, self.n_items), dtype=np.float64)


def checked_order(rankings: ArrayLike, n_items: int, judges: ArrayLike | None) -> tuple[IntArray, IntArray, int]:
    """Return windows (W, K) and their judges (W,), checked, and the number of judges; or raise ValueError."""
    order = np.asarray(rankings)
    if order.ndim != 2 or not np.issubdtype(order.dtype, np.integer) or order.shape[1] < 2:
        raise ValueError(f"rankings must be integers of shape (W, K) with K of 2 or more, not {order.shape}")
    order = np.ascontiguousarray(order, dtype=np.intp)
    if n_items < 1 or (order.size and not (order.min() >= 0 and order.max() < n_items)):
        raise ValueError(f"rankings must hold items from 0 to {n_items - 1}")
    repeated = (np.diff(np.sort(order, axis=1), axis=1) == 0).any(axis=1)
    if repeated.any():
        raise ValueError(f"window {int(np.flatnonzero(repeated)[0])} holds an item twice")
    if judges is None:
        return order, np.zeros(len(order), dtype=np.intp), 1
    judge = np.asarray(judges)
    if judge.shape != (len(order),) or not np.issubdtype(judge.dtype, np.integer) or (judge.size and judge.min() < 0):
        raise ValueError(f"judges must be integers of shape ({len(order)},), from 0")
    return order, judge.astype(np.intp), int(judge.max(initial=0)) + 1


def log_likelihood(
    utility: FloatArray, slopes: FloatArray, windows: ItemWindows
) -> tuple[float, FloatArray, FloatArray]:
    """Return the log-likelihood of windows and its gradients in the utilities (N,) and in the slopes (J,)."""
    scaled = np.outer(slopes, utility)
    reach = float(np.abs(scaled).max(initial=0.0)) + np.log(len(windows.cells))
    if reach * (len(windows.cells) - 1) < LARGEST_EXPONENT:
        # Nearly always: no strength, nor a product of a window's totals, can leave the range of a number. Exponentials
        # are taken once for each judge and item, and one logarithm does for a window.
        expected = np.exp(scaled).ravel().take(windows.cells)
        rest = expected[:-1].copy()
        rest[-1] += expected[-1]
        for place in range(len(rest) - 2, -1, -1):
            rest[place] += rest[place + 1]
        log_totals = np.log(np.multiply.reduce(rest, axis=0))
        np.divide(1.0, rest, out=rest)
        for place in range(1, len(rest)):
            rest[place] += rest[place - 1]
        # How often each item was expected to be chosen. The last place is in the same stages as the one before it.
        expected[:-1] *= rest
        expected[-1] *= rest[-1]
    else:
        at_places, log_totals = logarithms(scaled, windows)
        expected = np.stack([chances(at_places, log_totals, place).sum(axis=0) for place in range(len(at_places))])
    value = float(scaled.ravel() @ windows.picked - log_totals.sum())
    residual = windows.picked.reshape(scaled.shape) - windows.summed(expected)
    return value, slopes @ residual, residual @ utility


def logarithms(scaled: FloatArray, windows: ItemWindows) -> tuple[FloatArray, FloatArray]:
    """Return scaled utilities (J, N) at all places (K, W), and the log of each stage's total strength (K - 1, W).

    A stage chooses from the items from its place on. Nothing overflows, however far apart utilities are.
    """
    at_places = scaled.ravel().take(windows.cells)
    totals = np.empty_like(at_places[:-1])
    total = at_places[-1]
    for stage in range(len(totals) - 1, -1, -1):
        totals[stage] = total = np.logaddexp(at_places[stage], total)
    return at_places, totals


def chances(at_places: FloatArray, log_totals: FloatArray, place: int) -> FloatArray:
    """Return how likely the item at a place was to be chosen at each stage that it is in: (place + 1 or K - 1, W)."""
    return np.asarray(np.exp(at_places[place] - log_totals[: place + 1]), dtype=np.float64)


def curvature(utility: FloatArray, slopes: FloatArray, windows: ItemWindows) -> FloatArray:
    """Return the diagonal of the information: of each stage that an item is in, slope^2 p (1 - p)."""
    at_places, log_totals = logarithms(np.outer(slopes, utility), windows)
    own = np.empty_like(at_places)
    for place in range(len(at_places)):
        chance = chances(at_places, log_totals, place)
        own[place] = (chance * (1 - chance)).sum(axis=0)
    return np.asarray(slopes**2 @ windows.summed(own), dtype=np.float64)


def information(utility: FloatArray, slopes: FloatArray, windows: ItemWindows) -> csr_array:
    """Return the observed information of all windows: a sparse (N, N) Laplacian."""
    n = windows.n_items
    at_places, log_totals = logarithms(np.outer(slopes, utility), windows)
    items, weight_of_judge = windows.cells % n, slopes[windows.cells[0] // n] ** 2
    rows, columns, weights = [], [], []
    for second in range(1, len(items)):
        chance = chances(at_places, log_totals, second)
        for first in range(second):
            # Both are in the stages up to the first one's: minus p_r p_s summed over them.
            together = chances(at_places, log_totals, first) * chance[: first + 1]
            rows.append(items[first])
            columns.append(items[second])
            weights.append(weight_of_judge * together.sum(axis=0))
    row, column, weight = (np.concatenate(parts) for parts in (rows, columns, weights))
    pairs = coo_array((np.r_[weight, weight], (np.r_[row, column], np.r_[column, row])), shape=(n, n)).tocsr()
    degrees = np.asarray(pairs.sum(axis=1)).ravel()
    diagonal = coo_array((degrees, (np.arange(n), np.arange(n))), shape=(n, n)).tocsr()
    return csr_array(diagonal - pairs)
