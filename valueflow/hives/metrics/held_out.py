"""How well embeddings of held-out texts follow the hierarchy they are labeled with.

A text is compared with the other texts of its theory. Categories order these by their labels: same path and direction,
same path in another direction, then the number of levels shared; the more two texts share, the more similar their
embeddings should be.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import IntArray, Labels
from valueflow.hives.metrics.bootstrap import (
    Resampled,
    Weights,
    draw_weights,
    pooled_samples_by_name,
    resampled_mean,
    spreads,
)
from valueflow.hives.metrics.counted import CountedMean, mean_and_count, pooled_by_name, values_of
from valueflow.hives.metrics.kinds import categories, kinds_of
from valueflow.hives.metrics.pair_samples import PairSamples
from valueflow.hives.metrics.pair_sums import PairSums, distance_names, ratio_names
from valueflow.hives.metrics.ranking import ranking_accuracies
from valueflow.hives.metrics.ranking_samples import RankingSamples
from valueflow.hives.metrics.retrieval import concept_retrieval
from valueflow.hives.metrics.samples import checked_embeddings, theory_samples
from valueflow.hives.metrics.similarity import FloatArray, cosine_similarities, normalized, row_blocks
from valueflow.hives.metrics.value_votes import NAMES as VALUE_NAMES
from valueflow.hives.metrics.value_votes import values_of_texts, which_value
from valueflow.hives.metrics.values import DistinctTexts, knn_correct, orthogonality, resampled_orthogonality
from valueflow.run import Progress

Counted = dict[str, CountedMean]
Samples = dict[str, Resampled]

_RETRIEVAL, _RETRIEVAL_CHANCE = "anchor_retrieval", "anchor_retrieval_chance"
_RANKINGS = ("ranking_accuracy", "strict_accuracy")


class _Theory(NamedTuple):
    """Metrics, distances and ratios of the texts of one theory; and the same in samples of them."""

    metrics: Counted
    distances: Counted
    ratios: Counted
    metric_samples: Samples
    distance_samples: Samples
    ratio_samples: Samples


def held_out_metrics(embeddings: npt.ArrayLike, labels: Labels, **how: Any) -> dict[str, Any]:
    """Compute all metrics of a set of labeled texts; arguments, metrics and errors as in `held_out_samples`."""
    return held_out_samples(embeddings, labels, **how)[0]


def held_out_samples(
    embeddings: npt.ArrayLike,
    labels: Labels,
    *,
    texts: IntArray | None = None,
    replicates: int = 0,
    max_rows: int = 4000,
    seed: int = 0,
    k: int = 5,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Compute all metrics of a set of labeled texts, and those over all theories in samples with replacement of them.

    Parameters
    ----------
    embeddings, labels
        (N, D) finite numbers, normalized first, and the labels of the N texts.
    texts
        (N,) numbers of distinct texts. Rows with one number are one text (in several theories or directions, or
        near-duplicates): they are not compared with each other, and are drawn together. None: every row is a text of
        its own.
    replicates
        Samples from which standard errors are computed; 0: there are none.
    max_rows, seed
        A theory with more texts is reduced to a random sample of this many, for all metrics.
    k
        Neighbors that vote in `knn_level_*` and `direction_accuracy`.
    progress
        Told of the rows that are done, N in all; None: nobody is.

    Returns
    -------
    dict
        Numbers are Python's own; a metric that is not defined is None.

        - `theories`: for each theory that has texts, its metrics, with `n` texts used of `n_total`:
          `ranking_accuracy` and `strict_accuracy` (see `ranking_accuracies`; mean over the texts for which they are
          defined), `similarity_correlation` (Pearson, over all pairs, of cosine similarity with shared levels + 0.5 if
          the directions agree), `orthogonality`, `knn_level_1` to `knn_level_L` (share of texts whose k nearest
          neighbors vote for a prefix of theirs; theories with more than k texts), `direction_accuracy` (the same for
          their direction), `direction_accuracy_chance` (share of the most frequent direction among these texts),
          and `value_recall_at_3` and `value_macro_f1` with their chance levels (see `which_value`).
        - `overall`: the means of these, weighted by the number of texts for which they are defined; and
          `anchor_retrieval` with `anchor_retrieval_chance` (see `concept_retrieval`).
        - `standard_errors`: `overall`, `theories`, `distances` and `distance_ratios`, each as the block of this name:
          standard deviations over the samples. Texts are drawn as queries; in rankings, correlations, orthogonality
          and distances also as what these are compared with. Neighbors stay as they are.
        - `distances`: `overall` and `theories`, each with the mean cosine distance (1 - cos) of pairs within a theory
          by number of shared levels (`shared_0` to `shared_L`), by direction (`same_direction`, `other_direction`) and
          by both (`shared_0_same_direction` and so on).
        - `distance_ratios`: `overall` and `theories`: how many times the distance is larger in the other direction
          (`shared_0_other_to_same_direction` and so on), and than with the next larger number of levels that any pair
          of the theory shares (`shared_0_to_next` and so on; `shared_0_to_next_same_direction` among texts of one
          direction).
        - `anchor_queries`: number of texts over which `anchor_retrieval` is a mean.
    dict
        For each metric of `overall` with a standard error, its (replicates,) values in the samples. Two encoders
        measured on the same texts with the same seed have the same samples, so that differences can be taken.

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
    numbers = np.arange(len(labels)) if texts is None else texts
    weights = draw_weights(numbers, replicates, seed) if replicates else None

    def done(rows: int) -> None:
        if progress is not None:
            progress(rows, 0)

    theories: dict[str, _Theory] = {}
    samples, parts, totals = [np.empty(0, dtype=np.int64)], [np.empty((0, vectors.shape[1]))], {}
    for theory, rows, n_total in theory_samples(labels, max_rows, seed):
        part = normalized(vectors[rows])
        name = labels.theory_names[theory]
        own = weights[:, rows] if weights is not None else None
        theories[name] = _within_theory(part, labels.take(rows), numbers[rows], k, own, done)
        done(n_total - len(rows))
        totals[name] = CountedMean(len(rows), 0), CountedMean(n_total, 0)
        samples.append(rows)
        parts.append(part)
    used = np.concatenate(samples)
    found, chance = concept_retrieval(
        np.concatenate(parts), labels.theories[used], labels.all_concepts[used], numbers[used]
    )
    distinct = DistinctTexts.of(numbers[used])
    found, chance = (distinct.mean(figures) for figures in (found, chance))
    names = _metric_names(depth)
    overall = pooled_by_name((own.metrics for own in theories.values()), names)
    overall |= {_RETRIEVAL: mean_and_count(found), _RETRIEVAL_CHANCE: mean_and_count(chance)}
    resampled: Samples = {}
    if weights is not None:
        resampled = pooled_samples_by_name((own.metric_samples for own in theories.values()), _with_errors(depth))
        resampled[_RETRIEVAL] = resampled_mean(found, weights[:, used[distinct.order[distinct.starts]]])
    metrics = {
        "overall": values_of(overall),
        "theories": {
            name: values_of(own.metrics | dict(zip(("n", "n_total"), totals[name], strict=True)))
            for name, own in theories.items()
        },
        "standard_errors": {
            "overall": spreads(resampled),
            "theories": {name: spreads(own.metric_samples) for name, own in theories.items()},
            "distances": _errors_with_overall(
                {name: own.distance_samples for name, own in theories.items()}, distance_names(depth), weights
            ),
            "distance_ratios": _errors_with_overall(
                {name: own.ratio_samples for name, own in theories.items()}, ratio_names(depth), weights
            ),
        },
        "distances": _with_overall({name: own.distances for name, own in theories.items()}, distance_names(depth)),
        "distance_ratios": _with_overall({name: own.ratios for name, own in theories.items()}, ratio_names(depth)),
        "anchor_queries": overall[_RETRIEVAL].n,
    }
    return metrics, {name: figure.values for name, figure in resampled.items()}


def _vote_names(depth: int) -> list[str]:
    return [*(f"knn_level_{level}" for level in range(1, depth + 1)), "direction_accuracy"]


def _with_errors(depth: int) -> list[str]:
    return [*_RANKINGS, "similarity_correlation", "orthogonality", *_vote_names(depth), *VALUE_NAMES]


def _metric_names(depth: int) -> list[str]:
    chances = ["direction_accuracy_chance", *(f"{name}_chance" for name in VALUE_NAMES)]
    return [*_with_errors(depth), *chances]


def _with_overall(figures: dict[str, Counted], names: list[str]) -> dict[str, Any]:
    return {
        "overall": values_of(pooled_by_name(figures.values(), names)),
        "theories": {name: values_of(own) for name, own in figures.items()},
    }


def _errors_with_overall(figures: dict[str, Samples], names: list[str], weights: Weights | None) -> dict[str, Any]:
    overall = pooled_samples_by_name(figures.values(), names) if weights is not None else {}
    return {"overall": spreads(overall), "theories": {name: spreads(own) for name, own in figures.items()}}


def _within_theory(
    embeddings: FloatArray,
    labels: Labels,
    texts: IntArray,
    k: int,
    weights: Weights | None,
    done: Callable[[int], None],
) -> _Theory:
    """Compute the metrics of the texts of one theory from their normalized embeddings, and in samples by weights."""
    n, depth = len(labels), labels.depth
    kinds, category = kinds_of(labels.paths, labels.directions, texts), categories(depth)
    ballots = kinds.ballots
    origin = float(cosine_similarities(embeddings[:1], embeddings[-1:])[0, 0])
    pairs = PairSums.empty(depth, origin)
    drawn_pairs = PairSamples(weights, depth, origin) if weights is not None else None
    drawn_rankings = RankingSamples(weights) if weights is not None else None
    pairwise, strict, correct = [], [], []
    for part in row_blocks(n, n):
        similarities = cosine_similarities(embeddings[part], embeddings)
        kind = kinds.pairs(part)
        found = ranking_accuracies(similarities, category[kind])
        pairwise.append(found[0])
        strict.append(found[1])
        pairs.add(similarities, kind)
        if drawn_pairs is not None and drawn_rankings is not None:
            drawn_pairs.add(similarities, kind, part)
            drawn_rankings.add(similarities, category[kind], part)
        if n > k:
            rows = np.arange(part.start, part.stop)
            correct.append(knn_correct(similarities, rows, kinds.member, ballots, k, texts))
        done(part.stop - part.start)
    predicted, has_values = which_value(embeddings, values_of_texts(labels)[1], texts)
    votes = np.concatenate(correct).astype(np.float64) if correct else np.full((n, depth + 1), np.nan)
    figures: Counted = {
        "ranking_accuracy": mean_and_count(np.concatenate(pairwise)),
        "strict_accuracy": mean_and_count(np.concatenate(strict)),
        "similarity_correlation": CountedMean(pairs.correlation(), n),
        "orthogonality": CountedMean(orthogonality(embeddings, labels.paths), n),
        **{name: mean_and_count(right) for name, right in zip(_vote_names(depth), votes.T, strict=True)},
        "direction_accuracy_chance": CountedMean(float(np.bincount(labels.directions).max() / n), n)
        if correct
        else CountedMean(None, 0),
        **predicted.figures(),
    }
    if weights is None or drawn_pairs is None or drawn_rankings is None:
        return _Theory(figures, pairs.distances(), pairs.ratios(), {}, {}, {})
    return _Theory(
        figures,
        pairs.distances(),
        pairs.ratios(),
        dict(zip(_RANKINGS, drawn_rankings.result(), strict=True))
        | {"similarity_correlation": drawn_pairs.correlation()}
        | {"orthogonality": resampled_orthogonality(embeddings, labels.paths, weights)}
        | {name: resampled_mean(right, weights) for name, right in zip(_vote_names(depth), votes.T, strict=True)}
        | predicted.samples(weights[:, has_values]),
        drawn_pairs.distances(pairs),
        drawn_pairs.ratios(pairs),
    )
