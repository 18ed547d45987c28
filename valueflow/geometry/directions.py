"""The direction of a value in a space of vectors: from the texts that oppose it to those that support it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from valueflow.geometry.similarity import Floats

_BLOCK = 1 << 22
"""Numbers in an array of resampled directions at most."""


@dataclass(frozen=True)
class Sides:
    """Vectors of a value's texts.

    Attributes
    ----------
    supporting, opposing
        (P, D) and (Q, D), one row or more each.
    """

    supporting: Floats
    opposing: Floats

    @property
    def can_vary(self) -> bool:
        """Whether both sides have the two texts that say how far texts differ."""
        return min(len(self.supporting), len(self.opposing)) > 1


def direction(sides: Sides) -> Floats:
    """Return the mean of the supporting vectors less that of the opposing ones, (D,)."""
    difference: Floats = sides.supporting.mean(axis=0) - sides.opposing.mean(axis=0)
    return difference


def reliability(sides: Sides) -> float:
    """Return the share of a direction's squared length that is not chance, from 0 to 1.

    The squared length of a difference of means exceeds that of the true difference by the trace of its sampling
    covariance, on average: 1 - trace / length^2, at least 0. The cosine of the direction with the true one is about
    the root of it. NaN where a side has a single text.
    """
    if not sides.can_vary:
        return float("nan")
    trace = sum(float(side.var(axis=0, ddof=1).sum()) / len(side) for side in (sides.supporting, sides.opposing))
    length = float((direction(sides) ** 2).sum())
    return max(0.0, 1.0 - trace / length) if length > 0 else 0.0


def resampled(values: Sequence[Sides], n: int, seed: int) -> Iterator[Floats]:
    """Draw the texts of each side again, with replacement, and give out the directions.

    Parameters
    ----------
    values
        V values with vectors of one length.
    n
        How often.
    seed
        Of the draws; those of a value depend on its place among the values and on nothing else.

    Yields
    ------
    (B, V, D) array
        B of the n, in turn.
    """
    sides = [side for own in values for side in (own.supporting, own.opposing)]
    sources = [np.random.default_rng(own) for own in np.random.SeedSequence(seed).spawn(len(sides))]
    step = max(_BLOCK // (len(values) * sides[0].shape[1]), 1)
    for start in range(0, n, step):
        size = min(step, n - start)
        means = [_mean_of_draws(side, size, rng) for side, rng in zip(sides, sources, strict=True)]
        yield np.stack(means[::2], axis=1) - np.stack(means[1::2], axis=1)


def _mean_of_draws(vectors: Floats, size: int, rng: np.random.Generator) -> Floats:
    counts = rng.multinomial(len(vectors), np.full(len(vectors), 1 / len(vectors)), size=size)
    means: Floats = counts @ vectors / len(vectors)
    return means
