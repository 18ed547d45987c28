"""Sums over pairs of texts by what they share: correlation and mean distances without holding the pairs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import NONE, IntArray
from valueflow.hives.metrics.similarity import CountedMean, FloatArray


@dataclass
class PairSums:
    """Sums over pairs of texts, by kind of pair (2 * shared levels + same direction), for L = `depth` levels.

    Sums are of differences from `origin`, one of the similarities, so that equal similarities have no variance at all.
    `counts` and `sums` are (2L + 2,), each pair from both sides; `squares` is the sum over all kinds; `texts` is, for
    each name of a distance, the number of texts that have such a pair.
    """

    depth: int
    origin: float
    counts: IntArray
    sums: FloatArray
    squares: float
    texts: IntArray

    @classmethod
    def empty(cls, depth: int, origin: float) -> "PairSums":
        """Return sums over no pairs."""
        kinds = 2 * depth + 2
        return cls(depth, origin, np.zeros(kinds, np.int64), np.zeros(kinds), 0.0, np.zeros(depth + 3, np.int64))

    def _named(self, by_kind: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sum (..., 2L + 2) numbers to (..., L + 3), in the order of `distance_names`."""
        other, same = by_kind[..., 0::2], by_kind[..., 1::2]
        directions = [same.sum(axis=-1)[..., None], other.sum(axis=-1)[..., None]]
        return np.concatenate([other + same, *directions], axis=-1)

    def add(self, similarities: FloatArray, kind: npt.NDArray[np.int16]) -> None:
        """Add a block of (B, N) pairs; those of kind NONE are left out."""
        n_kinds = len(self.counts)
        away = np.where(kind == NONE, 0.0, similarities - self.origin)
        self.squares += float(np.vdot(away, away))
        # One place more for those left out.
        places = np.where(kind == NONE, n_kinds, kind) + (n_kinds + 1) * np.arange(len(kind))[:, None]
        places, shape = places.ravel(), (len(kind), n_kinds + 1)
        counts = np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)[:, :n_kinds]
        sums = np.bincount(places, away.ravel(), minlength=shape[0] * shape[1]).reshape(shape)[:, :n_kinds]
        self.counts += counts.sum(axis=0)
        self.sums += sums.sum(axis=0)
        self.texts += (self._named(counts) > 0).sum(axis=0)

    def correlation(self) -> float | None:
        """Correlate similarity with shared levels + 0.5 if the directions agree; None where either does not vary."""
        n = int(self.counts.sum())
        if np.count_nonzero(self.counts) < 2:
            return None
        alike = np.arange(len(self.counts)) / 2
        alike -= self.counts @ alike / n
        spread = self.squares - self.sums.sum() ** 2 / n
        if spread <= 0:
            return None
        cosine = self.sums @ alike / np.sqrt(spread * (self.counts @ alike**2))
        return float(np.clip(cosine, -1.0, 1.0))

    def distances(self) -> dict[str, CountedMean]:
        """Return the mean of 1 - similarity, and the number of texts that have such pairs, by name."""
        counts = self._named(self.counts)
        means = 1.0 - self.origin - self._named(self.sums) / np.maximum(counts, 1)
        return {
            name: (float(mean) if count else None, int(n))
            for name, mean, count, n in zip(
                distance_names(self.depth), means.tolist(), counts.tolist(), self.texts.tolist(), strict=True
            )
        }


def distance_names(depth: int) -> list[str]:
    """Return the names of all mean distances, in order."""
    return [*(f"shared_{levels}" for levels in range(depth + 1)), "same_direction", "other_direction"]
