"""What steering costs, by job: perplexity, repetition and refusals of the responses behind its scores."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation import query_clusters
from valueflow.responses import PRICE
from valueflow.statistics import clustered_mean, clustered_share

Floats = npt.NDArray[np.float64]

PERPLEXITY, REPETITION, REFUSED = PRICE


def price_cells(scores: pd.DataFrame) -> dict[str, float]:
    """Return the mean price of a job's responses, with 95% intervals that are clustered by query.

    Parameters
    ----------
    scores
        One row per response, with `query` and, where the responses have them, the columns of `PRICE`.

    Returns
    -------
    dict
        `perplexity`, `repetition`, `refused`, each also with `_low` and `_high`; only those that there are. The mean
        perplexity is geometric, the exponential of the mean log-perplexity.
    """
    clusters = query_clusters(scores)
    cells: dict[str, float] = {}
    for name in PRICE:
        figures = scores[name].to_numpy(dtype=np.float64) if name in scores else np.array([])
        known = np.isfinite(figures)
        if not known.any():
            continue
        mean, low, high = _mean(name, figures[known], clusters[known])
        cells |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    return cells


def _mean(name: str, figures: Floats, clusters: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    if name == REFUSED:
        return float(figures.mean()), *clustered_share(figures > 0, clusters)
    if name == REPETITION:
        found = clustered_mean(figures, clusters, lowest=0.0)
        return found.mean, found.low, found.high
    found = clustered_mean(np.log(figures), clusters, lowest=0.0, highest=np.inf)
    return float(np.exp(found.mean)), float(np.exp(found.low)), float(np.exp(found.high))
