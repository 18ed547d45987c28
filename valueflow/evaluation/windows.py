"""Windows: which anchors a response meets, and in which order a prompt shows them."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import Windows
from valueflow.run import InputError, keyed_uniforms, row_keys, split_keys
from valueflow.vidb import Anchors, AnchorSampling, FixedSampling, check_count


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
    rows, for_anchors, prompt_order = _draws(keys, k, m, response_position)
    return Windows(
        responses=np.repeat(rows, m),
        anchors=sampling.draw(anchors, for_anchors),
        prompt_order=prompt_order,
        response_texts=texts,
        anchor_set=anchors,
    )


def build_anchor_windows(
    anchors: Anchors,
    sampling: AnchorSampling,
    *,
    k: int,
    m: int,
    response_position: Literal["random", "first"],
    seed: int,
) -> Windows:
    """Build m windows of k items for every anchor, as if it were a response: none holds the anchor as an anchor too.

    Parameters
    ----------
    anchors, sampling, k, m, response_position
        As in `build_windows`. The anchors of a window are drawn among the other ones; no two anchors of a value have
        one text.
    seed
        With an anchor's text, what its windows depend on.

    Returns
    -------
    Windows
        m for each anchor, in the order of the anchors' keys; response a is anchor a. With `FixedSampling` those that it
        lists have none: each would be missing in its own.

    Raises
    ------
    InputError
        The value has fewer than k anchors, or fixed ones leave none to score.
    """
    if len(anchors) < k:
        raise InputError(
            f"{anchors.theory}/{anchors.value} has {len(anchors)} anchors but task=calibrate with k={k} needs at least "
            f"{k}; set k to {len(anchors)} or less, or add anchors"
        )
    scored = np.arange(len(anchors))
    if isinstance(sampling, FixedSampling):
        scored = np.setdiff1d(scored, sampling.draw(anchors, np.zeros((1, k - 1))))
        if not len(scored):
            raise InputError("sampling.texts lists every anchor of the value; task=calibrate needs others to score")
    keys = row_keys(pd.DataFrame({"text": anchors.texts[scored]}), seed)
    places, for_anchors, prompt_order = _draws(keys, k, m, response_position)
    rows = scored[places]
    drawn = np.empty(for_anchors.shape, dtype=np.int64)
    for place, row in enumerate(rows.tolist()):
        own = slice(place * m, (place + 1) * m)
        others = np.delete(np.arange(len(anchors)), row)
        drawn[own] = others[sampling.draw(anchors[others], for_anchors[own])]
    return Windows(
        responses=np.repeat(rows, m),
        anchors=drawn,
        prompt_order=prompt_order,
        # A copy: windows whose responses are the anchors' own array are windows among one set of texts.
        response_texts=anchors.texts.copy(),
        anchor_set=anchors,
    )


def _draws(
    keys: npt.NDArray[np.uint64], k: int, m: int, response_position: Literal["random", "first"]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the rows in the order of their keys, uniforms (N*m, k-1) to draw anchors by, and the prompts' orders."""
    rows = np.argsort(keys, kind="stable")
    uniforms = keyed_uniforms(split_keys(keys[rows], m).ravel(), 2 * k - 1)
    order_draws = uniforms[:, k - 1 :].copy()
    if response_position == "first":
        order_draws[:, 0] = -1.0
    return rows, uniforms[:, : k - 1], np.argsort(order_draws, axis=1, kind="stable") + 1
