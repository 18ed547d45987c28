"""Which anchors tell most about a response, given what is known of it so far.

In a window, each comparison of the response with an anchor gives Fisher information ``beta**2 s (1 - s)`` about its
utility u, with ``s = 1 / (1 + exp(-beta (u - anchor)))``: most where the anchor is as strong as the response. What is
known of u is a posterior on a grid of utilities, so the information of an anchor is averaged over it.

The comparisons of one window are not independent: with K items of equal utility, a window gives
``beta**2 (K - H_K) / K`` (H_K: the harmonic number), not ``beta**2 (K - 1) / 4``. The ratio of the two hardly depends
on where the anchors are, so it turns the sum over a window's comparisons into the information of the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from .windows import BLOCK_NUMBERS, FloatArray, IntArray


@dataclass(frozen=True)
class AnchorChoice:
    """The next window of N responses.

    Attributes
    ----------
    anchors : (N, S) int array
        Different anchors, ascending by index.
    information : (N,) float array
        Posterior mean of the information that the window gives, per squared point.
    """

    anchors: IntArray
    information: FloatArray


def anchor_information(
    utilities: ArrayLike, places: ArrayLike, discriminations: ArrayLike, lapse_rates: ArrayLike = 0.0
) -> FloatArray:
    """Return the information about a response's utility that a comparison with each anchor gives.

    Parameters
    ----------
    utilities : (G,) array of float
        Where the response may stand, in points.
    places : (J, A) array of float
        Where each judge that ranks the window sees each anchor, in points; (A,) where all see them there.
    discriminations : (J,) array of float
        Slope beta of each judge, per point.
    lapse_rates : (J,) array of float or float, default 0
        Share e of each judge's rankings that are given at random, and tell nothing.

    Returns
    -------
    (G, A) float array
        Per squared point: ``sum_j (1 - e_j) beta_j**2 s_j (1 - s_j)``.
    """
    grid, slopes = np.asarray(utilities, dtype=np.float64), np.asarray(discriminations, dtype=np.float64)
    seen = np.asarray(places, dtype=np.float64)
    information = np.zeros((grid.size, seen.shape[-1]))
    weights = np.broadcast_to((1 - np.asarray(lapse_rates, dtype=np.float64)) * slopes**2, slopes.shape)
    seen = np.broadcast_to(seen, (slopes.size, seen.shape[-1]))
    for beta, weight, own in zip(slopes.tolist(), weights.tolist(), seen, strict=True):
        logits = beta * np.subtract.outer(grid, own)
        information += weight * expit(logits) * expit(-logits)
    return information


def choose_anchors(
    posterior: FloatArray,
    utilities: FloatArray,
    places: FloatArray,
    discriminations: FloatArray,
    met: NDArray[np.integer],
    uniforms: FloatArray,
    *,
    lapse_rates: ArrayLike = 0.0,
    repeat_factor: float = 0.7,
    left_out: NDArray[np.integer] | None = None,
) -> AnchorChoice:
    """Choose for each response the anchors that tell most about it.

    These are the S anchors with the highest posterior mean of :func:`anchor_information`, times ``repeat_factor`` for
    every time that the response has met the anchor before.

    Parameters
    ----------
    posterior : (N, G) array of float
        Probabilities of the utilities; each row sums to 1.
    utilities : (G,) array of float
        The grid, in points.
    places, discriminations, lapse_rates
        As in :func:`anchor_information`.
    met : (N, M) array of int
        Anchors that each response has met, one as often as it was met.
    uniforms : (N, S) array of float
        Numbers in [0, 1) that decide among anchors that tell equally much; all of them are equally likely.
    repeat_factor : float, default 0.7
        An anchor whose own utility is wrong misleads each time, so a response should meet more than the same few.
    left_out : (N,) array of int, optional
        An anchor that each response must not meet.

    Raises
    ------
    ValueError
        There are fewer than S anchors to choose from.

    Notes
    -----
    Works in blocks of responses: memory does not grow with N times A.
    """
    n_responses, size = uniforms.shape
    n_anchors = places.shape[-1]
    n_eligible = n_anchors - (left_out is not None)
    if size > n_eligible:
        raise ValueError(f"cannot choose {size} of {n_eligible} anchors")
    # Anchors at one place tell equally much, to the last bit: computed once, they tie.
    levels, level_of = np.unique(np.atleast_2d(places), axis=1, return_inverse=True)
    level_of = level_of.ravel()
    information = anchor_information(utilities, levels, discriminations, lapse_rates)
    chosen, expected = np.empty((n_responses, size), dtype=np.intp), np.empty(n_responses)
    step = max(1, BLOCK_NUMBERS * 8 // n_anchors)
    for first in range(0, n_responses, step):
        block = slice(first, first + step)
        by_level = posterior[block] @ information
        weighed = by_level[:, level_of]
        rows = np.arange(len(weighed))
        np.multiply.at(weighed, (np.repeat(rows, met.shape[1]), met[block].ravel()), repeat_factor)
        if left_out is not None:
            weighed[rows, left_out[block]] = -np.inf
        for draw in range(size):
            picked = _highest(weighed, uniforms[block, draw])
            chosen[block, draw] = picked
            weighed[rows, picked] = -np.inf
        expected[block] = np.take_along_axis(by_level, level_of[chosen[block]], axis=1).sum(axis=1)
    return AnchorChoice(np.sort(chosen, axis=1), expected * _dependence(size + 1))


def posterior_sd(posterior: FloatArray, utilities: FloatArray) -> FloatArray:
    """Return the standard deviation (N,) of posteriors (N, G) on a grid of utilities (G,), in points."""
    mean = posterior @ utilities
    # Rounding can leave a certain posterior just below zero.
    return np.asarray(np.sqrt(np.maximum(posterior @ utilities**2 - mean**2, 0.0)))


def _dependence(k: int) -> float:
    """Information of a window of K equal items, as a share of the sum over its comparisons."""
    return float(4 * (k - (1 / np.arange(1, k + 1)).sum()) / (k * (k - 1)))


def _highest(numbers: FloatArray, uniforms: FloatArray) -> IntArray:
    """Return the column of each row's highest number; where several are, the uniform decides."""
    columns: IntArray = numbers.argmax(axis=1)
    is_highest = numbers == numbers[np.arange(len(numbers)), columns][:, None]
    ties = is_highest.sum(axis=1)
    several = np.flatnonzero(ties > 1)
    rank = (uniforms[several] * ties[several]).astype(np.intp)
    columns[several] = (np.cumsum(is_highest[several], axis=1) > rank[:, None]).argmax(axis=1)
    return columns
