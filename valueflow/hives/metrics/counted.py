"""Means over texts that know their number and their spread, so that theories can be pooled."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import IntArray

Figures = dict[str, float | None]
"""Metrics by name; None where one is not defined."""


class CountedMean(NamedTuple):
    """A metric with the number of texts for which it is defined.

    `squares` is the sum over these texts of the squared difference from the metric, where it is a mean of one number a
    text; None for any other metric.
    """

    value: float | None
    n: int
    squares: float | None = None

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean, sd / sqrt(n), as if texts were independent; None for fewer than two texts."""
        if self.squares is None or self.n < 2:
            return None
        return float(np.sqrt(self.squares / (self.n - 1) / self.n))


def mean_and_count(values: npt.NDArray[np.float64]) -> CountedMean:
    """Average what is not NaN, and count it."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return CountedMean(None, 0)
    mean = float(defined.mean())
    return CountedMean(mean, defined.size, float(((defined - mean) ** 2).sum()))


def weighted_mean_and_count(values: npt.NDArray[np.float64], weights: IntArray) -> CountedMean:
    """Average numbers of texts by weights, and count the texts that have a weight.

    The standard error is that of a ratio of two sums over texts, sum(w x) / sum(w), to first order: the spread of
    w (x - mean) / mean weight.
    """
    weighs = weights > 0
    n = int(weighs.sum())
    if not n:
        return CountedMean(None, 0)
    own, weight = values[weighs], weights[weighs].astype(np.float64)
    mean = float((weight * own).sum() / weight.sum())
    return CountedMean(mean, n, float(((weight * (own - mean) / weight.mean()) ** 2).sum()))


def pooled(figures: Sequence[CountedMean]) -> CountedMean:
    """Average a metric over theories, weighted by the number of texts for which it is defined."""
    defined = [figure for figure in figures if figure.value is not None]
    total = sum(figure.n for figure in defined)
    if not total:
        return CountedMean(None, 0)
    mean = sum(figure.value * figure.n for figure in defined if figure.value is not None) / total
    squares = 0.0
    for value, n, within in defined:
        if value is None or within is None:
            return CountedMean(mean, total)
        squares += within + n * (value - mean) ** 2
    return CountedMean(mean, total, squares)


def pooled_by_name(theories: Iterable[Mapping[str, CountedMean]], names: Iterable[str]) -> dict[str, CountedMean]:
    """Average each metric over the theories in which it is defined."""
    listed = list(theories)
    return {name: pooled([own[name] for own in listed]) for name in names}


def values_of(figures: Mapping[str, CountedMean]) -> Figures:
    """Leave counts and spreads away."""
    return {name: figure.value for name, figure in figures.items()}


def standard_errors(figures: Mapping[str, CountedMean], names: Iterable[str]) -> Figures:
    """Return the standard errors of those metrics that are means over texts."""
    return {name: figures[name].standard_error for name in names}
