"""How each group differs from all groups together, on one value: differences with intervals and p-values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95

_ROUNDING = 1e-12
"""A standard error up to it is 0 but for rounding."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GroupEstimate:
    """The mean of a group on a value, as differences need it.

    Attributes
    ----------
    mean
        NaN where there is none.
    influence, cluster
        (n,) influence of each of its texts on the mean, NaN for one that does not count, and the cluster of each:
        numbers that all groups share.
    least_variance
        Variance of the mean that the influences may fall short of, but the estimate must not.
    beta_shift
        Change of the mean when the judge's discrimination rises by one standard error.
    """

    mean: float
    influence: FloatArray
    cluster: IntArray
    least_variance: float = 0.0
    beta_shift: float = 0.0


@dataclass(frozen=True)
class Differences:
    """Of G groups from the mean of all groups' means; NaN where there is no mean or it cannot be told.

    Attributes
    ----------
    estimate, low, high
        (G,) difference in points, and its 95% interval.
    p
        (G,) two-sided, of no difference.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    p: FloatArray


def differences_from_all(groups: Sequence[GroupEstimate], scale_variance: float = 0.0) -> Differences:
    r"""Compare each group with all groups together, each of which counts once.

    Parameters
    ----------
    groups
        All groups; those without a mean take no part.
    scale_variance
        Variance of the judge's scale: a difference of d points is uncertain by d^2 times it.

    Notes
    -----
    With weights w of a difference (1 - 1/G for the group itself, -1/G for the others) and s_gc the sum of the
    influences of group g in cluster c, times the root of C_g / (C_g - 1), the variance is

    .. math:: \sum_c \Big( \sum_g w_g s_{gc} \Big)^2

    plus the parts of the judge's discrimination and scale. A cluster that several groups share, such as a question that
    all were asked, counts as what its influences come to together. Student's t has C_g - 1 degrees of freedom.
    """
    n = len(groups)
    nothing = np.full((4, n), np.nan)
    known = [number for number, group in enumerate(groups) if not np.isnan(group.mean)]
    if len(known) < 2:
        return Differences(*nothing)
    means = np.array([groups[number].mean for number in known])
    shifts = np.array([groups[number].beta_shift for number in known])
    sums, n_clusters, lacking = _cluster_sums([groups[number] for number in known])
    weights = np.eye(len(known)) - 1 / len(known)
    estimate = means - means.mean()
    products = (sums @ sums.T).toarray()
    variance = np.einsum("dg,gh,dh->d", weights, products, weights) + weights**2 @ lacking
    variance += (weights @ shifts) ** 2 + estimate**2 * scale_variance
    error = np.sqrt(variance)
    # A group of which nothing is known but its mean leaves the others' differences unknown by that much, too.
    untold = n_clusters < 2
    error[untold | ~(error > _ROUNDING)] = np.nan
    freedom = np.maximum(n_clusters - 1.0, 1.0)
    half = stdtrit(freedom, (1 + CONFIDENCE) / 2) * error
    found = nothing
    found[:, known] = [estimate, estimate - half, estimate + half, 2 * stdtr(freedom, -np.abs(estimate) / error)]
    return Differences(*found)


def _cluster_sums(groups: Sequence[GroupEstimate]) -> tuple[csr_array, FloatArray, FloatArray]:
    """Return the scaled sums of influences (G, C), the clusters of each group, and what is lacking of its variance."""
    counts = [~np.isnan(group.influence) for group in groups]
    group = np.repeat(np.arange(len(groups)), [int(own.sum()) for own in counts])
    cluster = np.concatenate([each.cluster[own] for each, own in zip(groups, counts, strict=True)])
    influence = np.concatenate([each.influence[own] for each, own in zip(groups, counts, strict=True)])
    distinct, code = np.unique(cluster, return_inverse=True)
    places, member = np.unique(group * max(len(distinct), 1) + code, return_inverse=True)
    within = np.bincount(member, weights=influence, minlength=len(places))
    own_group, own_cluster = np.divmod(places, max(len(distinct), 1))
    n_clusters = np.bincount(own_group, minlength=len(groups)).astype(np.float64)
    scaled = within * np.sqrt(n_clusters / np.maximum(n_clusters - 1, 1))[own_group]
    sums = csr_array((scaled, (own_group, own_cluster)), shape=(len(groups), max(len(distinct), 1)))
    variance = np.bincount(own_group, weights=scaled**2, minlength=len(groups))
    least = np.array([each.least_variance for each in groups])
    return sums, n_clusters, np.maximum(np.nan_to_num(least) - variance, 0.0)
