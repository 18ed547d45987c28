"""The mean of a population of responses, each of which is known through its likelihood alone.

Scores are shrunk toward the middle of the scale, the more so the fewer windows a response has and the less its judge
discriminates; so is their mean. The mean of the population that the responses are drawn from is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from .grid import Grid
from .windows import FloatArray

_FURTHEST_MEAN = 20.0
_WIDEST = 20.0
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
        the sums within them.
    """

    mean: float
    sd: float
    influence: FloatArray


def fit_population(likelihoods: FloatArray, grid: Grid) -> PopulationFit:
    r"""Estimate a population's mean by marginal maximum likelihood.

    With L_i the likelihood of response i, maximizes

    .. math:: \sum_i \log \int L_i(u) \, p(u \mid \mu, \tau) \, du

    where p is normal(mu, tau^2) cut to the scale. The mean is E[u] under p. The influence of a response is
    ``grad(E[u])' H^-1 s_i``, with H the observed information and s_i the score of the response (the sandwich of White,
    1982): it does not rest on the population's being normal.

    Parameters
    ----------
    likelihoods : (N, G) float array
        At the nodes of the grid, each row up to a factor.
    grid
        The scale.

    Raises
    ------
    ValueError
        Without a response, or where shapes do not fit.

    References
    ----------
    Bock, R. D. and Aitkin, M. (1981). Marginal maximum likelihood estimation of item parameters. Psychometrika 46(4).
    White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica 50(1).
    """
    if likelihoods.ndim != 2 or likelihoods.shape[1] != len(grid.nodes) or not len(likelihoods):
        raise ValueError(f"likelihoods must have shape (N, {len(grid.nodes)}) with N of 1 or more")
    u = grid.nodes
    narrowest = _NARROWEST_IN_CELLS * grid.spacing
    powers = np.stack([np.ones_like(u), u, u**2], axis=1)
    n = len(likelihoods)

    def density(parameters: FloatArray) -> FloatArray:
        mu, tau = parameters[0], np.exp(parameters[1])
        logs = -0.5 * ((u - mu) / tau) ** 2
        weighed = grid.weights * np.exp(logs - logs.max())
        return np.asarray(weighed / weighed.sum())

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        mu, tau = parameters[0], float(np.exp(parameters[1]))
        p = density(parameters)
        moments = likelihoods @ (p[:, None] * powers).astype(likelihoods.dtype)
        marginal = moments[:, 0].astype(np.float64)
        ratios = (1 / marginal) @ moments[:, 1:].astype(np.float64) / n - p @ powers[:, 1:]
        # In the natural parameters mu / tau^2 and -1 / (2 tau^2), by the chain rule.
        gradient = np.array([ratios[0] / tau**2, (ratios[1] - 2 * mu * ratios[0]) / tau**2])
        return -float(np.log(marginal).mean()), -gradient

    middle = likelihoods @ (grid.weights[:, None] * powers[:, :2]).astype(likelihoods.dtype)
    start = float(np.mean(middle[:, 1] / middle[:, 0]))
    bounds = [(-_FURTHEST_MEAN, _FURTHEST_MEAN), (np.log(narrowest), np.log(_WIDEST))]
    found = minimize(
        loss,
        np.array([start, np.log(3.0)]),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"ftol": 1e-13, "gtol": 1e-7, "maxiter": 200},
    )
    p = density(found.x)
    mean = float(p @ u)
    higher = np.stack([u, u**2, u**3, u**4], axis=1)
    expected = p @ higher
    moments = likelihoods @ (p[:, None] * np.column_stack([np.ones_like(u), higher])).astype(likelihoods.dtype)
    own = moments[:, 1:].astype(np.float64) / moments[:, :1]
    scores = own[:, :2] - expected[:2]
    information = n * _covariance(expected) - np.array(
        [
            [(own[:, 1] - own[:, 0] ** 2).sum(), (own[:, 2] - own[:, 0] * own[:, 1]).sum()],
            [0.0, (own[:, 3] - own[:, 1] ** 2).sum()],
        ]
    )
    information[1, 0] = information[0, 1]
    gradient = _covariance(expected)[0]
    at_narrowest = found.x[1] <= np.log(narrowest) + 1e-6
    # A spread at its bound is taken as known; so is one of which the responses say nothing.
    free = 1 if at_narrowest or np.linalg.cond(information) > 1e12 or np.linalg.det(information) <= 0 else 2
    influence = scores[:, :free] @ np.linalg.solve(information[:free, :free], gradient[:free])
    return PopulationFit(mean, float(np.sqrt(max(expected[1] - mean**2, 0.0))), np.asarray(influence))


def _covariance(moments: FloatArray) -> FloatArray:
    """Return the covariance of u and u^2 from E[u], E[u^2], E[u^3], E[u^4]."""
    one, two, three, four = moments
    return np.array([[two - one**2, three - one * two], [three - one * two, four - two**2]])
