"""Lapses: rankings that a judge gives at random, whatever the texts are.

A judge that lapses in a share e of its rankings ranks J items by the mixture ``(1 - e) P(pi) + e / J!``: by
Plackett-Luce, or in any of the J! orders with equal chance.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, gammaln, logit

from .windows import FloatArray

MOST_LAPSES = 0.5
"""Highest share considered: a judge that ranks at random more often than not has no ranking to learn from."""

_LEAST_LAPSES = 1e-6
_RANKINGS_WITHOUT = 4.0
"""Prior of the share, Beta(1, 5): as if so many more rankings had been seen that are no lapses."""


def log_chance_at_random(n_items: int) -> float:
    """Return the log-probability of each order of items that are ranked at random."""
    return -float(gammaln(n_items + 1))


def fit_lapse_rate(surprise: FloatArray) -> float:
    """Return the most probable share of lapses, 0 or more, given how probable rankings are without.

    Parameters
    ----------
    surprise : (W,) float array
        Logarithm of a ranking's probability at random over that by Plackett-Luce.
    """

    def excess(rate: float) -> float:
        return float(expit(surprise + logit(rate)).sum() - rate * (len(surprise) + _RANKINGS_WITHOUT))

    # The posterior is concave: its derivative, times rate (1 - rate), has one root above 0 or none.
    if excess(_LEAST_LAPSES) <= 0:
        return 0.0
    return MOST_LAPSES if excess(MOST_LAPSES) >= 0 else float(brentq(excess, _LEAST_LAPSES, MOST_LAPSES))


def gain_by_lapses(surprise: FloatArray, rate: float) -> float:
    """Return the log-posterior of rankings with this share of lapses, less that without any."""
    if rate == 0:
        return 0.0
    with_lapses = np.logaddexp(np.log1p(-rate), np.log(rate) + surprise).sum()
    return float(with_lapses + _RANKINGS_WITHOUT * np.log1p(-rate))


def chance_of_no_lapse(surprise: FloatArray, rate: float) -> FloatArray:
    """Return the probability (W,) that a ranking is no lapse, given what it is."""
    return np.asarray(expit(-surprise - logit(rate)), dtype=np.float64)
