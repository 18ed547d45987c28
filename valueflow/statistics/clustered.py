"""Means, intervals and tests over answers that come in clusters: one question is asked of many groups.

A question that a model gets right for one group it tends to get right for the next, so answers to one question are
not independent. Questions are the units here: variances are sums over questions, and tests flip whole questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .shares import wilson_interval

CONFIDENCE = 0.95

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_ROUNDING = 1e-12
"""A standard error below it is rounding: figures here lie within [-1, 1]."""


@dataclass(frozen=True)
class ClusteredMean:
    """A mean over answers with what is known of it from the clusters.

    Attributes
    ----------
    mean
        Over answers, each counted once. NaN where there are none.
    low, high
        95% interval by Student's t. NaN, like `p`, where the clusters do not tell how far the mean varies: there are
        fewer than two, or they do not differ.
    p
        Two-sided p of the mean being 0, by the same t.
    """

    mean: float
    low: float
    high: float
    p: float


def cluster_codes(clusters: Sequence[object]) -> Codes:
    """Return a number from 0 for each different cluster, in the order of their first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=np.int64)


def clustered_mean(values: Values, clusters: Codes, *, lowest: float = -1.0, highest: float = 1.0) -> ClusteredMean:
    """Return the mean of answers with an interval and a test that are clustered.

    Parameters
    ----------
    values
        (n,) one figure an answer.
    clusters
        (n,) the question of each, as a number from 0.
    lowest, highest
        What the mean cannot leave; the interval is clipped to it.

    Notes
    -----
    The variance is G/(G-1) times the sum over the G clusters of the squared sum of their residuals, over n squared
    (Liang and Zeger 1986, Longitudinal data analysis using generalized linear models, for a mean), and Student's t has
    G-1 degrees of freedom. Where each question appears once, this is the t interval of a mean.
    """
    from scipy import stats

    if len(values) == 0:
        return ClusteredMean(np.nan, np.nan, np.nan, np.nan)
    mean = float(values.mean())
    error = _standard_error(values - mean, clusters)
    if not error > _ROUNDING:
        return ClusteredMean(mean, np.nan, np.nan, np.nan)
    freedom = _number_of(clusters) - 1
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, freedom))
    return ClusteredMean(mean, max(mean - half, lowest), min(mean + half, highest), p)


def clustered_share(flags: npt.NDArray[np.bool_], clusters: Codes) -> tuple[float, float]:
    """Return the 95% interval of a share: Wilson's, with the number of answers that the clusters are worth.

    Parameters
    ----------
    flags
        (n,) what the share is of; n at least 1.
    clusters
        (n,) as `clustered_mean` takes them.

    Notes
    -----
    The number of answers is divided by the design effect, the clustered variance over that of independent answers, at
    least 1; the quantile is that of Student's t with G-1 degrees of freedom (Franco, Little, Louis and Slud 2019,
    Comparative study of confidence intervals for proportions in complex sample surveys). Where all flags agree the
    design effect cannot be seen, and a question counts as one answer. Where each question appears once, this is
    Wilson's interval as it stands. For a single question asked several times, the interval is NaN.
    """
    from scipy import stats

    n, questions = len(flags), _number_of(clusters)
    share = float(flags.mean())
    if questions == n:
        return wilson_interval(share, n)
    if questions == 1:
        return np.nan, np.nan
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, questions - 1))
    independent = share * (1 - share) / (n - 1)
    error = _standard_error(flags.astype(np.float64) - share, clusters)
    effective = n / max(error**2 / independent, 1.0) if independent else float(questions)
    return wilson_interval(share, effective, quantile)


def sign_flip_p(differences: npt.NDArray[np.int64], clusters: Codes) -> float:
    """Return the exact two-sided p of the test that two passes are exchangeable within each question.

    All answers to a question change sides together: the p is the share of the 2^G ways to flip the questions' net
    differences whose absolute sum is at least the observed one. Where each question appears once, this is McNemar's
    exact test.

    Parameters
    ----------
    differences
        (n,) whole numbers: 1 where one pass alone is right, -1 where the other one is, else 0.
    clusters
        (n,) as `clustered_mean` takes them.

    Returns
    -------
    float
        1 where no question has a net difference.
    """
    net = np.zeros(clusters.max(initial=-1) + 1, dtype=np.int64)
    np.add.at(net, clusters, differences)
    sizes = np.sort(np.abs(net[net != 0]))
    total, observed = int(sizes.sum()), abs(int(net.sum()))
    # Flipping a subset with sum s gives total - 2 s: the distribution of s, question by question, small ones first.
    share = np.zeros(total + 1)
    share[0], filled = 1.0, 0
    for size in sizes.tolist():
        share[size : filled + size + 1] += share[: filled + 1].copy()
        filled += size
        share[: filled + 1] /= 2
    extreme = np.abs(total - 2 * np.arange(total + 1)) >= observed
    return min(float(share[extreme].sum()), 1.0)


def _number_of(clusters: Codes) -> int:
    """Return how many different clusters there are."""
    return int(np.unique(clusters).size)


def _standard_error(residuals: Values, clusters: Codes) -> float:
    """Return the standard error of a mean whose residuals these are; 0 where there is one cluster."""
    _, places = np.unique(clusters, return_inverse=True)
    sums = np.bincount(places, weights=residuals)
    many = len(sums)
    return float((many / (many - 1) * (sums**2).sum()) ** 0.5 / len(residuals)) if many > 1 else 0.0
