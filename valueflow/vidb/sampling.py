"""Which anchors a window holds: one class per method, each turning uniform numbers into draws.

Randomness comes in as an array, so that a draw is a pure function of it: the caller derives the numbers from the
response itself, and the same response is compared with the same anchors in any run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from valueflow.run import InputError, nearest, read_table, rename_columns, shorten, text_column
from valueflow.vidb.anchors import Anchors

Indices = npt.NDArray[np.int64]
Uniforms = npt.NDArray[np.float64]


class AnchorSampling(Protocol):
    """Draws the anchors of windows."""

    def draw(self, anchors: Anchors, uniforms: Uniforms) -> Indices:
        """Draw different anchors for each window.

        Parameters
        ----------
        anchors
            The value's anchors.
        uniforms
            (W, K-1) numbers in [0, 1), all the randomness there is.

        Returns
        -------
        (W, K-1) array
            Indices into `anchors`, no two equal in a row.

        Raises
        ------
        InputError
            The value has fewer than K-1 anchors.
        """
        ...


@dataclass(frozen=True)
class RandomSampling:
    """K-1 anchors without replacement, every one as likely as any other."""

    def draw(self, anchors: Anchors, uniforms: Uniforms) -> Indices:
        """Draw as `AnchorSampling.draw` says."""
        check_count(anchors, uniforms.shape[1])
        return _without_replacement(uniforms, len(anchors))


@dataclass(frozen=True)
class BucketSampling:
    """One anchor from each of K-1 equal-width bins between the lowest and the highest anchor.

    An empty bin draws from the nearest bin that has an anchor to spare (the lower one of two equally near), so that
    every window spans the scale and no anchor appears twice.
    """

    def draw(self, anchors: Anchors, uniforms: Uniforms) -> Indices:
        """Draw as `AnchorSampling.draw` says."""
        n_bins = uniforms.shape[1]
        check_count(anchors, n_bins)
        low, high = anchors.intensities[0], anchors.intensities[-1]
        edges = np.linspace(low, high, n_bins + 1)
        # Anchors ascend, so a bin is a run of them; the last bin holds the highest anchor too.
        starts = np.searchsorted(anchors.intensities, edges[:-1], side="left")
        starts[0] = 0
        ends = np.append(starts[1:], len(anchors))
        sources = _bin_sources(ends - starts)
        indices = np.empty(uniforms.shape, dtype=np.int64)
        for source in np.unique(sources):
            columns = np.flatnonzero(sources == source)
            size = int(ends[source] - starts[source])
            indices[:, columns] = starts[source] + _without_replacement(uniforms[:, columns], size)
        return indices


@dataclass(frozen=True)
class FixedSampling:
    """The same named anchors in every window.

    Attributes
    ----------
    texts
        The K-1 texts, or the path of a table with a `text` column that lists them.
    """

    texts: Sequence[str] | str | None = None

    def draw(self, anchors: Anchors, uniforms: Uniforms) -> Indices:
        """Draw as `AnchorSampling.draw` says; the uniforms only say how many windows there are.

        Raises
        ------
        InputError
            There is no list, its length is not K-1, or a text of it is no anchor of the value.
        """
        texts = self._listed()
        n_windows, n_anchors = uniforms.shape
        if len(texts) != n_anchors:
            raise InputError(
                f"sampling.texts lists {len(texts)} anchors but k={n_anchors + 1} needs {n_anchors}; "
                f"list {n_anchors}, or set k={len(texts) + 1}"
            )
        position = {text: index for index, text in enumerate(anchors.texts)}
        for text in texts:
            if text not in position:
                near = nearest(text, list(position)).split("Known:")[0].strip()
                raise InputError(
                    f"sampling.texts: '{shorten(text)}' is no anchor of {anchors.value} in the VIDB"
                    + (f"; {near}" if near else "")
                )
        indices = np.array([position[text] for text in texts], dtype=np.int64)
        if len(set(texts)) < len(texts):
            raise InputError("sampling.texts lists an anchor twice; a window holds each once")
        return np.tile(indices, (n_windows, 1))

    def _listed(self) -> list[str]:
        if self.texts is None or (not isinstance(self.texts, str) and len(self.texts) == 0):
            raise InputError(
                "sampling=fixed needs sampling.texts: a list of k-1 anchor texts, or a table with a 'text' column"
            )
        if isinstance(self.texts, str):
            frame = rename_columns(read_table(self.texts, "sampling.texts"), {}, ["text"], self.texts)
            return [str(text) for text in text_column(frame, "text", self.texts)]
        return [str(text) for text in self.texts]


def check_count(anchors: Anchors, needed: int) -> None:
    """Raise InputError where a value has fewer anchors than a window needs."""
    if len(anchors) < needed:
        raise InputError(
            f"{anchors.theory}/{anchors.value} has {len(anchors)} anchors but k={needed + 1} needs at least {needed}; "
            f"set k to {len(anchors) + 1} or less, or add anchors"
        )


def _without_replacement(uniforms: Uniforms, size: int) -> Indices:
    """Turn uniforms (W, n) into n different indices below `size` per row, all ordered choices equally likely.

    Draw j picks a rank among the size - j indices that are left; skipping those chosen before, in ascending order,
    turns the rank into an index. The loops run over draws, not rows.
    """
    n_windows, n_draws = uniforms.shape
    ranks = (uniforms * (size - np.arange(n_draws))).astype(np.int64)
    chosen = np.empty((n_windows, n_draws), dtype=np.int64)
    for draw in range(n_draws):
        index = ranks[:, draw].copy()
        for earlier in np.sort(chosen[:, :draw], axis=1).T:
            index += index >= earlier
        chosen[:, draw] = index
    return chosen


def _bin_sources(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each bin the bin it draws from: itself, or where empty the nearest with an anchor to spare."""
    bins = np.arange(len(counts))
    spare = counts - (counts > 0)
    sources = bins.copy()
    for empty in bins[counts == 0]:
        candidates = bins[spare > 0]
        # The first of equally near candidates is the lower one.
        sources[empty] = candidates[np.argmin(np.abs(candidates - empty))]
        spare[sources[empty]] -= 1
    return sources
