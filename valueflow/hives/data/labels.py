"""The labels of each text of a training table as arrays: hierarchy paths, direction, ids that span theories."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NONE = -1
"""Fills places where a text has no further path, or no id."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of N texts.

    Attributes
    ----------
    theories
        (N,) numbers of `theory_names`.
    paths
        (N, W, L) hierarchy paths: `paths[i, w, l]` is the number (in `prefix_names`) of the first l levels of path
        w of text i. A prefix holds all names above it, so two texts that agree at a level agree at all levels before
        it. A text has one path for each of its values and for each parent of them; `NONE` fills up to W. A path that
        ends before level L repeats its last number, so two texts on the same short path share all L levels. No number
        belongs to two theories.
    directions
        (N,) codes of directions: places in `valueflow.theory.DIRECTIONS`.
    individuals, concepts
        (N,) ids of stage 2 (columns `selected_individual` and `selected_anchor`), `NONE` where a text has none; of a
        text with several ids the first by name.
    theory_names, prefix_names
        What the numbers mean; a prefix is named `theory/name/name`.
    concept_sets
        (N, C) all concepts of each text, `NONE` fills up to C; None: those of `concepts` are all.
    """

    theories: IntArray
    paths: IntArray
    directions: IntArray
    individuals: IntArray
    concepts: IntArray
    theory_names: tuple[str, ...]
    prefix_names: tuple[str, ...]
    concept_sets: IntArray | None = None

    def __len__(self) -> int:
        return len(self.theories)

    @property
    def depth(self) -> int:
        """Number of levels L."""
        return int(self.paths.shape[2])

    @property
    def all_concepts(self) -> IntArray:
        """All concepts of each text: (N, C), `NONE` fills up to C."""
        return self.concepts[:, None] if self.concept_sets is None else self.concept_sets

    def take(self, rows: npt.NDArray[np.integer] | BoolArray) -> "Labels":
        """Return the labels of some texts, in the order of `rows` (row numbers, or a mask)."""
        arrays = ("theories", "paths", "directions", "individuals", "concepts")
        sets = None if self.concept_sets is None else self.concept_sets[rows]
        return replace(self, concept_sets=sets, **{name: getattr(self, name)[rows] for name in arrays})


def agree(paths: IntArray, others: IntArray) -> BoolArray:
    """Return for each pair of texts and each level whether any of their paths agree down to that level.

    Takes (N, W, L) and (M, V, L) paths as in `Labels.paths`, returns (L, N, M).
    """
    n, _, depth = paths.shape
    result = np.zeros((depth, n, len(others)), dtype=bool)
    for w in range(paths.shape[1]):
        own = paths[:, w, :].T[:, :, None]
        for v in range(others.shape[1]):
            result |= (own == others[:, v, :].T[:, None, :]) & (own != NONE)
    return result


def shared_levels(paths: IntArray, others: IntArray) -> IntArray:
    """Return for each pair of texts the number of levels that they share: (N, M), from 0 to L."""
    return np.asarray(agree(paths, others).sum(axis=0, dtype=np.int64))
