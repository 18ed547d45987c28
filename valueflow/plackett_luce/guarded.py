"""The published evaluator's rule, for comparing scores with published ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .maximum import log_posterior_derivatives
from .windows import FloatArray, ResponseBlock, check_windows, response_blocks

_PRIOR_PRECISION = 1e-3
# Published scores are those of a bisection that stops at the first such gradient, up to 2e-6 of a point from the root.
_GRADIENT_TOLERANCE = 1e-6
_HALVINGS = 60
_ROOT_BOUNDS = (-20.0, 20.0)
_SCORE_BOUNDS = (-10.0, 10.0)
_END_TOLERANCE = 1e-12
_INSET = 1e-6


def window_guarded(
    rankings: ArrayLike, anchor_utilities: ArrayLike, response_index: ArrayLike, n_responses: int
) -> FloatArray:
    """Score responses by the published rule: discrimination 1 and clamps to each response's own windows.

    In this order: the root of the gradient on [-20, 20] (prior precision 1e-3), found by bisection until the gradient
    is below 1e-6, like the published scores; clipped to the lowest and highest anchor of all windows given; ranked
    below every anchor in every window, the float just below the response's own lowest anchor; above every anchor in
    every window, the float just above its highest; otherwise clamped between the two, and moved 1e-6 inside where it
    lands within 1e-12 of an end; last, clipped to [-10, 10].

    Parameters
    ----------
    rankings, anchor_utilities, response_index, n_responses
        As in :func:`fit_utilities`.

    Returns
    -------
    (N,) float array
        Scores in points; NaN for a response without a window.

    Raises
    ------
    ValueError
        Where an argument is out of its range, or a ranking is not a permutation of 1..K.
    """
    windows = check_windows(rankings, anchor_utilities, response_index, n_responses, 1.0)
    root = np.full(n_responses, np.nan)
    for responses, block in response_blocks(windows):
        root[responses] = _bisect(block)
    index, k = windows.response_index, windows.rankings.shape[1]
    lowest, highest = np.full(n_responses, np.inf), np.full(n_responses, -np.inf)
    np.minimum.at(lowest, index, windows.anchors.min(axis=1))
    np.maximum.at(highest, index, windows.anchors.max(axis=1))
    above_all, below_all = np.ones(n_responses, dtype=np.bool_), np.ones(n_responses, dtype=np.bool_)
    above_all[index[windows.rankings[:, 0] != 1]] = False
    below_all[index[windows.rankings[:, k - 1] != 1]] = False

    score = np.clip(root, *windows.span)
    score = np.clip(score, lowest, highest)
    score = np.where(np.abs(score - lowest) <= _END_TOLERANCE, lowest + _INSET, score)
    score = np.where(np.abs(score - highest) <= _END_TOLERANCE, highest - _INSET, score)
    score = np.where(below_all, np.nextafter(lowest, -np.inf), score)
    score = np.where(above_all, np.nextafter(highest, np.inf), score)
    return np.where(np.isnan(root), np.nan, np.clip(score, *_SCORE_BOUNDS))


def _bisect(block: ResponseBlock) -> FloatArray:
    """Halve [-20, 20] around each column's root until the gradient is flat; an end where the root lies outside."""
    n = block.losses.size
    low, high = np.full(n, _ROOT_BOUNDS[0]), np.full(n, _ROOT_BOUNDS[1])
    root, unfinished = np.empty(n), np.ones(n, dtype=np.bool_)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        gradient = log_posterior_derivatives(middle, block, _PRIOR_PRECISION)[0]
        root[unfinished] = middle[unfinished]
        unfinished &= np.abs(gradient) >= _GRADIENT_TOLERANCE
        if not unfinished.any():
            break
        rising = gradient > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return root
