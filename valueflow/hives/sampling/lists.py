"""Lists of rows in one array, so that many of them are worked on at once."""

from dataclasses import dataclass

import numpy as np

from valueflow.hives.data import IntArray


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of rows, one behind the other: list i is `rows[starts[i] : starts[i + 1]]`."""

    rows: IntArray
    starts: IntArray

    @classmethod
    def by_key(cls, keys: IntArray, rows: IntArray, n: int) -> "Lists":
        """Put each row on the list 0..n-1 that its key names, in the order given."""
        return cls(rows[np.argsort(keys, kind="stable")], starts_of(np.bincount(keys, minlength=n)))

    @property
    def lengths(self) -> IntArray:
        """Number of rows on each list."""
        return np.diff(self.starts)

    def of(self, number: int) -> IntArray:
        """Return the rows of a list."""
        return self.rows[self.starts[number] : self.starts[number + 1]]


def starts_of(lengths: IntArray) -> IntArray:
    """Where each of the lists begins, and the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)])


def places_in(lengths: IntArray) -> IntArray:
    """Count 0, 1, 2, ... in each list."""
    starts = starts_of(lengths)
    return np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
