"""Weighted sums of the means of jobs, with what makes them uncertain: responses by query, and the judge's scale.

A difference of two jobs has the weights 1 and -1, a slope over intensities has weights that sum to 0, a mean has the
single weight 1: one formula serves all.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-12
"""A standard error or an estimate up to it is 0 but for rounding."""

_LEVEL = 0.95


@dataclass(frozen=True)
class JudgeErrors:
    """What a judge's scale adds to the uncertainty of J means; arrays of shape (J,).

    Attributes
    ----------
    judge
        Codes: jobs with the same code share judge and anchors, so that errors of the scale are the same in all of them.
    beta_shift
        Change of the mean when the discrimination rises by one standard error.
    anchors
        Number of anchors; 0 where they add nothing.
    anchor_mean, anchor_squares
        Mean intensity of the anchors, and their sum of squares about it.
    misreading
        Standard deviation of what the judge misreads of a text.
    floor
        Variance of the mean that no response's influence shows, as where all responses are beyond the anchors.
    """

    judge: npt.NDArray[np.intp]
    beta_shift: Floats
    anchors: Floats
    anchor_mean: Floats
    anchor_squares: Floats
    misreading: Floats
    floor: Floats

    @classmethod
    def none(cls, n: int) -> "JudgeErrors":
        """Return errors of 0, for means that do not rest on a judge's scale."""
        return cls(np.zeros(n, dtype=np.intp), *(np.zeros(n) for _ in range(6)))


@dataclass(frozen=True)
class Estimates:
    """Estimates of C contrasts; arrays of shape (C,).

    Attributes
    ----------
    estimate, se
        In points of the scale.
    low, high
        95% interval by Student's t.
    p
        Two-sided, of the hypothesis that the contrast is 0.
    clusters
        Number of queries (and of responses without one) in the jobs that a contrast is about. With fewer than two, or
        where the estimate is not 0 and nothing varies, all but the estimate is not a number.
    """

    estimate: Floats
    se: Floats
    low: Floats
    high: Floats
    p: Floats
    clusters: npt.NDArray[np.intp]

    def within(self, bound: Floats) -> "Estimates":
        """Return the estimates with intervals cut to [-bound, bound]: a bounded scale allows no more."""
        return replace(self, low=np.maximum(self.low, -bound), high=np.minimum(self.high, bound))

    def only(self, known: npt.NDArray[np.bool_]) -> "Estimates":
        """Return the estimates with those that are not known as not a number."""
        estimate, se, low, high, p = np.where(
            known, np.array([self.estimate, self.se, self.low, self.high, self.p]), np.nan
        )
        return Estimates(estimate, se, low, high, p, self.clusters)


def cluster_sums(
    job: npt.NDArray[np.intp], cluster: npt.NDArray[np.intp], influence: Floats, n_jobs: int, n_clusters: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Sum the influences of N responses by job and cluster.

    Parameters
    ----------
    job, cluster
        (N,) codes of the job and of the cluster of each response.
    influence
        (N,) influence on the job's mean; NaN for a response without a score, which does not count.
    n_jobs, n_clusters
        J and G.

    Returns
    -------
    (J, G) array
        Sums; 0 where a job has no response in a cluster.
    (J, G) array
        Whether it has one.
    """
    counts = ~np.isnan(influence)
    place = job[counts] * n_clusters + cluster[counts]
    shape = (n_jobs, n_clusters)
    sums = np.bincount(place, weights=influence[counts], minlength=n_jobs * n_clusters).reshape(shape)
    present = np.bincount(place, minlength=n_jobs * n_clusters).reshape(shape) > 0
    return np.asarray(sums, dtype=np.float64), present


def estimate_contrasts(
    weights: Floats,
    means: Floats,
    sums: Floats,
    present: npt.NDArray[np.bool_],
    errors: JudgeErrors,
    freedom: Floats | None = None,
) -> Estimates:
    """Estimate weighted sums of means.

    Parameters
    ----------
    weights
        (C, J) weights; 0 for jobs that a contrast is not about.
    means
        (J,) means of the jobs.
    sums, present
        (J, G) of `cluster_sums`.
    errors
        Of the judges.
    freedom
        (C,) degrees of freedom; None: one fewer than there are clusters in a contrast.

    Returns
    -------
    Estimates

    Notes
    -----
    With d_q the weighted sum of a query's influences over the jobs, the variance is G/(G-1) sum_q d_q^2, plus w^2 times
    the floor of each job, plus for each judge with jobs in the contrast, over these jobs,

        (sum w shift)^2 + sigma^2 [(sum w)^2 / A + (sum w (m - r))^2 / S],

    the error of a scale that A anchors of mean r and sum of squares S hold: the line through the anchors is known up to
    its place and slope. What jobs of one judge have in common thus cancels in a difference; different judges are
    independent. sigma^2 is the mean of the jobs' squared misreading.
    """
    is_in = weights != 0
    clusters = (is_in.astype(np.int64) @ present > 0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.where(clusters > 1, clusters / (clusters - 1.0), np.nan)
    variance = correction * ((weights @ sums) ** 2).sum(axis=1) + weights**2 @ errors.floor
    for judge in np.unique(errors.judge):
        variance = variance + _scale_variance(weights[:, errors.judge == judge], means, errors, errors.judge == judge)
    estimate, se = weights @ means, np.sqrt(variance)
    # Queries that all differ alike do not tell how far the next one would.
    se = np.where((se > ROUNDING) | (np.abs(estimate) <= ROUNDING), se, np.nan)
    # scipy's distributions would take a good part of a second to load.
    freedom = np.maximum(clusters - 1.0 if freedom is None else freedom, 1.0)
    half = stdtrit(freedom, (1 + _LEVEL) / 2) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(se <= ROUNDING, 1.0, 2 * stdtr(freedom, -np.abs(estimate) / se))
    return Estimates(estimate, se, estimate - half, estimate + half, np.where(np.isnan(se), np.nan, p), clusters)


def _scale_variance(weights: Floats, means: Floats, errors: JudgeErrors, own: npt.NDArray[np.bool_]) -> Floats:
    """Return what one judge adds to the variances; `weights` are (C, own) of its own jobs."""
    beta = (weights @ errors.beta_shift[own]) ** 2
    number, squares = errors.anchors[own], errors.anchor_squares[own]
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.where(number > 0, 1 / np.sqrt(number), 0.0)
        slope = np.where(squares > 0, (means[own] - errors.anchor_mean[own]) / np.sqrt(squares), 0.0)
        is_in = weights != 0
        misreading = np.where(is_in.any(axis=1), is_in @ errors.misreading[own] ** 2 / is_in.sum(axis=1), 0.0)
    return np.asarray(beta + misreading * ((weights @ place) ** 2 + (weights @ slope) ** 2), dtype=np.float64)


def slope_weights(levels: Floats) -> Floats:
    """Return (J,) weights that make of J means the least-squares slope over J different levels."""
    centered = levels - levels.mean()
    return np.asarray(centered / (centered**2).sum(), dtype=np.float64)
