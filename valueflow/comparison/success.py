"""How many queries moved the way that they were steered."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.statistics import wilson_interval

_TIE = 1e-9
"""Moves smaller than this are rounding."""


@dataclass(frozen=True)
class Moves:
    """Counts of queries, and the share that moved the right way with its 95% interval.

    A query that did not move counts in the share as one that did not move the right way. Without any query the share
    is not a number.
    """

    right: int
    wrong: int
    tied: int
    share: float
    low: float
    high: float


def count_moves(change: npt.NDArray[np.float64], direction: int) -> Moves:
    """Count the queries whose score changed in a direction.

    Parameters
    ----------
    change
        (G,) change of each query's mean score; NaN where it is not known, which does not count.
    direction
        1 where the score should rise, -1 where it should fall.
    """
    moved = np.sign(np.where(np.abs(change) <= _TIE, 0.0, change)) * direction
    right, wrong, tied = (int((moved == sign).sum()) for sign in (1, -1, 0))
    total = right + wrong + tied
    share = right / total if total else np.nan
    return Moves(right, wrong, tied, share, *wilson_interval(share, total))
