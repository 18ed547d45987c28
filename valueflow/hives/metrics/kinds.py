"""Texts by kind: those with the same labels share all that is computed from labels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import NONE, IntArray, shared_levels
from valueflow.hives.metrics.similarity import row_blocks

PairKinds = npt.NDArray[np.int16]
"""Kinds of pairs of texts, numbered 2 * shared levels + same direction; NONE for a text with itself."""


@dataclass(frozen=True)
class Kinds:
    """G kinds of texts with the same labels, far fewer than texts.

    The (N,) kind of each text, the (G, W, L) paths and (G,) directions of each kind, the (G, G) kinds of pairs, and the
    (N,) numbers of distinct texts: rows with one number make no pair.
    """

    member: IntArray
    paths: IntArray
    directions: IntArray
    table: PairKinds
    texts: IntArray

    @property
    def ballots(self) -> IntArray:
        """What a text of each kind votes for: (G, W, L + 1), its paths, and its direction as one more level."""
        directions = np.full((*self.paths.shape[:2], 1), NONE, dtype=np.int64)
        directions[:, 0, 0] = self.directions
        return np.concatenate([self.paths, directions], axis=2)

    def pairs(self, part: slice) -> PairKinds:
        """Return the (B, N) kinds of pairs of a block of texts with all texts."""
        kind = self.table[self.member[part, None], self.member]
        kind[self.texts[part, None] == self.texts] = NONE
        return kind


def kinds_of(paths: IntArray, directions: IntArray, texts: IntArray | None = None) -> Kinds:
    """Part texts by (N, W, L) paths and (N,) directions, as in `Labels`.

    The (N,) numbers of distinct texts say which rows make no pair; None: every row is a text of its own.
    """
    n, width, depth = paths.shape
    rows = np.column_stack([paths.reshape(n, width * depth), directions])
    kinds, member = np.unique(rows, axis=0, return_inverse=True)
    own_paths = kinds[:, :-1].reshape(len(kinds), width, depth)
    own_directions = kinds[:, -1]
    table = np.empty((len(kinds), len(kinds)), dtype=np.int16)
    for part in row_blocks(len(kinds), len(kinds)):
        same = own_directions[part, None] == own_directions
        table[part] = 2 * shared_levels(own_paths[part], own_paths) + same
    return Kinds(member.reshape(-1), own_paths, own_directions, table, np.arange(n) if texts is None else texts)


def categories(depth: int) -> npt.NDArray[np.int16]:
    """Return the category of each kind of pair: shared levels, and one more for the same path and direction.

    (2L + 3,), from 0; the last is for NONE, so that it can be indexed by kinds.
    """
    category = np.append(np.arange(2 * depth + 2) // 2, NONE).astype(np.int16)
    category[2 * depth + 1] += 1
    return category
