"""The mean of a population of responses, each of which is known through its likelihood alone.

Scores are shrunk toward the middle of the scale, the more so the fewer windows they have and the less their judge
discriminates; so is their mean. The mean of the population that the responses are drawn from is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from .grid import Grid
from .windows import FloatArray

_FURTHEST_MEAN = 10.0
_WIDEST = 20.0
_FIRST_SPREAD = 3.0
_LEAST_INFORMATION = 1e-6
"""As a share of the population's variance: below it, responses do not tell places on the scale apart."""

_FOR_START = 5_000
_DOUBLE_UP_TO = 1 << 22
"""Numbers that are summed in double precision; of more, the errors of single precision average out."""
_LEAST_LIKELIHOOD = 1e-300
_NARROWEST_IN_CELLS = 0.75
"""A population narrower than this many cells of the grid looks like one point; its mean is the same."""


@dataclass(frozen=True)
class PopulationFit:
    """A normal population cut to the scale.

    Attributes
    ----------
    mean, sd : float
        Of the population within the scale, in points.
    influence : (N,) float array
        Influence of each response on the mean: its sampling variance is the sum of their squares, over clusters of
        the sums within them. NaN where no response says anything.
    point_loss : (G,) float array
        Log-likelihood lost, against the best population, where all responses are at that node. Where it is next to
        nothing at nodes far from the mean, as where all responses beat all anchors, nothing says which of them it is,
        and influences alone would call the mean certain.
    """

    mean: float
    sd: float
    influence: FloatArray
    point_loss: FloatArray


