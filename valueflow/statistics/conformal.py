"""Intervals of predictions that rest on what the same method missed of known cases, and on no distribution."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_CELLS = 4_000_000
"""Cases times predictions that are held at once: 32 MB."""

_LOG_FREEDOM = (-2.0, 8.0)
"""Logarithms of the degrees of freedom that the common scale may be worth."""

_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Scales:
    """How far predictions miss, by group.

    Attributes
    ----------
    common
        Standard deviation over all groups.
    freedom
        Degrees of freedom that it is worth beside a group's own residuals: few where groups differ.
    own
        (G,) of each group, shrunk toward the common one.
    without
        (N,) of each residual's group, without that residual.
    """

    common: float
    freedom: float
    own: Floats
    without: Floats


def shrunk_scales(residuals: Floats, group: Integers) -> Scales:
    """Estimate the standard deviation of each group's residuals, which have mean 0, shrunk toward a common one.

    Parameters
    ----------
    residuals
        (N,) of cases that were left out of their predictions; N at least 1.
    group
        (N,) numbers of the groups, from 0.

    Notes
    -----
    The groups' variances follow an inverse gamma distribution whose two parameters have the highest marginal
    likelihood (Smyth 2004, Linear models and empirical Bayes methods for assessing differential expression). With S the
    sum of squares of n residuals, a group's variance is (f v + S) / (f + n), for a common variance v that is worth f
    degrees of freedom.
    """
    from scipy.optimize import minimize
    from scipy.special import gammaln

    n = np.bincount(group)
    squares = np.bincount(group, residuals**2)
    start = max(float(residuals @ residuals) / len(residuals), _SMALLEST)

    def loss(logs: Floats) -> float:
        freedom, variance = np.exp(logs)
        likelihood = (
            gammaln((freedom + n) / 2)
            - gammaln(freedom / 2)
            + freedom / 2 * np.log(freedom * variance)
            - (freedom + n) / 2 * np.log(freedom * variance + squares)
        )
        return -float(likelihood.sum())

    around = (np.log(start) - 5, np.log(start) + 5)
    found = min(
        (
            minimize(loss, np.array([first, np.log(start)]), method="L-BFGS-B", bounds=[_LOG_FREEDOM, around])
            for first in (0.5, 3.0, _LOG_FREEDOM[1])
        ),
        key=lambda tried: float(tried.fun),
    )
    freedom, variance = (float(part) for part in np.exp(found.x))
    own = (freedom * variance + squares) / (freedom + n)
    rest = np.maximum(squares[group] - residuals**2, 0.0)
    without = (freedom * variance + rest) / (freedom + n[group] - 1)
    return Scales(float(np.sqrt(variance)), freedom, np.sqrt(own), np.sqrt(without))


def jackknife_plus(x: Floats, lines: Floats, half_widths: Floats, level: float) -> tuple[Floats, Floats]:
    """Return intervals (M,), (M,) of predictions by lines, each of which is fitted without one of N cases.

    Parameters
    ----------
    x
        (M,) where to predict.
    lines
        (N, 2) intercept and slope without each case.
    half_widths
        (N,) how far each case lies from what its line says of it, in absolute value.
    level
        Share of intervals that are to hold.

    Returns
    -------
    low, high
        Infinite where there are fewer cases than level / (1 - level): nine for a level of 0.9.

    Notes
    -----
    The jackknife+ of Barber, Candes, Ramdas and Tibshirani (2021), Predictive inference with the jackknife+, Annals of
    Statistics 49. Where cases and predictions are exchangeable, an interval holds with a probability of at least
    2 level - 1 whatever the distribution, and of about `level` where no single case moves the line much.
    """
    n, m = len(half_widths), len(x)
    rank = int(np.ceil(level * (n + 1) - 1e-9))
    if rank > n:
        return np.full(m, -np.inf), np.full(m, np.inf)
    low, high = np.empty(m), np.empty(m)
    step = max(_CELLS // n, 1)
    for start in range(0, m, step):
        part = slice(start, start + step)
        centers = lines[:, 0] + lines[:, 1] * x[part, None]
        high[part] = np.partition(centers + half_widths, rank - 1, axis=1)[:, rank - 1]
        low[part] = np.partition(centers - half_widths, n - rank, axis=1)[:, n - rank]
    return low, high
