"""What the rankings so far tell of responses, while judging still goes on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.scoring import PRIOR_PRECISION
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import fit_discrimination_with_prior, grid_posterior, posterior_sd
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

UTILITIES = np.linspace(LOWEST_INTENSITY, HIGHEST_INTENSITY, 101)
"""The grid (G,) on which posteriors are held, in points."""


@dataclass(frozen=True)
class Interim:
    """What is known of N responses.

    Attributes
    ----------
    posterior
        (N, G) probability of each of `UTILITIES`.
    discriminations
        (J,) slope of each judge.
    misreading
        Standard deviation, in points, of what the judge gets wrong about a text in every window alike.
    """

    posterior: npt.NDArray[np.float64]
    discriminations: npt.NDArray[np.float64]
    misreading: float

    @property
    def sd(self) -> npt.NDArray[np.float64]:
        """(N,) standard deviation of each posterior, in points."""
        return posterior_sd(self.posterior, UTILITIES)


def interim(windows: RankedWindows, responses: npt.NDArray[np.int64]) -> Interim:
    """Estimate the judges from all rankings so far, and the posterior of some of the responses (N,)."""
    ranked = windows[windows.ranked]
    slopes = np.array([_discrimination(ranked[ranked.judges == j]) for j in range(len(windows.judge_names))])
    place = np.full(int(windows.responses.max(initial=-1)) + 1, -1)
    place[responses] = np.arange(len(responses))
    own = ranked[place[ranked.responses] >= 0]
    posterior = grid_posterior(
        own.orders,
        own.intensities,
        place[own.responses],
        len(responses),
        UTILITIES,
        discrimination=slopes[own.judges],
        prior_precision=PRIOR_PRECISION,
    )
    return Interim(posterior, slopes, misreading=0.0)


def _discrimination(ranked: RankedWindows) -> float:
    is_informative = len(ranked) > 0 and bool((np.ptp(ranked.intensities, axis=1) > 0).any())
    return fit_discrimination_with_prior(ranked.orders, ranked.intensities) if is_informative else 1.0
