"""How well embeddings of held-out texts follow the hierarchy they are labeled with.

A text is compared with the other texts of its theory. Categories order these by their labels: same path and direction,
same path in another direction, then the number of levels shared; the more two texts share, the more similar their
embeddings should be.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import Labels
from valueflow.hives.metrics.counted import (
    CountedMean,
    mean_and_count,
    pooled_by_name,
    standard_errors,
    values_of,
)
from valueflow.hives.metrics.kinds import categories, kinds_of
from valueflow.hives.metrics.pair_sums import PairSums, distance_names, ratio_names
from valueflow.hives.metrics.ranking import ranking_accuracies
from valueflow.hives.metrics.retrieval import concept_retrieval
from valueflow.hives.metrics.samples import checked_embeddings, theory_samples
from valueflow.hives.metrics.similarity import FloatArray, cosine_similarities, normalized, row_blocks
from valueflow.hives.metrics.values import knn_correct, orthogonality

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
        Neighbors that vote in `knn_level_*` and `direction_accuracy`.

    Returns
    -------
    dict
        Numbers are Python's own; a metric that is not defined is None.

        - `theories`: for each theory that has texts, its metrics, with `n` texts used of `n_total`:
          `ranking_accuracy` and `strict_accuracy` (see `ranking_accuracies`; mean over the texts for which they are
          defined), `similarity_correlation` (Pearson, over all pairs, of cosine similarity with shared levels + 0.5 if
          the directions agree), `orthogonality`, `knn_level_1` to `knn_level_L` (share of texts whose k nearest
          neighbors vote for a prefix of theirs; theories with more than k texts), `direction_accuracy` (the same for
          their direction) and `direction_accuracy_chance` (share of the most frequent direction among these texts).
        - `overall`: the means of these, weighted by the number of texts for which they are defined; and
          `anchor_retrieval` with `anchor_retrieval_chance` (see `concept_retrieval`).
        - `standard_errors`: `overall` and `theories`, of those that are means over texts, as if these were independent.
        - `distances`: `overall` and `theories`, each with the mean cosine distance (1 - cos) of pairs within a theory
          by number of shared levels (`shared_0` to `shared_L`), by direction (`same_direction`, `other_direction`) and
          by both (`shared_0_same_direction` and so on).
        - `distance_ratios`: `overall` and `theories`: how many times the distance is larger in the other direction
          (`shared_0_other_to_same_direction` and so on), and than with the next larger number of levels that any pair
          of the theory shares (`shared_0_to_next` and so on; `shared_0_to_next_same_direction` among texts of one
          direction).
        - `anchor_queries`: number of texts over which `anchor_retrieval` is a mean.

    Raises
    ------
    InputError
        Where an embedding holds NaN or an infinity.
    ValueError
        Where shapes do not fit, or `max_rows` or `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    vectors, depth = checked_embeddings(embeddings, len(labels)), labels.depth
    metrics: dict[str, Counted] = {}
    distances: dict[str, Counted] = {}
    ratios: dict[str, Counted] = {}
    samples, parts = [np.empty(0, dtype=np.int64)], [np.empty((0, vectors.shape[1]))]
    for theory, rows, n_total in theory_samples(labels, max_rows, seed):
        part = normalized(vectors[rows])
        name = labels.theory_names[theory]
        metrics[name], pairs = _within_theory(part, labels.take(rows), k)
        metrics[name].update(n=CountedMean(len(rows), 0), n_total=CountedMean(n_total, 0))
        distances[name], ratios[name] = pairs.distances(), pairs.ratios()
        samples.append(rows)
        parts.append(part)
    used = np.concatenate(samples)
    found, chance = concept_retrieval(np.concatenate(parts), labels.theories[used], labels.concepts[used])
    retrieval = {"anchor_retrieval": found, "anchor_retrieval_chance": chance}
    rankings, votes = ["ranking_accuracy", "strict_accuracy"], [*_level_names(depth), "direction_accuracy"]
    names = [*rankings, "similarity_correlation", "orthogonality", *votes, "direction_accuracy_chance"]
    errors = [*rankings, *votes]
    overall = pooled_by_name(metrics.values(), names) | retrieval
    return {
        "overall": values_of(overall),
        "theories": {name: values_of(own) for name, own in metrics.items()},
        "standard_errors": {
            "overall": standard_errors(overall, [*errors, "anchor_retrieval"]),
            "theories": {name: standard_errors(own, errors) for name, own in metrics.items()},
        },
        "distances": _with_overall(distances, distance_names(depth)),
        "distance_ratios": _with_overall(ratios, ratio_names(depth)),
        "anchor_queries": found.n,
    }


def _level_names(depth: int) -> list[str]:
    return [f"knn_level_{level}" for level in range(1, depth + 1)]


def _with_overall(figures: dict[str, Counted], names: list[str]) -> dict[str, Any]:
    return {
        "overall": values_of(pooled_by_name(figures.values(), names)),
        "theories": {name: values_of(own) for name, own in figures.items()},
    }


def _within_theory(embeddings: FloatArray, labels: Labels, k: int) -> tuple[Counted, PairSums]:
    """Compute the metrics and the sums over pairs of the texts of one theory from their normalized embeddings."""
    n, depth = len(labels), labels.depth
    kinds, category = kinds_of(labels.paths, labels.directions), categories(depth)
    ballots = kinds.ballots
    pairs = PairSums.empty(depth, float(cosine_similarities(embeddings[:1], embeddings[-1:])[0, 0]))
    pairwise, strict, correct = [], [], []
    for part in row_blocks(n, n):
        similarities = cosine_similarities(embeddings[part], embeddings)
        kind = kinds.pairs(part)
        found = ranking_accuracies(similarities, category[kind])
        pairwise.append(found[0])
        strict.append(found[1])
        pairs.add(similarities, kind)
        if n > k:
            correct.append(knn_correct(similarities, np.arange(part.start, part.stop), kinds.member, ballots, k))
    figures: Counted = {
        "ranking_accuracy": mean_and_count(np.concatenate(pairwise)),
        "strict_accuracy": mean_and_count(np.concatenate(strict)),
        "similarity_correlation": CountedMean(pairs.correlation(), n),
        "orthogonality": CountedMean(orthogonality(embeddings, labels.paths), n),
    }
    votes = [*_level_names(depth), "direction_accuracy"]
    if not correct:
        return figures | dict.fromkeys([*votes, "direction_accuracy_chance"], CountedMean(None, 0)), pairs
    for name, right in zip(votes, np.concatenate(correct).T, strict=True):
        figures[name] = mean_and_count(right.astype(np.float64))
    most_frequent = np.bincount(labels.directions).max() / n
    figures["direction_accuracy_chance"] = CountedMean(float(most_frequent), n)
    return figures, pairs
