"""Exact lists of negatives, for texts that share a cell with nearly all of their theory.

Lists are kept. What is kept changes the time, never the result.
"""

import numpy as np

from valueflow.hives.data import BoolArray, IntArray
from valueflow.hives.sampling.cells import share_a_cell
from valueflow.hives.sampling.lists import Lists, starts_of

# Lists are kept up to this many rows together, or as many as there are texts.
_KEPT_ROWS = 2**20

# Cells for which the texts outside them are kept. Only cells with a good part of their theory are ever asked for.
_KEPT_CELLS = 32

# Numbers in one comparison of many texts with many.
_COMPARED_AT_ONCE = 2**22


class NegativeLists:
    """The negatives of a text: texts of its theory that share none of its cells.

    Parameters
    ----------
    theories, cells
        (N,) theory and (N, W) cells of each text.
    by_theory, by_cell
        The texts of each theory and of each cell.
    """

    def __init__(self, theories: IntArray, cells: IntArray, by_theory: Lists, by_cell: Lists) -> None:
        self._theories, self._cells = theories, cells
        self._by_theory, self._by_cell = by_theory, by_cell
        self._listed = Lists(np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)), dict[bytes, int]()
        self._outside_kept: dict[int, IntArray] = {}

    def of(self, rows: IntArray) -> tuple[Lists, IntArray]:
        """Return lists of negatives, one for all texts of the same cells, and the number of the list of each row."""
        kept, numbers = self._listed
        kinds, first, kind_of = np.unique(self._cells[rows], axis=0, return_index=True, return_inverse=True)
        keys = [kind.tobytes() for kind in kinds]
        if not all(key in numbers for key in keys):
            if len(kept.rows) > max(_KEPT_ROWS, len(self._cells)):
                kept, numbers = Lists(kept.rows[:0], kept.starts[:1]), {}
            new = {key: self._negatives_of(rows[at]) for key, at in zip(keys, first, strict=True) if key not in numbers}
            numbers = numbers | {key: len(numbers) + i for i, key in enumerate(new)}
            lengths = np.concatenate([kept.lengths, [len(listed) for listed in new.values()]]).astype(np.int64)
            kept = Lists(np.concatenate([kept.rows, *new.values()]), starts_of(lengths))
            self._listed = kept, numbers
        return kept, np.array([numbers[key] for key in keys])[kind_of.ravel()]

    def are_missing(self, among: BoolArray, sizes: IntArray) -> BoolArray:
        """Return which of the texts have none: they share a cell with every text of their theory.

        Sizes (N, W) are those of each text's cells. Only where they add up to the theory can that be; there, one cell
        is a good part of the theory, and the texts outside it are compared until one is found that shares nothing.
        """
        result = np.zeros(among.size, dtype=bool)
        suspects = np.flatnonzero(among & (sizes.sum(axis=1) >= self._by_theory.lengths[self._theories]))
        largest = np.take_along_axis(self._cells[suspects], sizes[suspects].argmax(axis=1)[:, None], axis=1)[:, 0]
        for cell in np.unique(largest):
            rows = suspects[largest == cell]
            kinds, kind_of = np.unique(self._cells[rows], axis=0, return_inverse=True)
            outside = self._cells[self._outside(int(cell))]
            left, position, step = np.arange(len(kinds)), 0, 4
            while left.size and position < len(outside):
                others = outside[position : position + step]
                shared = share_a_cell(kinds[left].repeat(len(others), axis=0), np.tile(others, (left.size, 1)))
                left = left[shared.reshape(left.size, -1).all(axis=1)]
                position += step
                step = max(4, min(2 * step, _COMPARED_AT_ONCE // max(left.size, 1)))
            result[rows] = np.isin(kind_of.ravel(), left)
        return result

    def _negatives_of(self, row: int) -> IntArray:
        cells = self._cells[row]
        sizes = np.append(self._by_cell.lengths, 0)[cells]
        rest = self._outside(int(cells[sizes.argmax()]))
        return rest[~share_a_cell(np.broadcast_to(cells, (rest.size, cells.size)), self._cells[rest])]

    def _outside(self, cell: int) -> IntArray:
        """List the texts of a cell's theory that are not in it."""
        found = self._outside_kept.get(cell)
        if found is None:
            members = self._by_cell.of(cell)
            everyone = self._by_theory.of(self._theories[members[0]])
            found = everyone[~np.isin(everyone, members, assume_unique=True)]
            if len(self._outside_kept) >= _KEPT_CELLS:
                self._outside_kept.clear()
            self._outside_kept[cell] = found
        return found
