"""What plain gradient ascent needs, and a warning before judging where it will not get it."""

import logging
import math

from valueflow.evaluation.settings import EvaluationSettings

_ASCENT_NEEDED = 100.0
"""Iterations times step times information after which nearly all responses have converged by plain ascent, as simulated
with discriminations from 0.15 to 1 (docs/method.md)."""

_USUAL_DISCRIMINATION = 0.5

_log = logging.getLogger(__name__)


def ascent_iterations(k: int, m: int, learning_rate: float) -> int:
    """Return about how many iterations plain ascent needs for most responses, for a judge of usual discrimination.

    The information of m windows about a response is at most beta^2 m (k - 1) / 4, and each step takes away this much
    times the learning rate of what is left to go.
    """
    information = _USUAL_DISCRIMINATION**2 * m * (k - 1) / 4
    return math.ceil(_ASCENT_NEEDED / (learning_rate * information))


def warn_of_ascent(settings: EvaluationSettings) -> None:
    """Say before anything is judged, which costs, that the solver will leave most responses without a score."""
    if settings.solver != "ascent" or settings.estimator != "map":
        return
    needed = ascent_iterations(settings.k, settings.m, settings.lr)
    if settings.iter < needed:
        _log.warning(
            "solver=ascent iter=%d lr=%g will not converge for most responses, which then have no score: k=%d and m=%d "
            "take some %s iterations at a discrimination of %g; give iter=%d, or solver=newton",
            *(settings.iter, settings.lr, settings.k, settings.m, f"{needed:,}", _USUAL_DISCRIMINATION, needed),
        )
