"""A group's mean intensity as the expectation over its answers to a survey: arithmetic on arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

CONFIDENCE = 0.95

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Expectation:
    """The mean of a group on a value.

    Attributes
    ----------
    mean
        Over the questions that bear on the value; NaN without one.
    se, half_width
        From one question to the next, and half the 95% interval by Student's t; NaN with fewer than two questions.
    influence
        (Q,) of each of the group's questions, NaN for one that does not count.
    questions
        Those that count.
    """

    mean: float
    se: float
    half_width: float
    influence: FloatArray
    questions: int


def expected_intensity(shares: FloatArray, intensity: FloatArray) -> FloatArray:
    r"""Return what a group's answers to each question express.

    .. math:: e_q = \sum_o p_{qo} x_{qo} / \sum_o p_{qo}

    over the options whose intensity x is known. Scaling a question's shares changes nothing.

    Parameters
    ----------
    shares
        (Q, O) of the options, or counts; 0 beyond a question's options.
    intensity
        (Q, O) of their statements; NaN for an option that has none.

    Returns
    -------
    (Q,) array
        NaN where nobody chose an option with a known intensity.
    """
    counted = np.where(np.isnan(intensity), 0.0, shares)
    total = counted.sum(axis=1)
    sums = (counted * np.nan_to_num(intensity)).sum(axis=1)
    return np.asarray(np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0))


def mean_expectation(expected: FloatArray, questions: IntArray, weights: FloatArray) -> Expectation:
    """Average expectations over a group's questions.

    Parameters
    ----------
    expected
        (Q,) as `expected_intensity`.
    questions
        (Q,) number of each question; a question that was asked several times is one cluster.
    weights
        (Q,) how much each counts.
    """
    nan = float("nan")
    counts = ~np.isnan(expected) & (weights > 0)
    influence = np.full(len(expected), nan)
    if not counts.any():
        return Expectation(nan, nan, nan, influence, 0)
    own = weights[counts] / weights[counts].sum()
    mean = float(own @ expected[counts])
    influence[counts] = own * (expected[counts] - mean)
    sums = np.bincount(np.unique(questions[counts], return_inverse=True)[1], weights=influence[counts])
    n = len(sums)
    if n < 2:
        return Expectation(mean, nan, nan, influence, n)
    se = float(np.sqrt(n / (n - 1) * (sums @ sums)))
    return Expectation(mean, se, float(stdtrit(n - 1.0, (1 + CONFIDENCE) / 2)) * se, influence, n)
