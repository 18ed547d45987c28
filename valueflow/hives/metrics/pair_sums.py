"""Sums over pairs of texts by what they share: correlation and mean distances without holding the pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import NONE, IntArray
from valueflow.hives.metrics.counted import CountedMean
from valueflow.hives.metrics.similarity import GRID_BITS, FloatArray

_SAME, _OTHER = "_same_direction", "_other_direction"


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
        kinds, names = 2 * depth + 2, len(distance_names(depth))
        return cls(depth, origin, np.zeros(kinds, np.int64), np.zeros(kinds), 0.0, np.zeros(names, np.int64))

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
        self.texts += (named_sums(counts) > 0).sum(axis=0)

    def correlation(self) -> float | None:
        """Correlate similarity with shared levels + 0.5 if the directions agree; None where either does not vary."""
        found = float(correlations(self.counts, self.sums, np.array(self.squares)))
        return None if np.isnan(found) else found

    def distances(self) -> dict[str, CountedMean]:
        """Return the mean of 1 - similarity, and the number of texts that have such pairs, by name."""
        means, counts = self._means()
        return {
            name: CountedMean(float(mean) if count else None, int(n))
            for name, mean, count, n in zip(
                distance_names(self.depth), means.tolist(), counts.tolist(), self.texts.tolist(), strict=True
            )
        }

    def ratios(self) -> dict[str, CountedMean]:
        """Return quotients of mean distances by name, each with the smaller of the numbers of texts of both.

        None where there are no pairs of one kind, or where the divisor is no more than the rounding of similarities.
        """
        means, counts = self._means()
        found = {}
        for name, (upper, lower) in self.ratio_places().items():
            if lower is None or not counts[upper] or means[lower] <= 2.0**-GRID_BITS:
                found[name] = CountedMean(None, 0)
            else:
                texts = min(self.texts[upper], self.texts[lower])
                found[name] = CountedMean(float(means[upper] / means[lower]), int(texts))
        return found

    def ratio_places(self) -> dict[str, tuple[int, int | None]]:
        """Return the places of dividend and divisor of each ratio among the distances; None if no divisor has pairs."""
        counts = named_sums(self.counts)
        places = {name: place for place, name in enumerate(distance_names(self.depth))}
        return {
            name: (places[upper], next((places[lower] for lower in divisors if counts[places[lower]]), None))
            for name, upper, divisors in _ratios(self.depth)
        }

    def _means(self) -> tuple[FloatArray, IntArray]:
        """Return mean distances and numbers of pairs, in the order of `distance_names`; 1 - origin without pairs."""
        counts = named_sums(self.counts)
        return 1.0 - self.origin - named_sums(self.sums) / np.maximum(counts, 1), counts


def named_sums(by_kind: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sum (..., 2L + 2) numbers of kinds of pairs to those of `distance_names`, in their order."""
    other, same = by_kind[..., 0::2], by_kind[..., 1::2]
    directions = [same.sum(axis=-1)[..., None], other.sum(axis=-1)[..., None]]
    return np.concatenate([other + same, *directions, same, other], axis=-1)


def correlations(counts: npt.NDArray[Any], sums: FloatArray, squares: FloatArray) -> FloatArray:
    """Correlate similarity with shared levels + 0.5 if the directions agree, from sums over pairs.

    Takes (..., 2L + 2) counts and sums and (...) sums of squares as in `PairSums`; NaN where either does not vary.
    """
    n = np.maximum(counts.sum(axis=-1), 1)
    alike = np.arange(counts.shape[-1]) / 2 - (counts @ (np.arange(counts.shape[-1]) / 2) / n)[..., None]
    spread = squares - sums.sum(axis=-1) ** 2 / n
    varies = ((counts > 0).sum(axis=-1) > 1) & (spread > 0)
    covariance = (sums * alike).sum(axis=-1)
    scale = np.sqrt(np.where(varies, spread * (counts * alike**2).sum(axis=-1), 1.0))
    return np.where(varies, np.clip(covariance / scale, -1.0, 1.0), np.nan)


def distance_names(depth: int) -> list[str]:
    """Return the names of all mean distances, in order."""
    levels = [f"shared_{shared}" for shared in range(depth + 1)]
    both = [f"{level}{direction}" for direction in (_SAME, _OTHER) for level in levels]
    return [*levels, "same_direction", "other_direction", *both]


def ratio_names(depth: int) -> list[str]:
    """Return the names of all ratios of mean distances, in order."""
    return [name for name, _, _ in _ratios(depth)]


def _ratios(depth: int) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, dividend and divisors, of which the first that has pairs counts.

    The other direction is divided by the same one, and texts that share a number of levels by those that share more.
    """
    levels = range(depth + 1)
    for shared in levels:
        level = f"shared_{shared}"
        yield f"{level}_other_to_same_direction", f"{level}{_OTHER}", [f"{level}{_SAME}"]
    for direction in ("", _SAME, _OTHER):
        for shared in levels[:-1]:
            more = [f"shared_{other}{direction}" for other in levels[shared + 1 :]]
            yield f"shared_{shared}_to_next{direction}", f"shared_{shared}{direction}", more
