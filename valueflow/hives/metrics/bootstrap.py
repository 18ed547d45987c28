"""Standard errors by a bootstrap of texts: metrics of many samples with replacement, drawn as weights.

References
----------
Efron, B., Tibshirani, R. (1993). An Introduction to the Bootstrap. Chapman and Hall.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import IntArray
from valueflow.hives.metrics.counted import Figures
from valueflow.hives.metrics.similarity import FloatArray

Weights = npt.NDArray[np.float32]
"""(R, N): how often each of N texts stands in each of R samples with replacement."""


class Resampled(NamedTuple):
    """A metric in each of R samples: (R,) values, NaN where it is not defined, and the (R,) weight of each."""

    values: FloatArray
    weights: FloatArray


def draw_weights(texts: IntArray, replicates: int, seed: int) -> Weights:
    """Draw samples of texts: rows with one number in (N,) `texts` are one text, and are drawn together."""
    distinct, member = np.unique(texts, return_inverse=True)
    if not len(distinct):
        return np.zeros((replicates, 0), dtype=np.float32)
    rng = np.random.default_rng([seed, len(distinct)])
    drawn = rng.multinomial(len(distinct), np.full(len(distinct), 1 / len(distinct)), size=replicates)
    return drawn.astype(np.float32)[:, member.reshape(-1)]


def resampled_mean(values: FloatArray, weights: Weights) -> Resampled:
    """Return the mean of (N,) numbers of texts in each sample; NaN has no weight."""
    defined = ~np.isnan(values)
    total = weights[:, defined].sum(axis=1, dtype=np.float64)
    sums = weights[:, defined].astype(np.float64) @ values[defined]
    return Resampled(divided(sums, total), total)


def divided(sums: FloatArray, totals: FloatArray) -> FloatArray:
    """Return quotients, NaN where there is nothing to divide by."""
    quotients = np.full(np.broadcast(sums, totals).shape, np.nan)
    np.divide(sums, totals, out=quotients, where=totals > 0)
    return quotients


def pooled_samples(figures: Sequence[Resampled]) -> Resampled:
    """Average a metric over theories in each sample, as `pooled` does in the texts as they are."""
    values = np.stack([figure.values for figure in figures])
    weights = np.where(np.isnan(values), 0.0, np.stack([figure.weights for figure in figures]))
    total = weights.sum(axis=0)
    return Resampled(divided((np.nan_to_num(values) * weights).sum(axis=0), total), total)


def pooled_samples_by_name(theories: Iterable[Mapping[str, Resampled]], names: Iterable[str]) -> dict[str, Resampled]:
    """Average each metric over the theories in each sample."""
    listed = list(theories)
    return {name: pooled_samples([own[name] for own in listed]) for name in names} if listed else {}


def spread(values: FloatArray) -> float | None:
    """Return the standard deviation of a metric over samples; None where fewer than half of them define it."""
    defined = values[np.isfinite(values)]
    return float(defined.std(ddof=1)) if len(defined) > max(len(values) / 2, 1) else None


def spreads(figures: Mapping[str, Resampled]) -> Figures:
    """Return the standard errors of metrics by name."""
    return {name: spread(figure.values) for name, figure in figures.items()}
