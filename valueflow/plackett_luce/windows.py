"""Judged windows as arrays: checking them and laying them out by response.

A window holds K items: item 1 is the response, item j + 1 is anchor j. Everything that estimates a response's
utility sees its windows through :class:`ResponseBlock`, which keeps the one thing the Plackett-Luce likelihood
needs of them: what the response competed against at each stage up to the one at which it was picked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

# Numbers of one array of a block: 0.5 MB, so that the few arrays a solver touches at once stay near a core's
# second-level cache, yet numpy's fixed cost per call is spread over thousands of responses. Measured: the fit is within
# a tenth of its best from 32,000 to 260,000, the interval from 16,000 to 66,000.
BLOCK_NUMBERS = 65_536

# exp() of these stays finite in double precision, also when a few are added or two are multiplied.
LARGEST_EXPONENT = 300.0

# A set of items is coded in the bits of one 64-bit integer.
_LARGEST_CODED_ITEM = 62


@dataclass(frozen=True)
class AnchoredWindows:
    """Checked input: all windows of all responses."""

    rankings: NDArray[np.integer]  # (W, K) item numbers, most supportive first
    anchors: FloatArray  # (W, K - 1) known utilities
    response_index: IntArray  # (W,) response that each window belongs to
    n_responses: int
    discrimination: float | FloatArray  # slope of the judge, (W,) unless all windows share it
    n_windows: IntArray  # (N,) number of windows of each response
    in_order: bool  # whether the windows are already in the order of their responses
    span: tuple[float, float]  # lowest and highest anchor; (0, 0) where there is none


@dataclass(frozen=True)
class ResponseBlock:
    """Some responses that have equally many windows M, one response per column.

    Utilities are on the judge's own scale, x = slope * u. The log-likelihood of the block's response is then
    ``-losses * x - sum_km log(1 + rivals_km * exp(-relative_m * x))``: stages after the one at which the response was
    picked do not involve it and have ``rivals = 0``.
    """

    rivals: FloatArray  # (K - 1, M, n) sum of exp(beta * anchor) over the anchors still unpicked at each stage
    losses: FloatArray  # (n,) number of anchors placed above the response, each counted ``relative`` times
    slope: float  # the smallest discrimination beta of any window of the whole input
    relative: FloatArray | None  # (M, n) discrimination of each window over ``slope``; None where all share it
    whole: WholeWindows | None = None  # where asked for


@dataclass(frozen=True)
class WholeWindows:
    """What it takes to know the probability of each window's whole ranking.

    Its logarithm is ``log_rest - losses * x - sum_k log(1 + rivals_k * exp(-x))``.
    """

    losses: FloatArray  # (M, n) number of anchors placed above the response
    log_rest: FloatArray  # (M, n) what does not depend on the response


def check_rankings(rankings: ArrayLike, anchor_utilities: ArrayLike) -> tuple[NDArray[np.integer], FloatArray]:
    """Return rankings (W, K) and anchors (W, K - 1) as arrays of the right type; raise ValueError for a wrong shape."""
    order = np.asarray(rankings)
    anchors = np.ascontiguousarray(anchor_utilities, dtype=np.float64)
    if order.ndim != 2 or order.shape[1] < 2:
        raise ValueError(f"rankings must have shape (W, K) with K >= 2, not {order.shape}")
    if not np.issubdtype(order.dtype, np.integer):
        raise ValueError(f"rankings must be integers, not {order.dtype}")
    if anchors.shape != (expected := (order.shape[0], order.shape[1] - 1)):
        raise ValueError(f"anchor_utilities must have shape {expected}, not {anchors.shape}")
    return order, anchors


def permutation_error(rankings: NDArray[np.integer], window: int) -> ValueError:
    """Return the error that a window's ranking is not a permutation."""
    k, found = rankings.shape[1], rankings[window].tolist()
    return ValueError(f"ranking of window {window} is not a permutation of 1..{k}: {found}")


