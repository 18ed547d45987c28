"""Intervals of shares."""

import math

_NORMAL = 1.959963984540054
"""The 0.975 quantile of the normal distribution."""


def wilson_interval(share: float, n: float, quantile: float = _NORMAL) -> tuple[float, float]:
    """Return the score interval of a share, 95% by default; NaN where `n` is 0.

    Parameters
    ----------
    share
        In [0, 1].
    n
        Number of independent answers that the share is of, or what clustered ones are worth.
    quantile
        Of the normal distribution or, where the variance is estimated, of Student's t.

    Notes
    -----
    Wilson (1927), Probable inference, the law of succession, and statistical inference. It stays inside [0, 1] and
    keeps its level for few answers and shares near 0 or 1.
    """
    if n == 0:
        return math.nan, math.nan
    center = (share + quantile**2 / (2 * n)) / (1 + quantile**2 / n)
    spread = share * (1 - share) / n + quantile**2 / (4 * n**2)
    half = quantile / (1 + quantile**2 / n) * spread**0.5
    # At a share of 0 or 1 rounding could leave the share itself outside.
    return max(min(center - half, share), 0.0), min(max(center + half, share), 1.0)
