"""How far a judge misreads texts, from texts of known intensity that were scored as responses."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.judges import BOUNDS, INTERVAL_LEVEL, JudgeFit, with_anchors
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import grid_for, log_likelihoods, summarize_on_grid

STANDARD_DEVIATIONS = np.concatenate([[0.0], np.geomspace(0.1, 20.0, 60)])
"""Points. Those tried; neighbors differ by 9%, less than any that is estimated is known by."""

_PRIOR_PRECISION = 1e-3
_LIKELY = 1.92
"""Fall of the log-likelihood at the ends of a 95% interval: half of the quantile of chi-squared with 1 degree."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Chosen = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Misreadings:
    """N texts of known intensity, scored with each of S standard deviations of a judge's misreading.

    Attributes
    ----------
    log_density
        (S, N) logarithm of the posterior density at the known intensity: the log score of the prediction.
    held
        (S, N) whether the 90% interval holds the known intensity.
    width
        (S, N) of that interval.
    """

    log_density: FloatArray
    held: BoolArray
    width: FloatArray

    def most_likely(self, among: BoolArray | None = None) -> float:
        """Return the standard deviation that fits known intensities, the root of its expected square.

        That is the one of the highest sum of log densities (a proper score: Gneiting and Raftery, 2007), squared, times
        N / (N - 4), as in `fit_places`: of N squares about a line, N - 2 are free, and a variance known by so many is
        expected to be so much larger than the most likely one. At most three times the most likely variance.

        Parameters
        ----------
        among
            (N,) which texts count; None: all.
        """
        density = self.log_density if among is None else self.log_density[:, among]
        return float(_expected(STANDARD_DEVIATIONS[density.sum(axis=1).argmax()], density.shape[1]))

    def likely_range(self) -> tuple[float, float]:
        """Return the ends of the 95% interval of the standard deviation, by the likelihood ratio."""
        total = self.log_density.sum(axis=1)
        likely = STANDARD_DEVIATIONS[total >= total.max() - _LIKELY]
        return float(likely[0]), float(likely[-1])

    def held_by_others(self) -> BoolArray:
        """Return whether each text's interval holds its intensity, (N,), with the one that fits the other texts."""
        n = self.log_density.shape[1]
        without = self.log_density.sum(axis=1, keepdims=True) - self.log_density
        sds = _expected(STANDARD_DEVIATIONS[without.argmax(axis=0)], max(n - 1, 1))
        return self.held[nearest_tried(sds), np.arange(n)]


def try_misreadings(windows: RankedWindows, fit: JudgeFit, known: FloatArray) -> Misreadings:
    """Score texts of known intensity (N,) with each standard deviation, from one judge's rankings of their windows.

    Texts without a ranking have the posterior of the scale itself.
    """
    ids, _, _ = with_anchors(windows)
    n, beta = len(known), fit.reliability.discrimination
    most = int(np.bincount(windows.responses, minlength=1).max()) * (windows.orders.shape[1] - 1)
    grid = grid_for(BOUNDS, beta, most)
    after = np.clip(np.searchsorted(grid.nodes, known), 1, len(grid.nodes) - 1)
    share = (known - grid.nodes[after - 1]) / grid.spacing
    texts = np.arange(n)
    density, held, width = [], [], []
    for sd in STANDARD_DEVIATIONS:
        logs = log_likelihoods(
            windows.orders,
            fit.places[ids],
            windows.responses,
            n,
            grid,
            discrimination=beta,
            misreading_sd=float(sd),
            lapse_rate=fit.reliability.lapse_rate,
        )
        _, _, low, high = summarize_on_grid(logs, grid, level=INTERVAL_LEVEL, prior_precision=_PRIOR_PRECISION)
        posterior = logs - 0.5 * _PRIOR_PRECISION * grid.nodes**2
        at = posterior[texts, after - 1] * (1 - share) + posterior[texts, after] * share
        density.append(at - np.log(np.exp(posterior) @ grid.weights))
        held.append((low <= known) & (known <= high))
        width.append(high - low)
    return Misreadings(np.array(density), np.array(held), np.array(width))


def nearest_tried(sds: npt.ArrayLike) -> Chosen:
    """Return the number of the standard deviation tried that is nearest to each one."""
    middles = (STANDARD_DEVIATIONS[1:] + STANDARD_DEVIATIONS[:-1]) / 2
    return np.searchsorted(middles, sds)


def _expected(most_likely: FloatArray, n: int) -> FloatArray:
    return np.asarray(most_likely * np.sqrt(n / max(n - 4, n / 3)))
