"""Cells: a full hierarchy path together with a direction. Texts that share one are each other's positives."""

import numpy as np

from valueflow.hives.data import NONE, BoolArray, IntArray, Labels
from valueflow.hives.sampling.lists import Lists
from valueflow.theory import DIRECTIONS


def find_cells(labels: Labels) -> tuple[IntArray, Lists]:
    """Find the cells of each text, (N, W), each once and `NONE` behind them, and the texts of each cell."""
    full = labels.paths[:, :, -1]
    codes = np.where(full == NONE, NONE, full * len(DIRECTIONS) + labels.directions[:, None])
    codes = -np.sort(-codes, axis=1)
    codes[:, 1:][codes[:, 1:] == codes[:, :-1]] = NONE
    rows, columns = np.nonzero(codes != NONE)
    names, numbers = np.unique(codes[rows, columns], return_inverse=True)
    cells = np.full(codes.shape, NONE)
    cells[rows, columns] = numbers
    return cells, Lists.by_key(numbers, rows, names.size)


def share_a_cell(cells: IntArray, others: IntArray) -> BoolArray:
    """Return for each of n texts whether it shares a cell with the text beside it; both (n, W)."""
    shared = np.zeros(len(cells), dtype=bool)
    for path in range(cells.shape[1]):
        own = cells[:, path]
        shared |= ((own[:, None] == others) & (own != NONE)[:, None]).any(axis=1)
    return shared