def anchor_span(anchors: FloatArray) -> tuple[float, float]:
    """Return the lowest and the highest anchor, (0, 0) where there is none; raise ValueError if one is not finite."""
    if anchors.size == 0:
        return 0.0, 0.0
    lowest, highest = float(anchors.min()), float(anchors.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):  # NaN shows in the extremes too
        raise ValueError("anchor_utilities must be finite")
    return lowest, highest


def are_permutations(rankings: NDArray[np.integer], axis: int = -1) -> NDArray[np.bool_]:
    """Return which rankings hold each of the numbers 1..K once: bools of the shape without ``axis``, that of the K."""
    places = np.moveaxis(rankings, axis, 0)
    size = len(places)
    if size > _LARGEST_CODED_ITEM:
        return np.asarray((np.sort(np.moveaxis(places, 0, -1)) == np.arange(1, size + 1)).all(axis=-1))
    # K numbers that set K different bits are those K numbers. A shift beyond the 64 bits gives zero, so one pass
    # checks both range and repetition.
    bits = np.zeros(places.shape[1:], dtype=np.int64)
    for place in places:
        bits |= np.left_shift(np.int64(1), place, dtype=np.int64)
    return np.asarray(bits == (1 << (size + 1)) - 2)


def check_windows(
    rankings: ArrayLike,
    anchor_utilities: ArrayLike,
    response_index: ArrayLike,
    n_responses: int,
    discrimination: float | ArrayLike,
) -> AnchoredWindows:
    """Check the arguments of :func:`fit_utilities`, except for permutations, which :func:`response_blocks` checks.

    Raises
    ------
    ValueError
        Where a shape, a type or a value is wrong, or ``discrimination * anchor`` would overflow.
    """
    order, anchors = check_rankings(rankings, anchor_utilities)
    index = np.asarray(response_index)
    if index.shape != (order.shape[0],):
        raise ValueError(f"response_index must have shape {(order.shape[0],)}, not {index.shape}")
    if not np.issubdtype(index.dtype, np.integer) and index.size:
        raise ValueError(f"response_index must be integers, not {index.dtype}")
    if n_responses < 0:
        raise ValueError(f"n_responses must not be negative, got {n_responses}")
    index = index.astype(np.intp, copy=False)
    in_order = bool(np.all(index[1:] >= index[:-1]))
    if index.size:
        first, last = (index[0], index[-1]) if in_order else (index.min(), index.max())
        if first < 0 or last >= n_responses:
            raise ValueError(f"response_index must lie in 0..{n_responses - 1}")
    slope = np.asarray(discrimination, dtype=np.float64)
    if slope.ndim and slope.shape != index.shape:
        raise ValueError(f"discrimination must be a number or have shape {index.shape}, not {slope.shape}")
    if slope.size and not (np.all(np.isfinite(slope)) and slope.min() > 0):
        raise ValueError("discrimination must be finite and above zero")
    span = anchor_span(anchors)
    if slope.size and slope.max() * max(-span[0], span[1]) > LARGEST_EXPONENT:
        raise ValueError(f"discrimination times anchor utility must not exceed {LARGEST_EXPONENT:g}")
    # A panel whose judges happen to agree on the slope is one judge: one exp() per response instead of one per window.
    shared = slope.ndim == 0 or slope.size == 0 or slope.min() == slope.max()
    return AnchoredWindows(
        rankings=order,
        anchors=anchors,
        response_index=index,
        n_responses=n_responses,
        discrimination=float(slope.flat[0]) if shared and slope.size else 1.0 if shared else slope,
        n_windows=np.bincount(index, minlength=n_responses),
        in_order=in_order,
        span=span,
    )


