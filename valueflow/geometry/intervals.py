"""How far cosines, and their correlation with a theory, depend on which texts stand for the values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from valueflow.geometry.directions import Sides, resampled
from valueflow.geometry.similarity import Floats, cosine_matrix, rank_correlation

_RESAMPLES = 500

_NORMAL_QUANTILE = 1.959964
"""Of 97.5%: half of a 95% interval, in standard errors."""

_HIGHEST = 1 - 1e-12
"""Correlations beyond it, whose Fisher transform is infinite, are taken for it."""


@dataclass(frozen=True)
class Intervals:
    """Ends of 95% intervals; NaN where a side has too few texts to know how far they differ.

    Attributes
    ----------
    low, high
        (V, V) of the cosines.
    correlation
        Of the correlation with the theory's distances.
    """

    low: Floats
    high: Floats
    correlation: tuple[float, float]


def intervals(values: Sequence[Sides] | None, cosines: Floats, distances: Floats, seed: int) -> Intervals:
    """Return intervals by drawing the texts of each value again (bootstrap).

    They are Fisher's z of what was found, plus and minus 1.96 of its standard deviations over the draws. The draws
    themselves are not centered on it: each adds the chance of a draw to that of the texts, and so makes directions less
    alike.

    Parameters
    ----------
    values
        Vectors of V values' texts; None where only those of the values are known.
    cosines, distances
        (V, V) what was found, and what the theory says.
    seed
        Of the draws.
    """
    unknown = np.full_like(cosines, np.nan)
    if values is None:
        return Intervals(unknown, unknown, (float("nan"), float("nan")))
    sums, squares = np.zeros_like(cosines), np.zeros_like(cosines)
    correlations = []
    for block in resampled(values, _RESAMPLES, seed):
        drawn = cosine_matrix(block)
        transformed = _fisher(drawn)
        sums += transformed.sum(axis=0)
        squares += (transformed**2).sum(axis=0)
        correlations.append(_fisher(rank_correlation(drawn, distances)))
    variances = np.clip(squares - sums**2 / _RESAMPLES, 0.0, None) / (_RESAMPLES - 1)
    vary = np.array([sides.can_vary for sides in values])
    low, high = _span(cosines, np.where(vary[:, None] & vary, np.sqrt(variances), np.nan))
    error = np.asarray(np.concatenate(correlations).std(ddof=1) if vary.all() else np.nan)
    ends = _span(np.asarray(rank_correlation(cosines, distances)), error)
    return Intervals(low, high, (float(ends[0]), float(ends[1])))


def _fisher(correlations: Floats) -> Floats:
    transformed: Floats = np.arctanh(np.clip(correlations, -_HIGHEST, _HIGHEST))
    return transformed


def _span(found: Floats, errors: Floats) -> tuple[Floats, Floats]:
    z = _fisher(found)
    return np.tanh(z - _NORMAL_QUANTILE * errors), np.tanh(z + _NORMAL_QUANTILE * errors)
