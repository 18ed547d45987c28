"""Ranking accuracies in samples of texts: who is drawn counts as a query, and as a text that is compared."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from valueflow.hives.metrics.bootstrap import Resampled, Weights, divided
from valueflow.hives.metrics.similarity import FloatArray, whole_numbers

_NUMBERS_AT_ONCE = 1 << 23


class RankingSamples:
    """Sums up `ranking_accuracies` of blocks of queries in each of R samples with the (R, N) weights of the texts.

    What is summed is exact but for ties, which are as good as never there: here they count as wrong.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._sums = np.zeros((2, len(weights)))
        self._totals = np.zeros((2, len(weights)))

    def add(self, similarities: FloatArray, categories: npt.NDArray[np.integer], part: slice) -> None:
        """Add a block of queries, rows `part` of the texts; arguments as of `ranking_accuracies`."""
        n_categories = int(categories.max(initial=-1)) + 1
        # Ties in descending order of category, so that none of them is in order.
        order = np.lexsort((-categories, whole_numbers(similarities)), axis=1)
        ordered = np.take_along_axis(categories, order, axis=1)
        for samples in self._blocks(order.size):
            drawn = self._weights[samples][:, order]  # (r, B, N)
            drawn[:, ordered < 0] = 0.0
            queries = self._weights[samples, part].astype(np.float64)
            for place, figures in enumerate(_accuracies(drawn, ordered, n_categories)):
                counts = np.where(np.isnan(figures), 0.0, queries)
                self._sums[place, samples] += (np.nan_to_num(figures) * counts).sum(axis=1)
                self._totals[place, samples] += counts.sum(axis=1)

    def result(self) -> tuple[Resampled, Resampled]:
        """Return the mean pairwise and strict accuracy in each sample."""
        pairwise, strict = (
            Resampled(divided(sums, totals), totals) for sums, totals in zip(self._sums, self._totals, strict=True)
        )
        return pairwise, strict

    def _blocks(self, pairs: int) -> Iterator[slice]:
        size = max(_NUMBERS_AT_ONCE // max(pairs, 1), 1)
        for first in range(0, len(self._weights), size):
            yield slice(first, min(first + size, len(self._weights)))


def _accuracies(drawn: Weights, ordered: npt.NDArray[np.integer], n_categories: int) -> tuple[FloatArray, FloatArray]:
    """Return the (r, B) shares of pairs and of chains in order, from weights in ascending order of similarity."""
    wins, pairs, lower = (np.zeros(drawn.shape[:2]) for _ in range(3))
    present = np.zeros(drawn.shape[:2], dtype=np.int64)
    chains, strict = np.ones_like(drawn), np.ones(drawn.shape[:2])
    less = np.zeros_like(drawn)  # weight of all lower categories up to each place
    for category in range(n_categories):
        own = np.where(ordered == category, drawn, np.float32(0))
        count = own.sum(axis=2, dtype=np.float64)
        wins += np.einsum("rbn,rbn->rb", own, less, dtype=np.float64)
        pairs += count * lower
        lower += count
        less += np.cumsum(own, axis=2)
        there = count > 0
        present += there
        ended = np.cumsum(own * chains, axis=2) / np.maximum(count, 1)[:, :, None].astype(np.float32)
        chains = np.where(there[:, :, None], ended, chains)
        strict = np.where(there, ended[:, :, -1], strict)
    return divided(wins, pairs), np.where(present > 1, strict, np.nan)