def response_blocks(windows: AnchoredWindows, *, with_whole: bool = False) -> Iterator[tuple[IntArray, ResponseBlock]]:
    """Lay windows out by response, block after block.

    Responses that have equally many windows share a block: blocks need no padding, however uneven the responses are.

    Parameters
    ----------
    windows
        Checked; of one slope where `with_whole` is true.
    with_whole
        Whether blocks hold their `whole`.

    Yields
    ------
    responses : (n,) int array
        Which responses the columns of the block are. Every response that has a window comes once.
    block : ResponseBlock
        Their windows.

    Raises
    ------
    ValueError
        Where a ranking is not a permutation of 1..K.
    """
    index = windows.response_index
    order = None if windows.in_order else np.argsort(index, kind="stable")
    counts = windows.n_windows
    starts = np.cumsum(counts) - counts
    blocks = [
        members[first : first + step]
        for m in np.flatnonzero(np.bincount(counts))
        if m > 0
        for members in [np.flatnonzero(counts == m)]
        for step in [max(1, BLOCK_NUMBERS // (int(m) * windows.anchors.shape[1]))]
        for first in range(0, members.size, step)
    ]

    for responses in blocks:
        m = int(counts[responses[0]])
        low, high = starts[responses[0]], starts[responses[-1]] + m
        rows: slice | IntArray = slice(low, high)
        if order is not None or high - low != responses.size * m:
            rows = (starts[responses][:, None] + np.arange(m)).ravel()
            rows = rows if order is None else order[rows]
        yield responses, _lay_out(windows, rows, m, with_whole)


def _lay_out(windows: AnchoredWindows, rows: slice | IntArray, m: int, with_whole: bool) -> ResponseBlock:
    """Gather the windows ``rows``, m of each response, into one block."""
    rankings, anchors = windows.rankings[rows], windows.anchors[rows]
    k = rankings.shape[1]
    n = rankings.shape[0] // m
    # Places come before windows and responses from here on: every later pass runs along contiguous responses.
    weights = np.empty((k, m, n))
    weights[0] = 0.0
    logits = weights[1:]
    logits[...] = anchors.reshape(n, m, k - 1).transpose(2, 1, 0)
    slope, relative = windows.discrimination, None
    if not isinstance(slope, float):
        per_window = slope[rows].reshape(n, m).T
        slope = float(slope.min())
        relative = np.ascontiguousarray(per_window) / slope
        logits *= relative
    logits *= slope
    # Each anchor is picked once, whatever the order; what it was picked from is taken off below.
    log_rest = logits.sum(axis=0) if with_whole else None
    np.exp(logits, out=logits)

    items = np.array(rankings.reshape(n, m, k).transpose(2, 1, 0), dtype=np.intp, order="C")
    valid = are_permutations(items, axis=0)
    if not valid.all():
        first = np.flatnonzero(~valid.T.ravel())[0]
        raise permutation_error(windows.rankings, int(np.arange(len(windows.rankings))[rows][first]))
    is_response = items == 1
    items -= 1
    items *= m * n
    items += np.arange(m * n).reshape(m, n)
    picked = np.take(weights, items, mode="wrap")

    rivals = np.empty((k - 1, m, n))
    remaining = picked[k - 1]
    waiting = is_response[k - 1].astype(np.float64)  # 1 where the response is still unpicked
    losses = waiting.copy()
    if log_rest is not None:
        log_rest -= np.log(np.where(waiting, 1.0, remaining))
    for stage in range(k - 2, -1, -1):
        remaining += picked[stage]
        waiting += is_response[stage]
        np.multiply(remaining, waiting, out=rivals[stage])
        if stage:
            losses += waiting
        if log_rest is not None:
            # Once the response is picked, stages do not depend on it.
            log_rest -= np.log(np.where(waiting, 1.0, remaining))
    whole = None if log_rest is None else WholeWindows(losses.copy(), log_rest)
    if relative is not None:
        losses *= relative
    return ResponseBlock(rivals, losses.sum(axis=0), slope, relative, whole)
