"""How far a student orders texts as its teacher does, value by value, with intervals by bootstrap over texts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEAST_TEXTS = 10
"""Held-out texts below which a value has no correlation of its own."""

LEVEL = 0.95
_REPLICATES = 500


@dataclass(frozen=True, eq=False)
class Agreement:
    """Spearman correlations of S students with a teacher on V values.

    Attributes
    ----------
    texts
        (V,) how many texts each value is measured on.
    correlation
        (S, V); NaN where a value has fewer than `LEAST_TEXTS`, or somebody gives them all the same utility.
    interval
        (2, S, V) its lower and upper end.
    mean, mean_interval
        (S,) and (2, S) over the values that all students have a correlation on.
    gain, gain_interval
        (S,) and (2, S) how far the mean exceeds that of the first student, on the same texts.
    """

    texts: IntArray
    correlation: FloatArray
    interval: FloatArray
    mean: FloatArray
    mean_interval: FloatArray
    gain: FloatArray
    gain_interval: FloatArray


def agreement(
    students: FloatArray, teacher: FloatArray, text: IntArray, value: IntArray, *, n_values: int, seed: int
) -> Agreement:
    """Measure students on the same pairs of a text and a value.

    Parameters
    ----------
    students
        (S, P) utilities.
    teacher
        (P,) its utilities.
    text, value
        (P,) numbers of text and value.
    n_values
        V.
    seed
        Of the bootstrap: texts are drawn, with all their pairs, so that the intervals count what a text has in common
        on several values. Intervals are the percentiles of 500 replicates (Efron and Tibshirani 1993, An introduction
        to the bootstrap, chapter 13).
    """
    counts = np.bincount(value, minlength=n_values)
    different, text = np.unique(text, return_inverse=True)
    found = np.array([spearman_by_group(own, teacher, value, n_values) for own in students])
    usable = (counts >= LEAST_TEXTS) & np.isfinite(found).all(axis=0)
    found[:, ~usable] = np.nan
    rng = np.random.default_rng(seed)
    n_texts = len(different)
    drawn = np.full((_REPLICATES, *found.shape), np.nan)
    for replicate in drawn:
        times = np.bincount(rng.integers(max(n_texts, 1), size=n_texts), minlength=n_texts)
        rows = np.repeat(np.arange(len(text)), times[text])
        for own, student in zip(replicate, students, strict=True):
            own[:] = spearman_by_group(student[rows], teacher[rows], value[rows], n_values)
    drawn[:, :, ~usable] = np.nan
    # Somebody who tells no drawn texts apart on a value has no correlation there: then nobody's counts.
    means = _mean(np.where(np.isfinite(drawn).all(axis=1, keepdims=True), drawn, np.nan))
    return Agreement(
        texts=counts,
        correlation=found,
        interval=_percentiles(drawn),
        mean=_mean(found),
        mean_interval=_percentiles(means),
        gain=_mean(found) - _mean(found)[:1],
        gain_interval=_percentiles(means - means[:, :1]),
    )


def spearman_by_group(x: FloatArray, y: FloatArray, group: IntArray, n_groups: int) -> FloatArray:
    """Return Spearman's correlation (G,) of two quantities (N,) within each of G groups.

    NaN where a group has fewer than two members, or one of the quantities does not vary within it.
    """
    first, second = _centered_ranks(x, group, n_groups), _centered_ranks(y, group, n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.bincount(group, first * second, minlength=n_groups)
            / np.sqrt(
                np.bincount(group, first**2, minlength=n_groups) * np.bincount(group, second**2, minlength=n_groups)
            )
        )


def _centered_ranks(x: FloatArray, group: IntArray, n_groups: int) -> FloatArray:
    """Return ranks within groups, equal ones averaged, less the mean of their group."""
    order = np.lexsort((x, group))
    in_order, groups = x[order], group[order]
    begins = np.ones(len(x), dtype=bool)
    begins[1:] = (in_order[1:] != in_order[:-1]) | (groups[1:] != groups[:-1])
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.append(starts, len(x)))
    ranks = np.empty(len(x))
    # Doubled, these are whole numbers, so that sums over a group are exact.
    ranks[order] = np.repeat(2 * starts + sizes - 1, sizes)
    counts = np.maximum(np.bincount(group, minlength=n_groups), 1)
    return np.asarray(ranks - (np.bincount(group, ranks, minlength=n_groups) / counts)[group])


def _mean(correlations: FloatArray) -> FloatArray:
    """Return the mean over the last axis of what is known; NaN where nothing is."""
    known = np.isfinite(correlations)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, correlations, 0.0).sum(axis=-1) / known.sum(axis=-1))


def _percentiles(replicates: FloatArray) -> FloatArray:
    """Return both ends of the intervals over the first axis."""
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    some = np.isfinite(replicates).any(axis=0)
    filled = np.where(some, replicates, 0.0)
    return np.asarray(np.where(some, np.nanquantile(filled, tails, axis=0), np.nan))
