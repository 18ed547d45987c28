"""What the rankings so far tell of responses, while judging still goes on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.judges import BOUNDS, content_keys, fit_judges
from valueflow.evaluation.scoring import PRIOR_PRECISION
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import Grid, log_likelihoods, posterior_sd
from valueflow.vidb import Anchors

_GRID = Grid.over(BOUNDS, 0.2)
UTILITIES = _GRID.nodes
"""The grid (G,) on which posteriors are held, in points."""

_WINDOWS_FOR_JUDGE = 2_000
"""Windows that a judge is learned from between rounds: more would take longer and hardly change a choice."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interim:
    """What is known of N responses and J judges.

    Attributes
    ----------
    posterior
        (N, G) probability of each of `UTILITIES` as the place where the judges see a response.
    discriminations
        (J,) slope of each judge.
    lapse_rates
        (J,) share of each judge's rankings that are given at random.
    places
        (J, A) where each judge sees each anchor, in points.
    misreading
        How far, in points, the judges together see a response from where it is, in every window alike.
    """

    posterior: FloatArray
    discriminations: FloatArray
    lapse_rates: FloatArray
    places: FloatArray
    misreading: float

    @property
    def sd(self) -> FloatArray:
        """(N,) standard deviation of each posterior, in points."""
        return posterior_sd(self.posterior, UTILITIES)


def interim(windows: RankedWindows, responses: npt.NDArray[np.int64], anchors: Anchors) -> Interim:
    """Estimate the judges from all rankings so far, and the posterior of some of the responses (N,)."""
    ranked = windows[windows.ranked]
    # A sample by content, which no order of rows changes.
    sample = np.argsort(content_keys(ranked), kind="stable")[: _WINDOWS_FOR_JUDGE * len(windows.judge_names)]
    fits = fit_judges(ranked[sample])
    slopes = np.array([fit.reliability.discrimination for fit in fits])
    lapses = np.array([fit.reliability.lapse_rate for fit in fits])
    misread = np.array([fit.reliability.text_misreading_sd for fit in fits])
    # An anchor that no window has held yet is where it is rated.
    places = np.tile(anchors.intensities, (len(fits), 1))
    for row, fit in zip(places, fits, strict=True):
        met = ~np.isnan(fit.places)
        row[: len(met)][met] = fit.places[met]
    place = np.full(int(windows.responses.max(initial=-1)) + 1, -1)
    place[responses] = np.arange(len(responses))
    own = ranked[place[ranked.responses] >= 0]
    seen = own.intensities if own.anchors is None else places[own.judges[:, None], own.anchors]
    posterior = grid_posterior(own.orders, seen, place[own.responses], len(responses), own.judges, slopes, lapses)
    return Interim(posterior, slopes, lapses, places, misreading=float(np.sqrt((misread**2).sum()) / len(misread)))


def grid_posterior(
    orders: npt.NDArray[np.int64],
    places: FloatArray,
    responses: npt.NDArray[np.int64],
    n_responses: int,
    judges: npt.NDArray[np.int64],
    discriminations: FloatArray,
    lapse_rates: FloatArray,
) -> FloatArray:
    """Return the posterior (N, G) on the grid, given R rankings.

    Parameters
    ----------
    orders, places
        (R, K) item numbers, the most supportive first, and (R, K-1) where the judge sees the anchors.
    responses, n_responses
        (R,) which response, of N.
    judges, discriminations, lapse_rates
        (R,) which judge, and (J,) their slopes and shares of lapses.
    """
    density = np.tile(-0.5 * PRIOR_PRECISION * UTILITIES**2, (n_responses, 1))
    for judge, (beta, lapse_rate) in enumerate(zip(discriminations.tolist(), lapse_rates.tolist(), strict=True)):
        own = judges == judge
        arrays = orders[own], places[own], responses[own], n_responses, _GRID
        density += log_likelihoods(*arrays, discrimination=beta, lapse_rate=lapse_rate)
    # In place: this one array is what a million responses need room for.
    density -= density.max(axis=1, keepdims=True)
    np.exp(density, out=density)
    density *= _GRID.weights
    density /= density.sum(axis=1, keepdims=True)
    return density
