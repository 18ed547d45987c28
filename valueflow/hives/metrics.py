"""How well embeddings of held-out texts follow the hierarchy they are labelled with.

A text is compared with the other texts of its theory. Categories order these by their labels: same path and direction,
same path in another direction, then the number of levels shared; the more two texts share, the more similar their
embeddings should be. All work is done in blocks of rows, so that memory grows with the number of texts, not of pairs.

References
----------
Mann, H. B., Whitney, D. R. (1947). On a test of whether one of two random variables is stochastically larger than the
other. Annals of Mathematical Statistics 18(1), 50-60.
McSherry, F., Najork, M. (2008). Computing information retrieval performance measures efficiently in the presence of
tied scores. ECIR 2008, 414-421.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.run import InputError

from .labels import NONE, BoolArray, IntArray, Labels, shared_levels

FloatArray = npt.NDArray[np.float64]

# Pairs of texts worked on at once: a handful of arrays of this many numbers.
BLOCK_PAIRS = 1 << 18

# Similarities are whole multiples of 2**-GRID_BITS. Otherwise the order in which products are summed, which depends on
# the shape of a block, would decide between duplicates.
GRID_BITS = 30


def normalised(embeddings: npt.ArrayLike) -> FloatArray:
    """Scale each row of (N, D) embeddings to length 1; a row of zeros stays as it is, and is similar to nothing."""
    rows = np.array(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


def cosine_similarities(queries: FloatArray, others: FloatArray) -> FloatArray:
    """Return the (B, N) cosines of (B, D) with (N, D) normalised embeddings, rounded to multiples of 2**-30."""
    scale = 2.0**GRID_BITS
    products = queries @ others.T
    products *= scale
    np.rint(products, out=products)
    products /= scale
    return np.clip(products, -1.0, 1.0, out=products)


def ranking_accuracies(similarities: FloatArray, categories: npt.NDArray[np.integer]) -> tuple[FloatArray, FloatArray]:
    """Tell for each query how well similarities descend with the categories.

    Parameters
    ----------
    similarities
        (B, N) similarities of B queries to N texts, from `cosine_similarities`.
    categories
        (B, N) categories of the texts as seen from the query, from 0; the higher, the more similar they should be.
        Texts with -1 are left out.

    Returns
    -------
    pairwise
        (B,) share of pairs of texts in different categories of which the one in the higher category is more similar;
        ties count one half. NaN for a query without such pairs.
    strict
        (B,) share of chains, one text of each category that is present, whose similarities strictly descend with the
        category. NaN where fewer than two are present.

    Notes
    -----
    Two sorts a query, then one running sum a category: O(n log n) rather than one step a pair or a chain.
    """
    n_categories = int(categories.max(initial=-1)) + 1
    # Texts left out get the highest code: then no category ever looks at them.
    codes = np.where(categories < 0, n_categories, categories).astype(np.int64)
    counts = np.stack([np.count_nonzero(codes == c, axis=1) for c in range(n_categories + 1)], axis=1)[:, :n_categories]
    pairs = (counts * (np.cumsum(counts, axis=1) - counts)).sum(axis=1)
    # Where ties stand in descending order of their categories, the lower ones before a text are those truly less
    # similar; in ascending order, those tied with it are among them. The mean of both counts ties one half.
    apart = _codes_by_similarity(similarities, codes, n_categories, ascending_ties=False)
    together = _codes_by_similarity(similarities, codes, n_categories, ascending_ties=True)
    wins = _pairs_in_order(apart, n_categories) + _pairs_in_order(together, n_categories)
    pairwise = np.where(pairs > 0, wins / np.maximum(2 * pairs, 1), np.nan)
    strict = np.where((counts > 0).sum(axis=1) > 1, _chains_in_order(apart, counts), np.nan)
    return pairwise, strict


def _codes_by_similarity(similarities: FloatArray, codes: IntArray, highest: int, *, ascending_ties: bool) -> IntArray:
    """Order each row's codes (0 to `highest`) from the least to the most similar; ties by their codes."""
    # The code is the last digits of the number that is sorted: no indices have to be carried along.
    bits = highest.bit_length()
    mask = (1 << bits) - 1
    keys = (_whole(similarities) << bits) | (codes if ascending_ties else mask - codes)
    keys.sort(axis=1)
    keys &= mask
    return keys if ascending_ties else mask - keys


def _whole(similarities: FloatArray) -> IntArray:
    """Return similarities as whole numbers of 2**-30."""
    return np.rint(similarities * 2.0**GRID_BITS).astype(np.int64)


