"""Windows: which anchors a response meets, and in which order a prompt shows them."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import Windows
from valueflow.run import keyed_uniforms, row_keys, split_keys
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
    own: npt.NDArray[np.int64] | None = None,
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
    own
        (N,) which anchor each response is, where anchors are scored as responses: no window of it holds it. No two
        anchors of a value have one text.

    Returns
    -------
    Windows
        N*m windows, those of a response next to each other, responses in the order of their keys: the order of the
        rows does not change what a judge sees. The first windows do not depend on m.
    """
    check_count(anchors, k - 1)  # before any draw: a wrong k could ask for more than fits into memory
    rows = np.argsort(keys, kind="stable")
    uniforms, prompt_order = _draws(split_keys(keys[rows], m).ravel(), k, response_position)
    drawn = draw_anchors(anchors, sampling, uniforms, None if own is None else np.repeat(own[rows], m))
    return Windows(np.repeat(rows, m), drawn, prompt_order, texts, anchors)


def draw_anchors(
    anchors: Anchors,
    sampling: AnchorSampling,
    uniforms: npt.NDArray[np.float64],
    own: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Draw the anchors of W windows (W, K-1), given uniforms; of those other than `own` (W,), where that is given."""
    if own is None:
        return sampling.draw(anchors, uniforms)
    drawn = np.empty(uniforms.shape, dtype=np.int64)
    by_own = np.argsort(own, kind="stable")
    scored, starts = np.unique(own[by_own], return_index=True)
    for anchor, rows in zip(scored, np.split(by_own, starts[1:]), strict=True):
        others = np.delete(np.arange(len(anchors)), anchor)
        drawn[rows] = others[sampling.draw(anchors[others], uniforms[rows])]
    return drawn


def anchor_keys(texts: npt.NDArray[np.object_], seed: int) -> npt.NDArray[np.uint64]:
    """Return the key (N,) of each anchor that is scored as a response: its text and the seed decide its windows."""
    return row_keys(pd.DataFrame({"text": texts}), seed)


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
