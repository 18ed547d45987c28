"""The definitions of the published evaluator, so that figures can be set beside the paper's.

It draws one text of each category for a query. What is computed here is the expectation over these draws, from all
texts.

References
----------
Kim, Hyeon, Oh, Do (2026). VALUEFLOW: Toward Pluralistic and Steerable Value-based Alignment in Large Language Models.
ICML 2026.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import NONE, IntArray, Labels
from valueflow.hives.metrics.counted import (
    CountedMean,
    mean_and_count,
    pooled_by_name,
    standard_errors,
    values_of,
    weighted_mean_and_count,
)
from valueflow.hives.metrics.kinds import Kinds, categories, kinds_of
from valueflow.hives.metrics.pair_sums import PairSums
from valueflow.hives.metrics.ranking import category_pair_accuracies
from valueflow.hives.metrics.samples import checked_embeddings, theory_samples
from valueflow.hives.metrics.similarity import FloatArray, cosine_similarities, normalized, row_blocks
from valueflow.hives.metrics.values import nearest_correct


def published_metrics(
    embeddings: npt.ArrayLike,
    labels: Labels,
    training: tuple[npt.ArrayLike, Labels] | None = None,
    *,
    max_rows: int = 4000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute the published evaluator's metrics of a set of labeled texts, each theory by itself.

    Parameters
    ----------
    embeddings, labels, max_rows, seed
        As in `held_out_metrics`; the same texts are measured.
    training
        Embeddings and labels of the texts that were trained on, among which each text looks for its nearest. Their
        labels may have other numbers, and more or fewer levels. None: there are none.

    Returns
    -------
    dict
        Numbers are Python's own; a metric that is not defined is None.

        - `theories`: for each theory that has texts: `ranking_accuracy` (see `category_pair_accuracies`; mean over all
          pairs of categories of all texts), `similarity_correlation` (Pearson, over all pairs, of cosine similarity
          with the number of levels at which names are equal, whatever is above them, + 0.5 if the directions agree),
          `knn_level_1` to `knn_level_L` and `direction_accuracy` (share of texts whose nearest training text of the
          theory has their name at this level, or their direction; see `nearest_correct`), and `n_training`, the number
          of these training texts.
        - `overall`: the means of these, weighted by the number of texts for which they are defined.
        - `standard_errors`: `overall` and `theories`, of all but `similarity_correlation`.

    Raises
    ------
    InputError
        Where an embedding holds NaN or an infinity.
    ValueError
        Where shapes do not fit, or `max_rows` is below 1.
    """
    vectors, depth = checked_embeddings(embeddings, len(labels)), labels.depth
    given, trained_labels = training or (vectors[:0], labels.take(np.empty(0, dtype=np.int64)))
    trained = checked_embeddings(given, len(trained_labels))
    numbers, trained_numbers = _same_numbers(_names(labels), _names(trained_labels))
    figures: dict[str, dict[str, CountedMean]] = {}
    for theory, rows, _ in theory_samples(labels, max_rows, seed):
        name = labels.theory_names[theory]
        known = _rows_of(trained_labels, name)
        part, own, other = normalized(vectors[rows]), labels.take(rows), trained_labels.take(known)
        kinds = kinds_of(_by_name(own.paths, numbers, depth), own.directions)
        index = _Index(
            normalized(trained[known]), kinds_of(_by_name(other.paths, trained_numbers, depth), other.directions)
        )
        figures[name] = _among_each_other(part, own, kinds) | _by_nearest(part, kinds, index)
        figures[name]["n_training"] = CountedMean(len(known), 0)
    errors = ["ranking_accuracy", *(f"knn_level_{level}" for level in range(1, depth + 1)), "direction_accuracy"]
    overall = pooled_by_name(figures.values(), [*errors, "similarity_correlation"])
    return {
        "overall": values_of(overall),
        "theories": {name: values_of(own) for name, own in figures.items()},
        "standard_errors": {
            "overall": standard_errors(overall, errors),
            "theories": {name: standard_errors(own, errors) for name, own in figures.items()},
        },
    }