def _pairs_in_order(ordered: IntArray, n_categories: int) -> IntArray:
    """Count in each row the pairs of codes of which the lower stands before the higher."""
    wins = np.zeros(len(ordered), dtype=np.int64)
    for category in range(1, n_categories):
        before = np.cumsum(ordered < category, axis=1, dtype=np.int64)
        wins += np.einsum("ij,ij->i", before, (ordered == category).astype(np.int64))
    return wins


def _chains_in_order(ordered: IntArray, counts: IntArray) -> FloatArray:
    """Return of each row the share of chains, one code of each category present, that stand in ascending order."""
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


def knn_correct(
    similarities: FloatArray, rows: IntArray, groups: IntArray, prefixes: IntArray, k: int = 5
) -> npt.NDArray[np.bool_]:
    """Tell for each query and level whether its nearest neighbours vote for a prefix of its own.

    The k nearest of the other texts vote, once for each distinct prefix that they have at a level. Of the prefixes with
    most votes the one met first counts, from the nearest neighbour on. Equal similarities are ordered by group number,
    so that the order of the texts does not matter.

    Parameters
    ----------
    similarities
        (B, N) similarities of the queries to all texts, from `cosine_similarities`.
    rows
        (B,) the queries' own numbers among the N texts.
    groups
        (N,) number in `prefixes` of each text's paths.
    prefixes
        (G, W, L) paths as in `Labels.paths`.
    k
        Number of neighbours, below N.

    Returns
    -------
    (B, L) bool array
    """
    n = similarities.shape[1]
    if not 1 <= k < n:
        raise ValueError(f"k must be from 1 to the number of other texts ({n - 1}), got {k}")
    bits = max(len(prefixes) - 1, 1).bit_length()
    mask = (1 << bits) - 1
    keys = (_whole(similarities) << bits) | (mask - groups)
    keys[np.arange(len(rows)), rows] = np.iinfo(np.int64).min
    nearest = np.sort(np.partition(keys, n - k, axis=1)[:, n - k :], axis=1)[:, ::-1]
    neighbours = mask - (nearest & mask)
    own = prefixes[groups[rows]]
    correct = np.empty((len(rows), prefixes.shape[2]), dtype=bool)
    for level in range(prefixes.shape[2]):
        votes = _distinct(prefixes[:, :, level])[neighbours].reshape(len(rows), -1)
        counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        counts[votes == NONE] = 0
        # argmax takes the first of equals, and votes stand in the order of their neighbours.
        winners = np.take_along_axis(votes, counts.argmax(axis=1)[:, None], axis=1)
        correct[:, level] = ((own[:, :, level] == winners) & (winners != NONE)).any(axis=1)
    return correct


def _distinct(numbers: IntArray) -> IntArray:
    """Keep the first of equal numbers in each row of (G, W) and put NONE for the others."""
    repeated = np.zeros(numbers.shape, dtype=bool)
    for w in range(1, numbers.shape[1]):
        repeated[:, w] = (numbers[:, :w] == numbers[:, w : w + 1]).any(axis=1)
    return np.where(repeated, NONE, numbers)


def orthogonality(embeddings: FloatArray, paths: IntArray) -> float | None:
    """Return the mean over pairs of values of 1 - |cos| of their vectors.

    Parameters
    ----------
    embeddings
        (N, D) normalised embeddings.
    paths
        (N, W, L) paths as in `Labels.paths`. A value is a whole path; its vector is the mean of its texts, and a text
        with several paths counts for each.

    Returns
    -------
    float or None
        From 0 to 1. None for fewer than two values. Values whose texts cancel out to zero have no direction and are
        left out.
    """
    leaves = _distinct(paths[:, :, -1])
    texts, slots = np.nonzero(leaves != NONE)
    values, member = np.unique(leaves[texts, slots], return_inverse=True)
    sums = np.zeros((len(values), embeddings.shape[1]))
    np.add.at(sums, member, embeddings[texts])
    # The length of a sum against the number of its texts: what is left of a sum that cancels out is rounding.
    counts = np.bincount(member, minlength=len(values))
    sums = sums[np.linalg.norm(sums, axis=1) > 1e-12 * counts]
    n = len(sums)
    if n < 2:
        return None
    vectors = normalised(sums)
    cosines = np.minimum(np.abs(vectors @ vectors.T), 1.0)
    np.fill_diagonal(cosines, 0.0)
    return float(1.0 - cosines.sum() / (n * (n - 1)))


