"""The likelihoods of responses on a grid of the scale, by the rankings of all judges and what is known of these."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.judges import BOUNDS, JudgeFit
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import LOWEST_LOG_LIKELIHOOD, Grid, grid_for, log_likelihoods

FloatArray = npt.NDArray[np.float64]


def judges_of(ranked: RankedWindows) -> list[int]:
    """Return the numbers of the judges that have a ranking."""
    return np.flatnonzero(np.bincount(ranked.judges)).tolist()


def places_of_anchors(ranked: RankedWindows, ids: npt.NDArray[np.int64], fits: Sequence[JudgeFit]) -> FloatArray:
    """Return where each window's anchors are in the eyes of its judge, (R, K-1)."""
    if len(fits) == 1:
        return fits[0].places[ids]
    places = np.empty(ids.shape)
    for number, fit in enumerate(fits):
        own = ranked.judges == number
        places[own] = fit.places[ids[own]]
    return places


def likelihoods_of(
    ranked: RankedWindows, places: FloatArray, n: int, fits: Sequence[JudgeFit], slopes: Sequence[float] | None = None
) -> tuple[npt.NDArray[np.float32], Grid]:
    """Return the log-likelihood (N, G) of all judges' rankings, and its grid."""
    betas = [fit.reliability.discrimination for fit in fits] if slopes is None else slopes
    present = judges_of(ranked)
    most = int(np.bincount(ranked.responses, minlength=1).max()) * (ranked.orders.shape[1] - 1)
    grid = grid_for(BOUNDS, max(betas[number] for number in present), most)
    logs = np.zeros((n, len(grid.nodes)), dtype=np.float32)
    for number in present:
        own = ranked.judges == number if len(present) > 1 else slice(None)
        logs += log_likelihoods(
            ranked.orders[own],
            places[own],
            ranked.responses[own],
            n,
            grid,
            discrimination=betas[number],
            misreading_sd=fits[number].reliability.text_misreading_sd,
            lapse_rate=fits[number].reliability.lapse_rate,
        )
    if len(present) > 1:
        logs -= logs.max(axis=1, keepdims=True)
        np.maximum(logs, LOWEST_LOG_LIKELIHOOD, out=logs)
    return logs, grid