@dataclass(frozen=True)
class _Index:
    """The (M, D) normalized embeddings of training texts of one theory, and their kinds by names."""

    embeddings: FloatArray
    kinds: Kinds


def _among_each_other(embeddings: FloatArray, labels: Labels, by_name: Kinds) -> dict[str, CountedMean]:
    """Compute what the texts of one theory tell of each other."""
    n, depth = len(labels), labels.depth
    by_path, category = kinds_of(labels.paths, labels.directions), categories(depth)
    pairs = PairSums.empty(depth, float(cosine_similarities(embeddings[:1], embeddings[-1:])[0, 0]))
    accuracies, weights = [], []
    for part in row_blocks(n, n):
        similarities = cosine_similarities(embeddings[part], embeddings)
        accuracy, weight = category_pair_accuracies(similarities, category[by_path.pairs(part)])
        accuracies.append(accuracy)
        weights.append(weight)
        pairs.add(similarities, by_name.pairs(part))
    return {
        "ranking_accuracy": weighted_mean_and_count(np.concatenate(accuracies), np.concatenate(weights)),
        "similarity_correlation": CountedMean(pairs.correlation(), n),
    }


def _by_nearest(embeddings: FloatArray, kinds: Kinds, index: _Index) -> dict[str, CountedMean]:
    """Compute what the nearest training texts tell of the texts of one theory."""
    n, depth = len(embeddings), kinds.paths.shape[2]
    names = [*(f"knn_level_{level}" for level in range(1, depth + 1)), "direction_accuracy"]
    if not len(index.embeddings):
        return dict.fromkeys(names, CountedMean(None, 0))
    ballots, own = index.kinds.ballots, kinds.ballots
    correct = [
        nearest_correct(
            cosine_similarities(embeddings[part], index.embeddings),
            index.kinds.member,
            ballots,
            own[kinds.member[part]],
        )
        for part in row_blocks(n, len(index.embeddings))
    ]
    shares = np.concatenate(correct).astype(np.float64)
    return {name: mean_and_count(share) for name, share in zip(names, shares.T, strict=True)}


def _rows_of(labels: Labels, theory: str) -> IntArray:
    if theory not in labels.theory_names:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(labels.theories == labels.theory_names.index(theory))


def _names(labels: Labels) -> list[str]:
    """Return the last name of each prefix: of `theory/growth/care`, `care`; a name may hold a slash itself."""
    names = [""] * len(labels.prefix_names)
    slots = labels.paths[:, :, 0] != NONE
    theories = np.broadcast_to(labels.theories[:, None], slots.shape)[slots]
    paths = labels.paths[slots]
    for level in range(labels.depth):
        numbers, first = np.unique(paths[:, level], return_index=True)
        for number, row in zip(numbers.tolist(), first.tolist(), strict=True):
            above = labels.prefix_names[paths[row, level - 1]] if level else labels.theory_names[theories[row]]
            # A path that ended above repeats its last prefix, which has its name already.
            names[number] = names[number] or labels.prefix_names[number][len(above) + 1 :]
    return names


def _same_numbers(names: list[str], others: list[str]) -> tuple[IntArray, IntArray]:
    """Return for each name of two lists its number; equal names have equal numbers, in alphabetical order."""
    numbers = np.unique(np.array([*names, *others], dtype=str), return_inverse=True)[1].reshape(-1).astype(np.int64)
    return numbers[: len(names)], numbers[len(names) :]


def _by_name(paths: IntArray, numbers: IntArray, depth: int) -> IntArray:
    """Put the (P,) numbers of names in the place of prefixes, and bring (N, W, L) paths to a depth.

    As in `Labels.paths`, a path that ends early repeats its last name.
    """
    levels = np.minimum(np.arange(depth), paths.shape[2] - 1)
    chosen = paths[:, :, levels]
    return np.where(chosen == NONE, NONE, numbers[chosen])
