"""Posterior of responses' utilities on a grid of the scale, for what is decided while judging still goes on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from .discrimination import _anchors_in_judged_order
from .windows import FloatArray, ResponseBlock, check_windows, response_blocks

_MEDIAN = 0.5
_LOG_BOUNDS = (math.log(0.01), math.log(20.0))


def grid_posterior(
    rankings: ArrayLike,
    anchor_utilities: ArrayLike,
    response_index: ArrayLike,
    n_responses: int,
    utilities: FloatArray,
    *,
    discrimination: float | ArrayLike = 1.0,
    prior_precision: float = 1e-3,
) -> FloatArray:
    """Return the posterior probability of each utility of a grid, for each response.

    Parameters
    ----------
    rankings, anchor_utilities, response_index, n_responses, discrimination, prior_precision
        As in :func:`fit_utilities`.
    utilities : (G,) array of float
        The grid, evenly spaced, in points.

    Returns
    -------
    (N, G) float array
        Each row sums to 1; a response without windows has the prior.

    Raises
    ------
    ValueError
        As :func:`fit_utilities`.
    """
    windows = check_windows(rankings, anchor_utilities, response_index, n_responses, discrimination)
    log_density = np.zeros((n_responses, len(utilities)))
    for responses, block in response_blocks(windows):
        log_density[responses] = _log_likelihood(block, utilities).T
    log_density -= 0.5 * prior_precision * utilities**2
    # In place: this one array is what a million responses need room for.
    log_density -= log_density.max(axis=1, keepdims=True)
    density = np.exp(log_density, out=log_density)
    density /= density.sum(axis=1, keepdims=True)
    return density


def fit_discrimination_with_prior(rankings: ArrayLike, anchor_utilities: ArrayLike) -> float:
    """Estimate a judge's discrimination from the order of the anchors under a log-normal prior (median 0.5, sd 1).

    Unlike :func:`fit_discrimination`, it stays in the middle of its range where few windows say little. Parameters and
    errors are those of that function.
    """
    ordered = _anchors_in_judged_order(rankings, anchor_utilities)
    ordered = ordered - ordered.mean(axis=0)

    def loss(log_beta: float) -> float:
        logits = np.exp(log_beta) * ordered
        remaining = np.logaddexp.accumulate(logits[::-1], axis=0)[::-1]
        return float((remaining - logits).sum()) + 0.5 * (log_beta - math.log(_MEDIAN)) ** 2

    found: float = minimize_scalar(loss, bounds=_LOG_BOUNDS, method="bounded").x
    return math.exp(found)


def _log_likelihood(block: ResponseBlock, utilities: FloatArray) -> FloatArray:
    """Log-likelihood (G, n) of the block's responses at each utility, up to a constant."""
    relative = 1.0 if block.relative is None else block.relative
    found = np.empty((len(utilities), block.losses.size))
    for place, x in enumerate((block.slope * utilities).tolist()):
        stages = np.log1p(block.rivals * np.exp(-relative * x))
        found[place] = -block.losses * x - stages.sum(axis=(0, 1))
    return found
