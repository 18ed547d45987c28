"""How well embeddings of held-out texts follow the hierarchy they are labeled with.

A text is compared with the other texts of its theory. Categories order these by their labels: same path and direction,
same path in another direction, then the number of levels shared; the more two texts share, the more similar their
embeddings should be.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import NONE, IntArray, Labels, shared_levels
from valueflow.hives.metrics.pair_sums import PairSums, distance_names
from valueflow.hives.metrics.ranking import ranking_accuracies
from valueflow.hives.metrics.retrieval import concept_retrieval
from valueflow.hives.metrics.similarity import (
    CountedMean,
    FloatArray,
    cosine_similarities,
    mean_and_count,
    normalized,
    row_blocks,
)
from valueflow.hives.metrics.values import knn_correct, orthogonality
from valueflow.run import InputError

Counted = dict[str, CountedMean]


def held_out_metrics(
    embeddings: npt.ArrayLike, labels: Labels, *, max_rows: int = 4000, seed: int = 0, k: int = 5
) -> dict[str, Any]:
    """Compute all metrics of a set of labeled texts.

    Parameters
    ----------
    embeddings, labels
        (N, D) finite numbers, normalized first, and the labels of the N texts.
    max_rows, seed
        A theory with more texts is reduced to a random sample of this many, for all metrics.
    k
        Neighbors that vote in `knn_level_*`.

    Returns
    -------
    dict
        Numbers are Python's own; a metric that is not defined is None.

        - `theories`: for each theory that has texts, its metrics, with `n` texts used of `n_total`:
          `ranking_accuracy` and `strict_accuracy` (see `ranking_accuracies`; mean over the texts for which they are
          defined), `similarity_correlation` (Pearson, over all pairs, of cosine similarity with shared levels + 0.5 if
          the directions agree), `orthogonality`, and `knn_level_1` to `knn_level_L` (share of texts whose k nearest
          neighbors vote for a prefix of theirs; theories with more than k texts).
        - `overall`: the means of these, weighted by the number of texts for which they are defined; and
          `anchor_retrieval` with `anchor_retrieval_chance` (see `concept_retrieval`).
        - `distances`: `overall` and `theories`, each with the mean cosine distance (1 - cos) of pairs within a theory
          by number of shared levels (`shared_0` to `shared_L`) and by direction (`same_direction`, `other_direction`).
        - `anchor_queries`: number of texts over which `anchor_retrieval` is a mean.

    Raises
    ------
    InputError
        Where an embedding holds NaN or an infinity.
    ValueError
        Where shapes do not fit, or `max_rows` or `k` is below 1.
    """
    vectors = np.asarray(embeddings)
    if vectors.ndim != 2 or len(vectors) != len(labels):
        raise ValueError(f"embeddings must have one row for each of {len(labels)} texts, got shape {vectors.shape}")
    if max_rows < 1 or k < 1:
        raise ValueError(f"max_rows and k must be at least 1, got {max_rows} and {k}")
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
        if n_total > max_rows:
            rows = np.sort(np.random.default_rng([seed, int(theory)]).choice(rows, max_rows, replace=False))
        part = normalized(vectors[rows])
        name = labels.theory_names[theory]
        metrics[name], distances[name] = _within_theory(part, labels.take(rows), k)
        metrics[name].update(n=(len(rows), 0), n_total=(n_total, 0))
        samples.append(rows)
        parts.append(part)
    used = np.concatenate(samples)
    precision, chance, queries = concept_retrieval(np.concatenate(parts), labels.theories[used], labels.concepts[used])
    retrieval = {"anchor_retrieval": precision, "anchor_retrieval_chance": chance}
    return {
        "overall": _weighted(metrics, _metric_names(labels.depth)) | retrieval,
        "theories": _values(metrics),
        "distances": {"overall": _weighted(distances, distance_names(labels.depth)), "theories": _values(distances)},
        "anchor_queries": queries,
    }


def _metric_names(depth: int) -> list[str]:
    levels = [f"knn_level_{level}" for level in range(1, depth + 1)]
    return ["ranking_accuracy", "strict_accuracy", "similarity_correlation", "orthogonality", *levels]


def _values(figures: dict[str, Counted]) -> dict[str, dict[str, float | None]]:
    """Leave the weights away."""
    return {theory: {name: value for name, (value, _) in own.items()} for theory, own in figures.items()}


def _weighted(figures: dict[str, Counted], names: list[str]) -> dict[str, float | None]:
    """Average each metric over the theories in which it is defined."""
    result: dict[str, float | None] = {}
    for name in names:
        defined = [(value, n) for value, n in (own[name] for own in figures.values()) if value is not None]
        total = sum(n for _, n in defined)
        result[name] = sum(value * n for value, n in defined) / total if total else None
    return result


def _within_theory(embeddings: FloatArray, labels: Labels, k: int) -> tuple[Counted, Counted]:
    """Compute the metrics and the mean distances of the texts of one theory from their normalized embeddings."""
    n, depth = len(labels), labels.depth
    kinds = _kinds(labels)
    pairs = PairSums.empty(depth, float(cosine_similarities(embeddings[:1], embeddings[-1:])[0, 0]))
    # Kinds of pairs are numbered 2 * shared levels + same direction; the categories part only the topmost two.
    category = np.append(np.arange(2 * depth + 2) // 2, NONE).astype(np.int16)
    category[2 * depth + 1] += 1
    pairwise, strict, correct = [], [], []
    for part in row_blocks(n, n):
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
    figures: Counted = {
        "ranking_accuracy": mean_and_count(np.concatenate(pairwise)),
        "strict_accuracy": mean_and_count(np.concatenate(strict)),
        "similarity_correlation": (pairs.correlation(), n),
        "orthogonality": (orthogonality(embeddings, labels.paths), n),
    }
    shares = np.concatenate(correct).mean(axis=0) if correct else [None] * depth
    for level, share in enumerate(shares, start=1):
        figures[f"knn_level_{level}"] = (None if share is None else float(share), n)
    return figures, pairs.distances()


@dataclass(frozen=True)
class _Kinds:
    """G kinds of texts with the same labels, far fewer than texts.

    The (N,) kind of each text, the (G, W, L) paths of each kind, and (G, G) 2 * shared levels + same direction.
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
    for part in row_blocks(len(kinds), len(kinds)):
        table[part] = 2 * shared_levels(paths[part], paths) + (directions[part, None] == directions)
    return _Kinds(member.reshape(-1), paths, table)