def average_precisions(similarities: FloatArray, relevant: BoolArray) -> FloatArray:
    """Return each query's average precision: the mean share of relevant texts down to each of the relevant ones.

    Parameters
    ----------
    similarities
        (B, N) similarities, from `cosine_similarities`.
    relevant
        (B, N) which texts should come first.

    Returns
    -------
    (B,) float array
        Where similarities are tied, the expected value over all orders of the tied texts (McSherry and Najork, 2008).
        NaN for a query without relevant texts.
    """
    n = similarities.shape[1]
    keys = (-_whole(similarities) << 1) | relevant
    keys.sort(axis=1)
    levels, flags = keys >> 1, keys & 1
    place = np.broadcast_to(np.arange(n), keys.shape)
    changes = levels[:, 1:] != levels[:, :-1]
    edge = np.ones((len(keys), 1), dtype=bool)
    start = np.maximum.accumulate(np.where(np.hstack([edge, changes]), place, 0), axis=1)
    stop = np.where(np.hstack([changes, edge]), place + 1, n)
    stop = np.minimum.accumulate(stop[:, ::-1], axis=1)[:, ::-1]
    found = np.hstack([np.zeros((len(keys), 1), dtype=np.int64), np.cumsum(flags, axis=1)])
    before = np.take_along_axis(found, start, axis=1)
    tied_relevant = np.take_along_axis(found, stop, axis=1) - before
    tied = stop - start
    # The chance that a relevant text stands at this place, times the precision there to be expected if one does.
    expected = 1 + before + (place - start) * (tied_relevant - 1) / np.maximum(tied - 1, 1)
    total = (tied_relevant / tied * expected / (place + 1)).sum(axis=1)
    n_relevant = found[:, -1]
    return np.where(n_relevant > 0, total / np.maximum(n_relevant, 1), np.nan)


def chance_precision(n_relevant: npt.ArrayLike, n_texts: int) -> FloatArray:
    """Return the exact expectation of the average precision of a random order.

    That is (H + (R - 1) (N - H) / (N - 1)) / N with R relevant ones of N texts and H = 1 + 1/2 + ... + 1/N.

    Parameters
    ----------
    n_relevant
        (B,) numbers of relevant texts R, at least 1.
    n_texts
        Number of texts N.
    """
    harmonic = (1 / np.arange(1, n_texts + 1)).sum()
    others = np.asarray(n_relevant, dtype=np.float64) - 1
    return np.asarray((harmonic + others * (n_texts - harmonic) / max(n_texts - 1, 1)) / n_texts)


def anchor_retrieval(
    embeddings: FloatArray, theories: IntArray, anchors: IntArray
) -> tuple[float | None, float | None, int]:
    """Tell how well texts find those with the same anchor id in other theories.

    Each text with an id that some text of another theory has too orders all texts of other theories that have an id.

    Parameters
    ----------
    embeddings
        (N, D) normalised embeddings.
    theories, anchors
        (N,) as in `Labels`.

    Returns
    -------
    precision, chance
        Mean average precision, and its expectation for a random order; None where no text can be a query.
    n_queries
        Number of queries.
    """
    precisions: list[FloatArray] = [np.empty(0)]
    chances: list[FloatArray] = [np.empty(0)]
    for theory in np.unique(theories):
        candidates = np.flatnonzero((anchors != NONE) & (theories != theory))
        queries = np.flatnonzero((theories == theory) & (anchors != NONE) & np.isin(anchors, anchors[candidates]))
        for part in _blocks(len(queries), len(candidates)):
            rows = queries[part]
            relevant = anchors[rows, None] == anchors[candidates]
            found = cosine_similarities(embeddings[rows], embeddings[candidates])
            precisions.append(average_precisions(found, relevant))
            chances.append(chance_precision(relevant.sum(axis=1), len(candidates)))
    precision, n = _mean(np.concatenate(precisions))
    return precision, _mean(np.concatenate(chances))[0], n


