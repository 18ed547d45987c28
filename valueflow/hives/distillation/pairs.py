"""Which texts the teacher is asked about on which values, and its answers as what a student can learn."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.distillation.texts import DistillationTexts
from valueflow.run import keyed_uniforms, row_keys

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST_ANSWERS = 5
"""Answers to learn from below which a value has no standard deviation worth the name, and is not learned."""

_SMALLEST = 1e-9
"""Standard deviation, as a share of the mean, below which utilities are equal but for rounding."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of a text and a value, text by text, each with what it is to be called.

    Attributes
    ----------
    text, value
        (P,) numbers of text and value, from 0.
    utility
        (P,) the teacher's utility; NaN where it is not known yet, or it failed.
    """

    text: IntArray
    value: IntArray
    utility: FloatArray

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, rows: BoolArray | IntArray) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.text[rows], self.value[rows], self.utility[rows])

    def renumbered(self) -> tuple[IntArray, "Pairs"]:
        """Return which texts (M,) there are pairs of, and the pairs with texts numbered by their place among these."""
        numbers, text = np.unique(self.text, return_inverse=True)
        return numbers, Pairs(text, self.value, self.utility)


def draw_pairs(texts: DistillationTexts, per_text: int | None, seed: int) -> Pairs:
    """Return the pairs to ask about: for each text the values its sources name, and `per_text` drawn ones.

    Parameters
    ----------
    texts
        N texts and V values.
    per_text
        Values drawn for each text, without replacement, whether or not a source names them; None: all.
    seed
        Of the draws, which depend on nothing else but the text and the number of values.
    """
    n_values = texts.named.shape[1]
    asked = texts.named.copy()
    # A column besides the text: the same keys decide which texts are held out.
    keys = row_keys(pd.DataFrame({"text": texts.texts, "of": "values"}), seed)
    drawn = np.argsort(keyed_uniforms(keys, n_values), axis=1)[:, :per_text]
    np.put_along_axis(asked, drawn, True, axis=1)
    text, value = np.nonzero(asked)
    return Pairs(text.astype(np.int64), value.astype(np.int64), np.full(len(text), np.nan))


@dataclass(frozen=True, eq=False)
class Standards:
    """What a teacher's utilities on each of V values are measured in.

    Attributes
    ----------
    mean, sd
        (V,) of the pairs that are learned from; NaN for a value with fewer than `LEAST_ANSWERS`, or on which all texts
        have one utility.
    """

    mean: FloatArray
    sd: FloatArray

    @classmethod
    def of(cls, learned: Pairs, n_values: int) -> "Standards":
        """Return mean and standard deviation by value, of pairs whose utilities are all known."""
        counts = np.bincount(learned.value, minlength=n_values)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.bincount(learned.value, learned.utility, minlength=n_values) / counts
            squares = np.bincount(learned.value, (learned.utility - mean[learned.value]) ** 2, minlength=n_values)
            sd = np.sqrt(squares / (counts - 1))
        varies = np.nan_to_num(sd) > _SMALLEST * np.maximum(np.abs(np.nan_to_num(mean)), 1.0)
        known = varies & (counts >= LEAST_ANSWERS)
        return cls(np.where(known, mean, np.nan), np.where(known, sd, np.nan))

    def of_pairs(self, pairs: Pairs) -> Pairs:
        """Return pairs with utilities in standard deviations about the mean of their value, where these are known."""
        utility = (pairs.utility - self.mean[pairs.value]) / self.sd[pairs.value]
        known = np.isfinite(utility)
        return Pairs(pairs.text[known], pairs.value[known], utility[known])
