"""Windows: which anchors a response meets, and in which order a prompt shows them."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.judge import Windows
from valueflow.vidb import Anchors, Sampling, check_count


def split_keys(keys: npt.NDArray[np.uint64], n: int) -> npt.NDArray[np.uint64]:
    """Derive n keys from each key.

    Parameters
    ----------
    keys
        (N,) 64-bit keys.
    n
        How many a key. The first ones do not depend on how many are asked for.

    Returns
    -------
    (N, n) array
        Well-mixed 64-bit keys.

    Notes
    -----
    SplitMix64 (Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators) with the
    key as its state: based on a counter, so that all rows are drawn at once.
    """
    with np.errstate(over="ignore"):
        state = keys[:, None] + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)


def keyed_uniforms(keys: npt.NDArray[np.uint64], n: int) -> npt.NDArray[np.float64]:
    """Return (N, n) uniform numbers in [0, 1), of 53 bits, that depend on nothing but key and column."""
    return np.asarray((split_keys(keys, n) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def build_windows(
    keys: npt.NDArray[np.uint64],
    texts: npt.NDArray[np.object_],
    anchors: Anchors,
    sampling: Sampling,
    *,
    k: int,
    m: int,
    response_position: Literal["random", "first"],
) -> Windows:
    """Build m windows of k items for every response.

    Parameters
    ----------
    keys, texts
        (N,) key (`response_keys`) and text of each response.
    anchors, sampling
        The value's anchors and how to draw among them.
    k, m
        Items in a window, windows a response.
    response_position
        `random`: all orders of a prompt are equally likely, so that a judge's liking for a place
        in the list cannot become a score. `first`: the response leads, the anchors follow shuffled.

    Returns
    -------
    Windows
        N*m windows, those of a response next to each other. The first windows do not depend on m.
    """
    check_count(anchors, k - 1)  # before anything is drawn: a slip in k could ask for more than fits into memory
    uniforms = keyed_uniforms(split_keys(keys, m).ravel(), 2 * k - 1)
    order_draws = uniforms[:, k - 1 :].copy()
    if response_position == "first":
        order_draws[:, 0] = -1.0
    return Windows(
        responses=np.repeat(np.arange(len(keys)), m),
        anchors=sampling.draw(anchors, uniforms[:, : k - 1]),
        prompt_order=np.argsort(order_draws, axis=1, kind="stable") + 1,
        response_texts=texts,
        anchor_set=anchors,
    )