def held_out_metrics(
    embeddings: npt.ArrayLike, labels: Labels, *, most_rows: int = 4000, seed: int = 0, k: int = 5
) -> dict[str, Any]:
    """Compute all metrics of a set of labelled texts.

    Parameters
    ----------
    embeddings
        (N, D) finite numbers; they are normalised first.
    labels
        Labels of the N texts.
    most_rows
        A theory with more texts is cut to a random sample of this many, for all metrics.
    seed
        Decides the samples.
    k
        Neighbours that vote in `knn_level_*`.

    Returns
    -------
    dict
        Numbers are Python's own; a metric that is not defined is None.

        - `theories`: for each theory that has texts, its metrics, with `n` texts used of `n_total`:
          `ranking_accuracy` and `strict_accuracy` (see `ranking_accuracies`; mean over the texts for which they are
          defined), `similarity_correlation` (Pearson, over all pairs, of cosine similarity with shared levels + 0.5 if
          the directions agree), `orthogonality`, and `knn_level_1` to `knn_level_L` (share of texts whose k nearest
          neighbours vote for a prefix of theirs; theories with more than k texts).
        - `overall`: the means of these, weighted by the number of texts for which they are defined; and
          `anchor_retrieval` with `anchor_retrieval_chance` (see `anchor_retrieval`).
        - `distances`: `overall` and `theories`, each with the mean cosine distance (1 - cos) of pairs within a theory
          that share so many levels (`shared_0` to `shared_L`) and by direction (`same_direction`, `other_direction`).
        - `anchor_queries`: number of texts over which `anchor_retrieval` is a mean.

    Raises
    ------
    InputError
        Where an embedding holds NaN or an infinity.
    ValueError
        Where shapes do not fit, or `most_rows` or `k` is below 1.
    """
    vectors = np.asarray(embeddings)
    if vectors.ndim != 2 or len(vectors) != len(labels):
        raise ValueError(f"embeddings must have one row for each of {len(labels)} texts, got shape {vectors.shape}")
    if most_rows < 1 or k < 1:
        raise ValueError(f"most_rows and k must be at least 1, got {most_rows} and {k}")
    faulty = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if faulty.size:
        raise InputError(
            f"embeddings: {faulty.size} of {len(vectors)} texts (the first is number {faulty[0] + 1}) have values that "
            "are not finite numbers; a model whose training went well gives finite ones"
        )
    metrics, distances = {}, {}
    samples, parts = [np.empty(0, dtype=np.int64)], [np.empty((0, vectors.shape[1]))]
    for theory in np.unique(labels.theories):
        rows = np.flatnonzero(labels.theories == theory)
        n_total = len(rows)
        if n_total > most_rows:
            rows = np.sort(np.random.default_rng([seed, int(theory)]).choice(rows, most_rows, replace=False))
        part = normalised(vectors[rows])
        name = labels.theory_names[theory]
        metrics[name], distances[name] = _within_theory(part, labels.take(rows), k)
        metrics[name].update(n=(len(rows), 0), n_total=(n_total, 0))
        samples.append(rows)
        parts.append(part)
    used = np.concatenate(samples)
    precision, chance, queries = anchor_retrieval(np.concatenate(parts), labels.theories[used], labels.anchors[used])
    retrieval = {"anchor_retrieval": precision, "anchor_retrieval_chance": chance}
    return {
        "overall": _weighted(metrics, _metric_names(labels.depth)) | retrieval,
        "theories": _values(metrics),
        "distances": {
            "overall": _weighted(distances, _distance_names(labels.depth)),
            "theories": _values(distances),
        },
        "anchor_queries": queries,
    }


# A metric with the number of texts for which it is defined.
_Figure = tuple[float | None, int]
_Figures = dict[str, _Figure]


def _metric_names(depth: int) -> list[str]:
    levels = [f"knn_level_{level}" for level in range(1, depth + 1)]
    return ["ranking_accuracy", "strict_accuracy", "similarity_correlation", "orthogonality", *levels]


def _distance_names(depth: int) -> list[str]:
    return [*(f"shared_{levels}" for levels in range(depth + 1)), "same_direction", "other_direction"]


def _values(figures: dict[str, _Figures]) -> dict[str, dict[str, float | None]]:
    """Leave the weights away."""
    return {theory: {name: value for name, (value, _) in own.items()} for theory, own in figures.items()}


def _weighted(figures: dict[str, _Figures], names: list[str]) -> dict[str, float | None]:
    """Average each metric over the theories in which it is defined."""
    result: dict[str, float | None] = {}
    for name in names:
        defined = [(value, n) for value, n in (own[name] for own in figures.values()) if value is not None]
        total = sum(n for _, n in defined)
        result[name] = sum(value * n for value, n in defined) / total if total else None
    return result


def _mean(values: FloatArray) -> _Figure:
    """Average what is not NaN, and count it."""
    defined = values[~np.isnan(values)]
    return (float(defined.mean()) if defined.size else None), defined.size


