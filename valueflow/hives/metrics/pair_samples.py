"""Sums over pairs of texts in samples of texts: who is drawn twice counts twice, but makes no pair with itself."""

from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.hives.metrics.bootstrap import Resampled, Weights
from valueflow.hives.metrics.pair_sums import PairSums, correlations, distance_names, named_sums
from valueflow.hives.metrics.similarity import FloatArray


class PairSamples:
    """What `PairSums` sums up, in each of R samples with the (R, N) weights of the texts."""

    def __init__(self, weights: Weights, depth: int, origin: float) -> None:
        kinds = 2 * depth + 2
        self._weights, self._origin = weights, origin
        self._counts, self._sums = np.zeros((len(weights), kinds)), np.zeros((len(weights), kinds))
        self._squares = np.zeros(len(weights))

    def add(self, similarities: FloatArray, kind: npt.NDArray[np.int16], part: slice) -> None:
        """Add a block of (B, N) pairs, rows `part` of the texts; those of kind NONE are left out."""
        away = (similarities - self._origin).astype(np.float32)
        for number in range(self._counts.shape[1]):
            own = kind == number
            if own.any():
                self._counts[:, number] += self._weighted(own.astype(np.float32), part)
                self._sums[:, number] += self._weighted(np.where(own, away, np.float32(0)), part)
                self._squares += self._weighted(np.where(own, away**2, np.float32(0)), part)

    def _weighted(self, pairs: npt.NDArray[np.float32], part: slice) -> FloatArray:
        """Sum (B, N) numbers of pairs, each times the weights of both texts: (R,)."""
        return np.asarray(np.einsum("rn,rn->r", self._weights[:, part] @ pairs, self._weights, dtype=np.float64))

    def correlation(self) -> Resampled:
        """Return the similarity correlation in each sample."""
        return Resampled(
            correlations(self._counts, self._sums, self._squares), self._weights.sum(axis=1, dtype=np.float64)
        )

    def distances(self, whole: PairSums) -> dict[str, Resampled]:
        """Return the mean distances in each sample, weighted between theories as those of all texts, `whole`."""
        means = self._means()
        return {
            name: self._weighing(means[:, place], whole.texts[place])
            for place, name in enumerate(distance_names(whole.depth))
        }

    def ratios(self, whole: PairSums) -> dict[str, Resampled]:
        """Return the quotients of mean distances in each sample, of the same kinds of pairs as those of all texts."""
        means = self._means()
        found = {}
        for name, (upper, lower) in whole.ratio_places().items():
            values = np.full(len(means), np.nan)
            if lower is not None:
                with np.errstate(divide="ignore", invalid="ignore"):
                    values = means[:, upper] / means[:, lower]
                values[~np.isfinite(values)] = np.nan
            found[name] = self._weighing(values, min(whole.texts[upper], whole.texts[lower or 0]))
        return found

    def _means(self) -> npt.NDArray[Any]:
        counts = named_sums(self._counts)
        with np.errstate(invalid="ignore"):
            return np.where(counts > 0, 1.0 - self._origin - named_sums(self._sums) / np.maximum(counts, 1), np.nan)

    def _weighing(self, values: FloatArray, texts: int) -> Resampled:
        return Resampled(values, np.full(len(values), float(texts)))
