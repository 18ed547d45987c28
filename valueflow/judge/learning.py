"""Which anchors a judge learns from where there are more than it can read in reasonable time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import row_keys
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY, Anchors

IntArray = npt.NDArray[np.int64]

_BINS = 20
"""Of the scale: a point wide each."""


def learned_rows(sets: Sequence[Anchors], part: tuple[int, int] | None) -> list[IntArray]:
    """Return which anchors of each set are learned from, ascending: all, or so many at most, drawn with a seed.

    The sets share them evenly; one that has fewer leaves the rest to the others. Of a set as many are taken from each
    point of the scale, as far as there are any. Seed and text alone decide which ones.
    """
    sizes = np.array([len(anchors) for anchors in sets])
    if part is None:
        return [np.arange(size) for size in sizes]
    most, seed = part
    return [_balanced(anchors, share, seed) for anchors, share in zip(sets, even_shares(sizes, most), strict=True)]


def even_shares(sizes: IntArray, most: int) -> list[int]:
    """Divide `most` evenly among parts of given sizes; what a part lacks goes to the others, the last few by order."""
    shares = np.zeros(len(sizes), dtype=np.int64)
    left = min(most, int(sizes.sum()))
    while left:
        open_parts = np.flatnonzero(shares < sizes)
        step = left // len(open_parts)
        if step == 0:
            shares[open_parts[:left]] += 1
            break
        given = np.minimum(sizes[open_parts] - shares[open_parts], step)
        shares[open_parts] += given
        left -= int(given.sum())
    return shares.tolist()


def _balanced(anchors: Anchors, n: int, seed: int) -> IntArray:
    width = (HIGHEST_INTENSITY - LOWEST_INTENSITY) / _BINS
    bins = np.clip(((anchors.intensities - LOWEST_INTENSITY) // width).astype(np.int64), 0, _BINS - 1)
    shares = np.array(even_shares(np.bincount(bins, minlength=_BINS), n))
    drawn = np.lexsort((row_keys(pd.DataFrame({"text": anchors.texts}), seed), bins))
    counts = np.bincount(bins, minlength=_BINS)
    place = np.arange(len(drawn)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(drawn[place < shares[bins[drawn]]])