def _blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Part rows so that a block has at most BLOCK_PAIRS pairs, but at least one row."""
    size = max(BLOCK_PAIRS // max(n_columns, 1), 1)
    for first in range(0, n_rows, size):
        yield slice(first, min(first + size, n_rows))


def _within_theory(embeddings: FloatArray, labels: Labels, k: int) -> tuple[_Figures, _Figures]:
    """Compute the metrics and the mean distances of the texts of one theory from their normalised embeddings."""
    n, depth = len(labels), labels.depth
    kinds = _kinds(labels)
    pairs = _PairSums.empty(depth, float(cosine_similarities(embeddings[:1], embeddings[-1:])[0, 0]))
    # Kinds of pairs are numbered 2 * shared levels + same direction; the categories part only the topmost two.
    category = np.append(np.arange(2 * depth + 2) // 2, NONE).astype(np.int16)
    category[2 * depth + 1] += 1
    pairwise, strict, correct = [], [], []
    for part in _blocks(n, n):
        rows = np.arange(part.start, part.stop)
        similarities = cosine_similarities(embeddings[part], embeddings)
        kind = kinds.table[kinds.member[part, None], kinds.member]
        kind[np.arange(len(rows)), rows] = NONE
        found = ranking_accuracies(similarities, category[kind])
        pairwise.append(found[0])
        strict.append(found[1])
        pairs.add(similarities, kind)
        if n > k:
            correct.append(knn_correct(similarities, rows, kinds.member, kinds.paths, k))
    figures: _Figures = {
        "ranking_accuracy": _mean(np.concatenate(pairwise)),
        "strict_accuracy": _mean(np.concatenate(strict)),
        "similarity_correlation": (pairs.correlation(), n),
        "orthogonality": (orthogonality(embeddings, labels.paths), n),
    }
    shares = np.concatenate(correct).mean(axis=0) if correct else [None] * depth
    for level, share in enumerate(shares, start=1):
        figures[f"knn_level_{level}"] = (None if share is None else float(share), n)
    return figures, pairs.distances()


@dataclass(frozen=True)
class _Kinds:
    """Texts with the same labels, which are far fewer than texts.

    Attributes
    ----------
    member
        (N,) kind of each text.
    paths
        (G, W, L) paths of each kind.
    table
        (G, G) 2 * shared levels + same direction of each pair of kinds.
    """

    member: IntArray
    paths: IntArray
    table: npt.NDArray[np.int16]


def _kinds(labels: Labels) -> _Kinds:
    rows = np.column_stack([labels.paths.reshape(len(labels), -1), labels.directions])
    kinds, member = np.unique(rows, axis=0, return_inverse=True)
    paths = kinds[:, :-1].reshape(len(kinds), *labels.paths.shape[1:])
    directions = kinds[:, -1]
    table = np.empty((len(kinds), len(kinds)), dtype=np.int16)
    for part in _blocks(len(kinds), len(kinds)):
        table[part] = 2 * shared_levels(paths[part], paths) + (directions[part, None] == directions)
    return _Kinds(member.reshape(-1), paths, table)


@dataclass
class _PairSums:
    """Sums over pairs of texts, by kind of pair (2 * shared levels + same direction).

    Attributes
    ----------
    depth
        Number of levels L.
    origin
        One of the similarities. Sums are of differences from it, so that equal similarities have no variance at all.
    counts, sums
        (2L + 2,) numbers of pairs, each from both sides, and their sums.
    squares
        Sum of the squares over all kinds.
    texts
        For each name of a distance, the number of texts that have such a pair.
    """

    depth: int
    origin: float
    counts: IntArray
    sums: FloatArray
    squares: float
    texts: IntArray

    @classmethod
    def empty(cls, depth: int, origin: float) -> "_PairSums":
        kinds = 2 * depth + 2
        return cls(depth, origin, np.zeros(kinds, np.int64), np.zeros(kinds), 0.0, np.zeros(depth + 3, np.int64))

    def _named(self, by_kind: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sum (..., 2L + 2) numbers to (..., L + 3), in the order of `_distance_names`."""
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

    def distances(self) -> _Figures:
        """Return the mean of 1 - similarity, and the number of texts that have such pairs, by name."""
        counts = self._named(self.counts)
        means = 1.0 - self.origin - self._named(self.sums) / np.maximum(counts, 1)
        return {
            name: (float(mean) if count else None, int(n))
            for name, mean, count, n in zip(
                _distance_names(self.depth), means.tolist(), counts.tolist(), self.texts.tolist(), strict=True
            )
        }
