"""How many queries moved the way that they were steered."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

_TIE = 1e-9
"""Moves smaller than this are rounding."""

_LEVEL = 0.95


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
    low, high = wilson_interval(right, right + wrong + tied)
    total = right + wrong + tied
    return Moves(right, wrong, tied, right / total if total else np.nan, low, high)


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Return the 95% score interval of a share (Wilson 1927); not a number where the total is 0.

    It stays inside [0, 1] and keeps its level for few queries and shares near 0 or 1.
    """
    if total == 0:
        return np.nan, np.nan
    z = float(ndtri((1 + _LEVEL) / 2))
    share = successes / total
    center = share + z**2 / (2 * total)
    half = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    # Rounding may leave the ends an ulp outside.
    return max(0.0, float((center - half) / scale)), min(1.0, float((center + half) / scale))
