"""How well similarities rank texts by what they share with a query.

References
----------
Mann, H. B., Whitney, D. R. (1947). On a test of whether one of two random variables is stochastically larger than the
other. Annals of Mathematical Statistics 18(1), 50-60.
"""

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import IntArray
from valueflow.hives.metrics.similarity import FloatArray, whole_numbers


def ranking_accuracies(similarities: FloatArray, categories: npt.NDArray[np.integer]) -> tuple[FloatArray, FloatArray]:
    """Return for each query how well similarities descend with the categories.

    Takes (B, N) similarities of B queries to N texts, from `cosine_similarities`, and (B, N) categories of the texts as
    seen from the query, from 0: texts in higher ones should be more similar. Texts with -1 are left out.

    Returns
    -------
    pairwise
        (B,) share of pairs of texts in different categories of which the one in the higher category is more similar;
        ties count one half. NaN for a query without such pairs.
    strict
        (B,) share of chains, one text of each category that is present, whose similarities strictly descend with the
        category. NaN where fewer than two are present.
    """
    # Two sorts per query, then one running sum per category: O(n log n), not one step for each pair or chain.
    codes, counts = _coded(categories)
    n_categories = counts.shape[1]
    pairs = (counts * (np.cumsum(counts, axis=1) - counts)).sum(axis=1)
    # Where ties are in descending order of their categories, the lower ones before a text are those truly less
    # similar; in ascending order, those tied with it are among them. The mean of both counts ties one half.
    apart = _codes_by_similarity(similarities, codes, n_categories, ascending_ties=False)
    together = _codes_by_similarity(similarities, codes, n_categories, ascending_ties=True)
    wins = _pairs_in_order(apart, n_categories) + _pairs_in_order(together, n_categories)
    pairwise = np.where(pairs > 0, wins / np.maximum(2 * pairs, 1), np.nan)
    strict = np.where((counts > 0).sum(axis=1) > 1, _chains_in_order(apart, counts), np.nan)
    return pairwise, strict


def category_pair_accuracies(
    similarities: FloatArray, categories: npt.NDArray[np.integer]
) -> tuple[FloatArray, IntArray]:
    """Return for each query how well similarities descend from category to category, each pair of them counting alike.

    Takes what `ranking_accuracies` takes. Of two categories that are present, it is the share of pairs, a text of each,
    of which the one in the higher category is more similar; ties are wrong.

    Returns
    -------
    accuracy
        (B,) mean of these shares over the pairs of categories. NaN for a query without such pairs.
    pairs
        (B,) number of pairs of categories.
    """
    codes, counts = _coded(categories)
    n_categories = counts.shape[1]
    # Ties in descending order of their categories: what is before a text is truly less similar.
    ordered = _codes_by_similarity(similarities, codes, n_categories, ascending_ties=False)
    shares, pairs = np.zeros(len(codes)), np.zeros(len(codes), dtype=np.int64)
    for lower in range(n_categories - 1):
        before = np.cumsum(ordered == lower, axis=1, dtype=np.int64)
        for higher in range(lower + 1, n_categories):
            wins = np.einsum("ij,ij->i", before, (ordered == higher).astype(np.int64))
            n_texts = counts[:, lower] * counts[:, higher]
            shares += wins / np.maximum(n_texts, 1)
            pairs += n_texts > 0
    return np.where(pairs > 0, shares / np.maximum(pairs, 1), np.nan), pairs


def _coded(categories: npt.NDArray[np.integer]) -> tuple[IntArray, IntArray]:
    """Return (B, N) codes of the categories and the (B, C) number of texts in each of C categories."""
    n_categories = int(categories.max(initial=-1)) + 1
    # Texts left out get the highest code: then no category ever looks at them.
    codes = np.where(categories < 0, n_categories, categories).astype(np.int64)
    counts = np.stack([np.count_nonzero(codes == c, axis=1) for c in range(n_categories + 1)], axis=1)
    return codes, counts[:, :n_categories]


def _codes_by_similarity(similarities: FloatArray, codes: IntArray, highest: int, *, ascending_ties: bool) -> IntArray:
    """Order each row's codes (0 to `highest`) from the least to the most similar; ties by their codes."""
    # The code is the last digits of the number that is sorted: no indices have to be carried along.
    bits = highest.bit_length()
    mask = (1 << bits) - 1
    keys = (whole_numbers(similarities) << bits) | (codes if ascending_ties else mask - codes)
    keys.sort(axis=1)
    keys &= mask
    return keys if ascending_ties else mask - keys


def _pairs_in_order(ordered: IntArray, n_categories: int) -> IntArray:
    """Count in each row the pairs of codes of which the lower comes before the higher."""
    wins = np.zeros(len(ordered), dtype=np.int64)
    for category in range(1, n_categories):
        before = np.cumsum(ordered < category, axis=1, dtype=np.int64)
        wins += np.einsum("ij,ij->i", before, (ordered == category).astype(np.int64))
    return wins


def _chains_in_order(ordered: IntArray, counts: IntArray) -> FloatArray:
    """Return for each row the share of chains, one code of each category present, that are in ascending order."""
    # below[i, j] is the share of the chains of the categories done so far that end before place j. Shares, since the
    # number of chains grows with the power of the categories.
    below = np.ones(ordered.shape)
    share = np.ones(len(ordered))
    for category in range(counts.shape[1]):
        chains = np.cumsum(np.where(ordered == category, below, 0.0), axis=1)
        chains /= np.maximum(counts[:, category, None], 1)
        present = counts[:, category] > 0
        below[present] = chains[present]
        share[present] = chains[present, -1]
    return share
