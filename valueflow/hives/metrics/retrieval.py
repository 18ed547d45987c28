"""How well texts find those of the same concept in other theories.

References
----------
McSherry, F., Najork, M. (2008). Computing information retrieval performance measures efficiently in the presence of
tied scores. ECIR 2008, 414-421.
"""

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from valueflow.hives.data import NONE, BoolArray, IntArray
from valueflow.hives.metrics.similarity import FloatArray, cosine_similarities, row_blocks, whole_numbers
from valueflow.hives.metrics.values import DistinctTexts


def average_precisions(similarities: FloatArray, relevant: BoolArray) -> FloatArray:
    """Return each query's average precision: the mean share of relevant texts down to each of the relevant ones.

    Takes (B, N) similarities from `cosine_similarities`, and which of the (B, N) should come first. Where similarities
    are tied, it is the expected value over all orders of the tied texts (McSherry and Najork, 2008); NaN for a query
    without relevant texts.
    """
    n = similarities.shape[1]
    keys = (-whole_numbers(similarities) << 1) | relevant
    keys.sort(axis=1)
    levels, is_relevant = keys >> 1, keys & 1
    place = np.broadcast_to(np.arange(n), keys.shape)
    changes = levels[:, 1:] != levels[:, :-1]
    edge = np.ones((len(keys), 1), dtype=bool)
    start = np.maximum.accumulate(np.where(np.hstack([edge, changes]), place, 0), axis=1)
    stop = np.where(np.hstack([changes, edge]), place + 1, n)
    stop = np.minimum.accumulate(stop[:, ::-1], axis=1)[:, ::-1]
    found = np.hstack([np.zeros((len(keys), 1), dtype=np.int64), np.cumsum(is_relevant, axis=1)])
    before = np.take_along_axis(found, start, axis=1)
    tied_relevant = np.take_along_axis(found, stop, axis=1) - before
    tied = stop - start
    # The chance that a relevant text is at this place, times the precision there to be expected if one does.
    expected = 1 + before + (place - start) * (tied_relevant - 1) / np.maximum(tied - 1, 1)
    total = (tied_relevant / tied * expected / (place + 1)).sum(axis=1)
    n_relevant = found[:, -1]
    return np.where(n_relevant > 0, total / np.maximum(n_relevant, 1), np.nan)


def chance_average_precision(n_relevant: npt.ArrayLike, n_texts: npt.ArrayLike) -> FloatArray:
    """Return the exact expectation of the average precision of a random order.

    That is (H + (R - 1) (N - H) / (N - 1)) / N with R >= 1 relevant ones, (B,), of N texts, (B,), and H = 1 + 1/2
    + ... + 1/N.
    """
    n = np.asarray(n_texts, dtype=np.int64)
    harmonic = np.cumsum(1 / np.arange(1, n.max(initial=1) + 1))[n - 1]
    others = np.asarray(n_relevant, dtype=np.float64) - 1
    return np.asarray((harmonic + others * (n - harmonic) / np.maximum(n - 1, 1)) / n)


def concept_retrieval(
    embeddings: FloatArray, theories: IntArray, concepts: IntArray, texts: IntArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return how well each text finds those of the same concepts in other theories.

    Each text with a concept orders all other texts that have one and stand in another theory; those that share any
    concept with it should come first. A text has the concepts of all its rows, whatever their theories: a name that
    several theories know gives it one set of concepts. It is found once, as near as the nearest of these rows.

    Takes (N, D) normalized embeddings, (N,) theories and (N, C) concepts as in `Labels.all_concepts`, and the (N,)
    numbers of distinct texts: rows with one number are one text, which does not look for itself (None: every row is a
    text of its own). Returns, for the rows, (N,) average precisions and their expectations for a random order; NaN for
    a row whose text can be no query.
    """
    every = DistinctTexts.of(np.arange(len(theories)) if texts is None else texts)
    has = _memberships(concepts, every)
    counts = np.asarray(has.sum(axis=1)).reshape(-1)[every.member] > 0
    precisions, chances = np.full(len(theories), np.nan), np.full(len(theories), np.nan)
    for theory in np.unique(theories):
        elsewhere = np.flatnonzero(counts & (theories != theory))
        queries = np.flatnonzero(counts & (theories == theory))
        if not len(elsewhere):
            continue
        found = DistinctTexts.of(every.member[elsewhere])
        candidates = every.member[elsewhere[found.order[found.starts]]]
        for part in row_blocks(len(queries), len(elsewhere)):
            rows = queries[part]
            asking = every.member[rows]
            others = asking[:, None] != candidates
            relevant = ((has[asking] @ has[candidates].T).toarray() > 0) & others
            # Behind all others, where what is not relevant changes nothing.
            near = found.highest(cosine_similarities(embeddings[rows], embeddings[elsewhere]))
            n_relevant, n_others = relevant.sum(axis=1), others.sum(axis=1)
            precisions[rows] = average_precisions(np.where(others, near, -2.0), relevant)
            can_find = n_relevant > 0
            chances[rows[can_find]] = chance_average_precision(n_relevant[can_find], n_others[can_find])
    return precisions, chances


def _memberships(concepts: IntArray, distinct: DistinctTexts) -> csr_array:
    """Return how many rows of each of T texts have each of K concepts: (T, K)."""
    rows, slots = np.nonzero(concepts != NONE)
    names, column = np.unique(concepts[rows, slots], return_inverse=True)
    shape = (len(distinct.starts), len(names))
    return coo_array((np.ones(len(rows)), (distinct.member[rows], column.reshape(-1))), shape=shape).tocsr()
