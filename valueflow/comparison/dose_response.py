"""Whether scores rise with the steering intensity: a permutation test within queries."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from valueflow.run import keyed_uniforms

Floats = npt.NDArray[np.float64]

EXACT_LIMIT = 100_000
"""Up to so many relabelings all are counted; beyond, they are drawn."""

_BLOCK = 64
"""Queries that draws are held in memory for at once."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class DoseResponse:
    """Result of the test.

    Attributes
    ----------
    p
        One-sided: of the hypothesis that intensities have nothing to do with scores, against that scores rise with
        them. NaN where no query has scores at two intensities.
    relabelings
        How many relabelings the p-value rests on.
    is_exact
        Whether these are all there are.
    queries
        Queries with scores at two intensities or more.
    """

    p: float
    relabelings: int
    is_exact: bool
    queries: int


def dose_response_test(scores: Floats, intensities: Floats, keys: npt.NDArray[np.uint64], draws: int) -> DoseResponse:
    """Test whether scores rise with the intensity, by permuting the intensities within queries.

    Parameters
    ----------
    scores
        (J, G) mean score of each of G queries at each of J intensities; NaN where there is none.
    intensities
        (J,) intensities.
    keys
        (G,) 64-bit keys of the queries, on which all draws depend.
    draws
        Random relabelings where there are too many to count all.

    Returns
    -------
    DoseResponse

    Notes
    -----
    The statistic is the sum over queries of sum_j (x_j - x_q) y_qj, with x_q the mean of the query's intensities: each
    query is its own block, so what makes queries differ does not matter. If intensities have no effect, all orders of a
    query's scores are equally likely. Random relabelings give p = (1 + number at least as high) / (1 + draws), which
    keeps its level whatever the number of draws (Phipson & Smyth 2010).
    """
    known = ~np.isnan(scores)
    used = np.flatnonzero(known.sum(axis=0) >= 2)
    if used.size == 0:
        return DoseResponse(np.nan, 0, True, 0)
    blocks = _blocks(scores, intensities, used, known)
    observed = float(sum(table[0].sum() for table, _ in blocks))
    highest = sum(np.abs(table).max(axis=0).sum() for table, _ in blocks)
    bar = observed - _ROUNDING * float(highest)
    sizes = [len(table) for table, queries in blocks for _ in queries]
    total = _product(sizes)
    if total <= EXACT_LIMIT:
        sums = np.zeros(1)
        for table, _ in blocks:
            for column in table.T:
                sums = np.add.outer(sums, column).ravel()
        return DoseResponse(float((sums >= bar).mean()), total, True, len(used))
    sums = np.zeros(draws)
    for table, queries in blocks:
        chosen = (keyed_uniforms(keys[queries], draws) * len(table)).astype(np.intp)
        sums += np.take_along_axis(table.T, chosen, axis=1).sum(axis=0)
    return DoseResponse((1 + int((sums >= bar).sum())) / (1 + draws), draws, False, len(used))


def _blocks(
    scores: Floats, intensities: Floats, used: npt.NDArray[np.intp], known: npt.NDArray[np.bool_]
) -> list[tuple[Floats, npt.NDArray[np.intp]]]:
    """Tabulate the statistic of each query under each relabeling, the first of which changes nothing.

    Returns
    -------
    list
        Pairs of a (P, B) table and the (B,) places of its queries, which have scores at the same intensities.
    """
    blocks = []
    patterns, pattern = np.unique(known[:, used], axis=1, return_inverse=True)
    for number, is_known in enumerate(patterns.T):
        levels = intensities[is_known] - intensities[is_known].mean()
        relabeled = levels[np.array(list(permutations(range(len(levels)))))]
        queries = used[pattern.ravel() == number]
        for start in range(0, len(queries), _BLOCK):
            block = queries[start : start + _BLOCK]
            blocks.append((relabeled @ scores[np.ix_(is_known, block)], block))
    return blocks


def _product(sizes: list[int]) -> int:
    """Multiply, and stop counting once it is more than the limit."""
    product = 1
    for size in sizes:
        product *= size
        if product > EXACT_LIMIT:
            break
    return product
