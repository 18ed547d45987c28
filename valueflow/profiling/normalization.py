"""From mean intensities to scores in [-1, 1] and levels: pure functions on arrays, and the setting that chooses one."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from valueflow.run import Settings

FloatArray = npt.NDArray[np.float64]

Method = Literal["none", "rank", "minmax", "zscore", "percentile", "hybrid"]

HIGHEST = 10.0
"""Of an intensity; the lowest is its negative."""

BOUNDS: Mapping[str, float] = {"very_high": 0.6, "high": 0.2, "medium": -0.2, "low": -0.6, "very_low": -1.0}
"""Levels, from the highest: the lowest score of each."""


def as_it_is(means: FloatArray) -> FloatArray:
    """Return mean / 10."""
    return np.clip(means / HIGHEST, -1.0, 1.0)


def by_rank(means: FloatArray) -> FloatArray:
    """Return 2 (r - 1) / (n - 1) - 1, r the rank among n from the lowest, means of ranks where means are equal."""
    n = len(means)
    if n == 1:
        return np.zeros(n)
    _, place, counts = np.unique(means, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return np.asarray(2 * (ranks - 1) / (n - 1) - 1)


def by_range(means: FloatArray) -> FloatArray:
    """Return 2 (x - lowest) / (highest - lowest) - 1; 0 where all are equal."""
    low, high = means.min(), means.max()
    return 2 * (means - low) / (high - low) - 1 if high > low else np.zeros(len(means))


def by_zscore(means: FloatArray) -> FloatArray:
    """Return z / 2 within [-1, 1], z = (x - mean) / sd; 0 where all are equal."""
    sd = means.std()
    return np.clip((means - means.mean()) / sd / 2, -1.0, 1.0) if sd > 0 else np.zeros(len(means))


def by_percentile(means: FloatArray) -> FloatArray:
    """Return 2 Phi(z) - 1, where a normal distribution with the same mean and sd puts x; 0 where all are equal."""
    sd = means.std()
    return np.asarray(2 * ndtr((means - means.mean()) / sd) - 1) if sd > 0 else np.zeros(len(means))


def by_both(means: FloatArray) -> FloatArray:
    """Return the mean of `by_rank` and `by_zscore`: the order, and how far apart."""
    return (by_rank(means) + by_zscore(means)) / 2


_FORMULAS: Mapping[Method, Callable[[FloatArray], FloatArray]] = {
    "none": as_it_is,
    "rank": by_rank,
    "minmax": by_range,
    "zscore": by_zscore,
    "percentile": by_percentile,
    "hybrid": by_both,
}


class Normalization(Settings):
    """How means become scores; the files of `configs/normalization` describe the settings."""

    method: Method
    within: Literal["theory", "groups"]

    def scores(self, means: FloatArray) -> FloatArray:
        """Return the scores of G groups on the V values of a theory.

        Parameters
        ----------
        means
            (G, V) mean intensities; NaN where there is none.

        Returns
        -------
        (G, V) array
            In [-1, 1], rounded to 6 digits; NaN where there is no mean. A set of one mean, or of equal ones, has scores
            of 0, but for `none`.
        """
        rows = means if self.within == "theory" else means.T
        scores = np.full(rows.shape, np.nan)
        for row, score in zip(rows, scores, strict=True):
            known = ~np.isnan(row)
            if known.any():
                score[known] = _FORMULAS[self.method](row[known])
        # So that the last bit of a mean does not decide a level.
        return np.round(scores if self.within == "theory" else scores.T, 6) + 0.0


def level_of(score: float) -> str:
    """Return the level of a score in [-1, 1]: very_high from 0.6 on, high from 0.2, medium from -0.2, low from -0.6."""
    return next(level for level, lowest in BOUNDS.items() if score >= lowest or level == "very_low")
