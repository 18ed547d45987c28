"""Which values a text refers to, as its nearest texts say: recall and F1 beside their chance levels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import NONE, BoolArray, IntArray, Labels
from valueflow.hives.metrics.bootstrap import Resampled, Weights, divided, resampled_mean
from valueflow.hives.metrics.counted import CountedMean, mean_and_count
from valueflow.hives.metrics.similarity import FloatArray, cosine_similarities, row_blocks, whole_numbers
from valueflow.hives.metrics.values import NO_NEIGHBOR, DistinctTexts, nearness
from valueflow.theory import find_theory, normalize_name

NEIGHBORS = 10
"""Texts that say which values another text refers to."""

SHOWN = 3
"""Values that a text's recall looks at."""

NAMES = ("value_recall_at_3", "value_macro_f1")


@dataclass(frozen=True)
class WhichValue:
    """What the neighbors say of (N,) texts and V values: true values, the three first ones, and those predicted."""

    true: BoolArray
    shown: BoolArray
    predicted: BoolArray

    def figures(self) -> dict[str, CountedMean]:
        """Return recall at 3 and macro-F1, each with what the same answers reach if texts get them at random."""
        n, n_true = len(self.true), self.true.sum(axis=1)
        if not n:
            return {name: CountedMean(None, 0) for base in NAMES for name in (base, f"{base}_chance")}
        by_chance = (self.true @ self.shown.mean(axis=0)) / n_true
        hits, predicted, true = self._counts(np.ones((1, n)))
        chance = float(_f1(predicted * true / n, predicted, true)[0])
        return {
            NAMES[0]: mean_and_count(self._recalls()),
            f"{NAMES[0]}_chance": CountedMean(float(by_chance.mean()), n),
            NAMES[1]: CountedMean(float(_f1(hits, predicted, true)[0]), n),
            f"{NAMES[1]}_chance": CountedMean(chance, n),
        }

    def samples(self, weights: Weights) -> dict[str, Resampled]:
        """Return both metrics in each of R samples with the (R, N) weights of the texts; neighbors stay as they are."""
        total = weights.sum(axis=1, dtype=np.float64)
        if not len(self.true):
            return dict.fromkeys(NAMES, Resampled(np.full(len(weights), np.nan), total))
        return {
            NAMES[0]: resampled_mean(self._recalls(), weights),
            NAMES[1]: Resampled(_f1(*self._counts(weights.astype(np.float64))), total),
        }

    def _recalls(self) -> FloatArray:
        return np.asarray((self.true & self.shown).sum(axis=1) / self.true.sum(axis=1))

    def _counts(self, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Count texts of each value that are found, predicted and true, by (R, N) weights: (R, V) each."""
        hits = weights @ (self.true & self.predicted).astype(np.float64)
        return hits, weights @ self.predicted.astype(np.float64), weights @ self.true.astype(np.float64)


def values_of_texts(labels: Labels) -> tuple[list[str], BoolArray]:
    """Return the V values that texts of ONE theory refer to, and which of them each text does: (N, V).

    Values are those that the theory evaluates, wherever a path names them; in a theory that is not packaged they are
    whole paths. A text that is placed above its theory's values has none.
    """
    theory = find_theory(labels.theory_names[int(labels.theories[0])]) if len(labels) else None
    known = {} if theory is None else {normalize_name(value): value for value in theory.values}
    value_of: dict[int, str] = {}
    numbers = labels.paths if theory is not None else labels.paths[:, :, -1:]
    for number in np.unique(numbers[numbers != NONE]).tolist():
        last = labels.prefix_names[number].rpartition("/")[2]
        value = labels.prefix_names[number] if theory is None else known.get(last)
        if value is not None:
            value_of[number] = value
    names = sorted(set(value_of.values()))
    place = {name: column for column, name in enumerate(names)}
    columns = np.full(len(labels.prefix_names) + 1, len(names))  # one more for what is no value, and for NONE
    for number, value in value_of.items():
        columns[number] = place[value]
    found = np.zeros((len(labels), len(names) + 1), dtype=bool)
    found[np.arange(len(labels))[:, None, None], columns[numbers]] = True
    return names, found[:, :-1]


def which_value(embeddings: FloatArray, values: BoolArray, texts: IntArray) -> tuple[WhichValue, BoolArray]:
    """Predict the values of texts from their nearest texts.

    The ten nearest of the other texts that have values vote for theirs, each with 1 + its cosine similarity. The
    three values with most votes are shown; predicted are as many of the first as these neighbors have on average.

    Takes (N, D) normalized embeddings of one theory, (N, V) values and the (N,) numbers of distinct texts. Rows with
    one number are one text: it has the values of all of them, is one neighbor of others, as near as the nearest of its
    rows, and none of itself. Returns the predictions for the rows of texts that have values, and which of the N rows
    these are; none where there are too few texts.
    """
    every = DistinctTexts.of(texts)
    values = np.logical_or.reduceat(values[every.order], every.starts, axis=0)[every.member] if len(values) else values
    has_values: BoolArray = np.asarray(values.any(axis=1))
    rows = np.flatnonzero(has_values)
    distinct = DistinctTexts.of(texts[rows])
    if len(distinct.starts) <= NEIGHBORS:
        nothing = np.zeros((0, values.shape[1]), dtype=bool)
        return WhichValue(nothing, nothing, nothing), np.zeros(len(values), dtype=bool)
    kept, own = embeddings[rows], values[rows][distinct.order[distinct.starts]].astype(np.int64)  # (T, V)
    # Texts with the same values are as good as each other, so equal similarities are ordered by these.
    kinds = np.unique(own, axis=0, return_inverse=True)[1].reshape(-1)
    shown, predicted = [], []
    for part in row_blocks(len(rows), len(rows)):
        similarities = distinct.highest(cosine_similarities(kept[part], kept))
        keys, _ = nearness(similarities, kinds, int(kinds.max()) + 1)
        keys[np.arange(len(keys)), distinct.member[part]] = NO_NEIGHBOR
        near = np.argpartition(keys, -NEIGHBORS, axis=1)[:, -NEIGHBORS:]
        near_values = own[near]  # (B, k, V)
        # Whole numbers, so that the order of summing decides nothing.
        weight = whole_numbers(1.0 + np.take_along_axis(similarities, near, axis=1))
        votes = np.einsum("bk,bkv->bv", weight, near_values)
        rank = (-votes).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        rank[votes <= 0] = values.shape[1]
        shown.append(rank < SHOWN)
        many = np.rint(near_values.sum(axis=(1, 2)) / NEIGHBORS).clip(min=1)
        predicted.append(rank < many[:, None])
    return WhichValue(values[rows], np.concatenate(shown), np.concatenate(predicted)), has_values


def _f1(hits: FloatArray, predicted: FloatArray, true: FloatArray) -> npt.NDArray[np.float64]:
    """Return the mean over values of F1, from (R, V) counts: (R,); values that no text refers to do not count."""
    scores = np.where(true > 0, np.nan_to_num(divided(2 * hits, predicted + true)), np.nan)
    return divided(np.nansum(scores, axis=1), (true > 0).sum(axis=1).astype(np.float64))
