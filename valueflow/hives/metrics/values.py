"""Whether a text's neighbors share its values, and whether different values point in different directions."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from valueflow.hives.data import NONE, IntArray
from valueflow.hives.metrics.bootstrap import Resampled, Weights
from valueflow.hives.metrics.similarity import FloatArray, normalized, whole_numbers

_Number = TypeVar("_Number", np.int64, np.float64)

NO_NEIGHBOR = np.iinfo(np.int64).min
"""Nearness of a text to itself."""


@dataclass(frozen=True, eq=False)
class DistinctTexts:
    """Rows grouped by text.

    `member` is the (N,) place of each row's text among T texts, `order` the (N,) rows text by text, and `starts` where
    each of the T begins in it.
    """

    member: IntArray
    order: IntArray
    starts: IntArray

    @classmethod
    def of(cls, texts: IntArray) -> "DistinctTexts":
        """Group rows by their (N,) numbers of texts."""
        order = np.argsort(texts, kind="stable")
        _, starts, member = np.unique(texts[order], return_index=True, return_inverse=True)
        places = np.empty_like(order)
        places[order] = member.reshape(-1)
        return cls(places, order, starts)

    def mean(self, numbers: FloatArray) -> FloatArray:
        """Return the mean of the (N,) numbers of each text's rows, without NaN: (T,); NaN where there are no others."""
        known = ~np.isnan(numbers)
        sums = np.bincount(self.member, np.where(known, numbers, 0.0), minlength=len(self.starts))
        counts = np.bincount(self.member, known, minlength=len(self.starts))
        means = np.full(len(self.starts), np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    def highest(self, numbers: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """Return the highest of the (B, N) numbers of each text's rows: (B, T)."""
        return np.asarray(np.maximum.reduceat(numbers[:, self.order], self.starts, axis=1))


def knn_correct(
    similarities: FloatArray,
    rows: IntArray,
    groups: IntArray,
    prefixes: IntArray,
    k: int = 5,
    texts: IntArray | None = None,
) -> npt.NDArray[np.bool_]:
    """Return for each query and level whether its nearest neighbors vote for a prefix of its own.

    The k nearest of the other texts vote, once for each distinct prefix that they have at a level. Of the prefixes with
    most votes the one met first counts, from the nearest neighbor on. Equal similarities are ordered by group number,
    so that the order of the texts does not matter. A text in several rows votes once, by the nearest of them.

    Takes (B, N) similarities of the queries to all texts, from `cosine_similarities`; the (B,) queries' own numbers
    among the N texts; the (N,) number in `prefixes` of each text's paths; (G, W, L) paths as in `Labels.paths`; and
    k < N. Rows with the same number among the (N,) `texts` are one text, which is one neighbor of others and none of
    itself; None: every row is a text of its own. Returns (B, L).
    """
    n = similarities.shape[1]
    if not 1 <= k < n:
        raise ValueError(f"k must be from 1 to the number of other texts ({n - 1}), got {k}")
    keys, mask = nearness(similarities, groups, len(prefixes))
    distinct = DistinctTexts.of(np.arange(n) if texts is None else texts)
    keys = distinct.highest(keys)
    keys[np.arange(len(keys)), distinct.member[rows]] = NO_NEIGHBOR
    first = max(keys.shape[1] - k, 0)
    nearest = np.sort(np.partition(keys, first, axis=1)[:, first:], axis=1)[:, ::-1]
    # One kind more, of no prefix, for texts that have fewer than k neighbors.
    nobody = np.full((1, *prefixes.shape[1:]), NONE, dtype=np.int64)
    neighbors = np.where(nearest == NO_NEIGHBOR, len(prefixes), mask - (nearest & mask))
    return _elected(neighbors, np.concatenate([prefixes, nobody]), prefixes[groups[rows]])


def nearest_correct(
    similarities: FloatArray, groups: IntArray, prefixes: IntArray, own: IntArray
) -> npt.NDArray[np.bool_]:
    """Return for each query and level whether the nearest of N other texts names a prefix of its own.

    The vote of `knn_correct` with one neighbor, for queries that are not among the texts: takes (B, N) similarities
    from `cosine_similarities`, the (N,) number in `prefixes` of each text's paths, (G, W, L) paths and the (B, V, L)
    paths of the queries. Returns (B, L).
    """
    keys, mask = nearness(similarities, groups, len(prefixes))
    return _elected(mask - (keys.max(axis=1)[:, None] & mask), prefixes, own)


def nearness(similarities: FloatArray, groups: IntArray, n_groups: int) -> tuple[IntArray, int]:
    """Return (B, N) numbers that ascend with similarity and, where that is equal, descend with the group.

    The group is `mask` minus the number's last digits, `number & mask`.
    """
    bits = max(n_groups - 1, 1).bit_length()
    mask = (1 << bits) - 1
    return (whole_numbers(similarities) << bits) | (mask - groups), mask


def _elected(neighbors: IntArray, prefixes: IntArray, own: IntArray) -> npt.NDArray[np.bool_]:
    """Return for each query and level whether its (B, k) neighbors, by group, vote for one of its (B, V, L) own."""
    correct = np.empty((len(neighbors), prefixes.shape[2]), dtype=bool)
    for level in range(prefixes.shape[2]):
        votes = without_repeats(prefixes[:, :, level])[neighbors].reshape(len(neighbors), -1)
        counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        counts[votes == NONE] = 0
        # argmax takes the first of equals, and votes are in the order of their neighbors.
        winners = np.take_along_axis(votes, counts.argmax(axis=1)[:, None], axis=1)
        correct[:, level] = ((own[:, :, level] == winners) & (winners != NONE)).any(axis=1)
    return correct


def orthogonality(embeddings: FloatArray, paths: IntArray) -> float | None:
    """Return the mean over pairs of values of 1 - |cos| of their vectors; None for fewer than two values.

    Takes (N, D) normalized embeddings and (N, W, L) paths as in `Labels.paths`. A value is a whole path; its vector is
    the mean of its texts, and a text with several paths counts for each. Values whose texts cancel out to zero have no
    direction and are left out.
    """
    found = resampled_orthogonality(embeddings, paths, np.ones((1, len(embeddings)), dtype=np.float32)).values[0]
    return None if np.isnan(found) else float(found)


def resampled_orthogonality(embeddings: FloatArray, paths: IntArray, weights: Weights) -> Resampled:
    """Return `orthogonality` in each of R samples with the (R, N) weights of the texts; NaN for fewer than two."""
    leaves = without_repeats(paths[:, :, -1])
    texts, slots = np.nonzero(leaves != NONE)
    values, member = np.unique(leaves[texts, slots], return_inverse=True)
    belongs = coo_array((np.ones(len(texts)), (member, texts)), shape=(len(values), len(embeddings))).tocsr()
    found = np.full(len(weights), np.nan)
    for number, drawn in enumerate(weights.astype(np.float64)):
        sums, counts = belongs @ (drawn[:, None] * embeddings), belongs @ drawn
        # The length of a sum against the number of its texts: what is left of a sum that cancels out is rounding.
        vectors = normalized(sums[np.linalg.norm(sums, axis=1) > 1e-12 * counts])
        n = len(vectors)
        if n > 1:
            cosines = np.minimum(np.abs(vectors @ vectors.T), 1.0)
            np.fill_diagonal(cosines, 0.0)
            found[number] = 1.0 - cosines.sum() / (n * (n - 1))
    return Resampled(found, weights.sum(axis=1, dtype=np.float64))


def without_repeats(numbers: IntArray) -> IntArray:
    """Keep the first of equal numbers in each row of (G, W) and put NONE for the others."""
    repeated = np.zeros(numbers.shape, dtype=bool)
    for w in range(1, numbers.shape[1]):
        repeated[:, w] = (numbers[:, :w] == numbers[:, w : w + 1]).any(axis=1)
    return np.where(repeated, NONE, numbers)