def fit_population(likelihoods: NDArray[np.floating], grid: Grid, weights: FloatArray | None = None) -> PopulationFit:
    r"""Estimate a population's mean by marginal maximum likelihood.

    With L_i the likelihood of response i, maximizes

    .. math:: \sum_i w_i \log \int L_i(u) \, p(u \mid \mu, \tau) \, du

    where p is normal(mu, tau^2) cut to the scale. The mean is E[u] under p. The influence of a response is
    ``grad(E[u])' H^-1 s_i``, with H the observed information and s_i the score of the response (the sandwich of White,
    1982): it does not rest on the population's being normal.

    Parameters
    ----------
    likelihoods : (N, G) float array
        At the nodes of the grid, each row up to a factor.
    grid
        The scale.
    weights : (N,) float array, optional
        How much each response counts, in any unit, none negative and one at least positive; None: all alike.

    Raises
    ------
    ValueError
        Without a response, where shapes do not fit, or where weights are none.

    References
    ----------
    Bock, R. D. and Aitkin, M. (1981). Marginal maximum likelihood estimation of item parameters. Psychometrika 46(4).
    White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica 50(1).
    """
    if likelihoods.ndim != 2 or likelihoods.shape[1] != len(grid.nodes) or not len(likelihoods):
        raise ValueError(f"likelihoods must have shape (N, {len(grid.nodes)}) with N of 1 or more")
    shares = _shares(weights, len(likelihoods))
    if likelihoods.size <= _DOUBLE_UP_TO:
        likelihoods = likelihoods.astype(np.float64)
    start = np.array([_mean_of_means(likelihoods, grid, shares), np.log(_FIRST_SPREAD)])
    if len(likelihoods) > 2 * _FOR_START:
        # Most steps of a search need few responses.
        some = slice(None, None, len(likelihoods) // _FOR_START)
        if shares[some].sum() > 0:
            start = _maximize(likelihoods[some], grid, start, shares[some] / shares[some].sum())
    return _with_influences(likelihoods, grid, _maximize(likelihoods, grid, start, shares), shares)


def _shares(weights: FloatArray | None, n: int) -> FloatArray:
    """Return weights (N,) that add up to 1."""
    if weights is None:
        return np.full(n, 1 / n)
    if weights.shape != (n,) or not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise ValueError(f"weights must be {n} numbers, none negative and one at least positive")
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _mean_of_means(likelihoods: NDArray[np.floating], grid: Grid, shares: FloatArray) -> float:
    """Average the posterior means under a flat prior."""
    sums = likelihoods @ (grid.weights[:, None] * np.stack([np.ones_like(grid.nodes), grid.nodes], axis=1))
    return float(shares @ (sums[:, 1] / sums[:, 0]))


def _density(parameters: FloatArray, grid: Grid) -> FloatArray:
    """Return the population's mass at each node, given mu and log tau."""
    logs = -0.5 * ((grid.nodes - parameters[0]) / np.exp(parameters[1])) ** 2
    masses = grid.weights * np.exp(logs - logs.max())
    return np.asarray(masses / masses.sum())


def _maximize(likelihoods: NDArray[np.floating], grid: Grid, start: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the most likely mu and log tau."""
    powers = np.stack([np.ones_like(grid.nodes), grid.nodes, grid.nodes**2], axis=1)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        mu, precision = parameters[0], float(np.exp(-2 * parameters[1]))
        p = _density(parameters, grid)
        moments = likelihoods @ (p[:, None] * powers).astype(likelihoods.dtype)
        marginal = moments[:, 0].astype(np.float64)
        rise = (shares / marginal) @ moments[:, 1:].astype(np.float64) - p @ powers[:, 1:]
        # From the natural parameters mu / tau^2 and -1 / (2 tau^2) by the chain rule.
        gradient = precision * np.array([rise[0], rise[1] - 2 * mu * rise[0]])
        return -float(shares @ np.log(marginal)), -gradient

    bounds = [(-_FURTHEST_MEAN, _FURTHEST_MEAN), (np.log(_narrowest(grid)), np.log(_WIDEST))]
    options = {"ftol": 1e-12, "gtol": 1e-7, "maxiter": 200}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)  # type: ignore[call-overload]
    return np.asarray(found.x, dtype=np.float64)


def _narrowest(grid: Grid) -> float:
    return _NARROWEST_IN_CELLS * grid.spacing


def _with_influences(
    likelihoods: NDArray[np.floating], grid: Grid, parameters: FloatArray, shares: FloatArray
) -> PopulationFit:
    """Return the mean of the population that was found, with what each response has to do with it."""
    u, p = grid.nodes, _density(parameters, grid)
    powers = np.stack([u, u**2, u**3, u**4], axis=1)
    expected = p @ powers
    moments = likelihoods @ (p[:, None] * np.column_stack([np.ones_like(u), powers])).astype(likelihoods.dtype)
    own = moments[:, 1:] / moments[:, :1]
    scores = own[:, :2].astype(np.float64) - expected[:2]
    within = shares @ (own[:, [0, 0, 1]] * own[:, [0, 1, 1]])
    means = shares @ own
    information = _covariance(expected) - np.array(
        [[means[1] - within[0], means[2] - within[1]], [means[2] - within[1], means[3] - within[2]]]
    )
    gradient = _covariance(expected)[0]
    # A spread at its bound is taken as known; so is one of which the responses say nothing.
    at_narrowest = parameters[1] <= np.log(_narrowest(grid)) + 1e-6
    free = 1 if at_narrowest or np.linalg.det(information) <= 1e-9 * np.prod(np.diag(information)) else 2
    mean, variance = float(expected[0]), float(gradient[0])
    if information[0, 0] <= _LEAST_INFORMATION * variance:
        influence = np.full(len(likelihoods), np.nan)
    else:
        influence = shares * (scores[:, :free] @ np.linalg.solve(information[:free, :free], gradient[:free]))
    return PopulationFit(mean, float(np.sqrt(max(variance, 0.0))), influence, _point_loss(likelihoods, p, shares))


def _point_loss(likelihoods: NDArray[np.floating], p: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the log-likelihood (G,) that is lost where all responses are at one node; from a part of many."""
    step = slice(None, None, max(len(likelihoods) // _FOR_START, 1))
    some, own = likelihoods[step].astype(np.float64), shares[step]
    if own.sum() <= 0:
        some, own = likelihoods.astype(np.float64), shares
    own = own / own.sum()
    logs = own @ np.log(np.maximum(some, _LEAST_LIKELIHOOD))
    best = max(float(own @ np.log(np.maximum(some @ p, _LEAST_LIKELIHOOD))), float(logs.max()))
    return np.asarray(len(likelihoods) * (best - logs))


def _covariance(moments: FloatArray) -> FloatArray:
    """Return the covariance of u and u^2 from E[u], E[u^2], E[u^3], E[u^4]."""
    one, two, three, four = moments
    return np.array([[two - one**2, three - one * two], [three - one * two, four - two**2]])
