"""Windows: which anchors a response meets, and in which order a prompt shows them."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.judge import Windows
from valueflow.run import keyed_uniforms, split_keys
from valueflow.vidb import Anchors, AnchorSampling, check_count


def build_windows(
    keys: npt.NDArray[np.uint64],
    texts: npt.NDArray[np.object_],
    anchors: Anchors,
    sampling: AnchorSampling,
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
        Items per window, windows per response.
    response_position
        `random`: all orders of a prompt are equally likely, so that a judge's position bias
        cannot become a score. `first`: the response leads, the anchors follow shuffled.

    Returns
    -------
    Windows
        N*m windows, those of a response next to each other, responses in the order of their keys: the order of the
        rows does not change what a judge sees. The first windows do not depend on m.
    """
    check_count(anchors, k - 1)  # before any draw: a wrong k could ask for more than fits into memory
    rows = np.argsort(keys, kind="stable")
    uniforms, prompt_order = _draws(split_keys(keys[rows], m).ravel(), k, response_position)
    return Windows(np.repeat(rows, m), sampling.draw(anchors, uniforms), prompt_order, texts, anchors)


def window_draws(
    keys: npt.NDArray[np.uint64], number: int, k: int, response_position: Literal["random", "first"]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Draw for one window of each response, as `build_windows` does for its window of that number, from 0.

    Returns
    -------
    uniforms
        (N, K-1) random numbers in [0, 1) for the choice of anchors.
    prompt_order
        (N, K) item numbers in the order in which a prompt shows them.
    """
    return _draws(split_keys(keys, number + 1)[:, number], k, response_position)


def _draws(
    window_keys: npt.NDArray[np.uint64], k: int, response_position: Literal["random", "first"]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    uniforms = keyed_uniforms(window_keys, 2 * k - 1)
    order_draws = uniforms[:, k - 1 :].copy()
    if response_position == "first":
        order_draws[:, 0] = -1.0
    return uniforms[:, : k - 1], np.argsort(order_draws, axis=1, kind="stable") + 1
