"""Posteriors of many responses on one grid of the scale: misreading judges, panels, and populations need them there.

A likelihood of utilities is smooth on the scale of 1 / beta, so that sums over equally spaced nodes are exact to many
digits once nodes are as near as the narrowest posterior is wide. On a grid that all responses share, a misreading is
one matrix product, a panel one sum of logarithms, and a population's likelihood one product with its density.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from .windows import FloatArray, ResponseBlock, check_windows, response_blocks

_COARSEST, _FINEST = 0.5, 0.02
"""Spacing of nodes, in points."""

_REACH = 3.0
"""A judge may see a text beyond the scale: by up to this many standard deviations of its misreading."""

_FURTHEST = 10.0
"""Points beyond the scale at which perceived places end."""

_NUMBERS = 1 << 17
"""Numbers of an array of nodes by responses worked on at once."""

_LARGEST_LOG = 600.0
LOWEST_LOG_LIKELIHOOD = -60.0
"""Of a log-likelihood less its highest: no population calls a response impossible."""

_LEVEL_STEPS = 40
_TILT = 1e-6


@dataclass(frozen=True)
class Grid:
    """G equally spaced nodes on a scale.

    Attributes
    ----------
    nodes : (G,) float array
        From the lower end of the scale to the upper one.
    weights : (G,) float array
        Of the trapezoidal rule with Gregory's correction at the ends: a sum over nodes is an integral over the scale.
    """

    nodes: FloatArray
    weights: FloatArray

    @property
    def spacing(self) -> float:
        """Distance of two nodes."""
        return float(self.nodes[1] - self.nodes[0])

    @classmethod
    def over(cls, bounds: tuple[float, float], spacing: float) -> Grid:
        """Return the grid whose spacing is the given one or a little less."""
        low, high = bounds
        cells = max(int(np.ceil((high - low) / spacing - 1e-9)), 8)
        weights = np.full(cells + 1, (high - low) / cells)
        # Gregory's formula to third differences: exact for cubics.
        ends = np.array([3 / 8, 7 / 6, 23 / 24])
        weights[:3] *= ends
        weights[-3:] *= ends[::-1]
        return cls(np.linspace(low, high, cells + 1), weights)


def grid_for(bounds: tuple[float, float], steepest: float, most_terms: int) -> Grid:
    """Return a grid for likelihoods of at most ``most_terms`` choices by a judge of slope ``steepest``.

    A choice has at most the information beta^2 / 4, so no posterior is narrower than 2 / (beta sqrt(terms)).
    """
    narrowest = 2 / (steepest * np.sqrt(max(most_terms, 1)))
    return Grid.over(bounds, float(np.clip(narrowest, _FINEST, _COARSEST)))


def log_likelihoods(
    rankings: ArrayLike,
    anchor_utilities: ArrayLike,
    response_index: ArrayLike,
    n_responses: int,
    grid: Grid,
    *,
    discrimination: float,
    misreading_sd: float = 0.0,
) -> NDArray[np.float32]:
    r"""Evaluate the log-likelihood of responses at the nodes of a grid.

    The judge sees a text of intensity u at a place y, normal around u with standard deviation sigma, in all its windows:

    .. math:: \ell(u) = \log \int \prod_w P(\pi_w \mid y) \, N(y; u, \sigma^2) \, dy

    Parameters
    ----------
    rankings, anchor_utilities, response_index, n_responses
        As in :func:`fit_utilities`; windows of one judge, anchors where that judge sees them.
    grid
        See `grid_for`.
    discrimination
        Slope beta of the judge, per point.
    misreading_sd
        sigma, in points.

    Returns
    -------
    (N, G) float array
        Each row less its highest number, and not below -60; zeros for a response without a window.

    Raises
    ------
    ValueError
        Where an argument is out of its range, or a ranking is not a permutation of 1..K.
    """
    if not (np.isfinite(misreading_sd) and misreading_sd >= 0):
        raise ValueError(f"misreading_sd must be finite and not below zero, got {misreading_sd}")
    windows = check_windows(rankings, anchor_utilities, response_index, n_responses, discrimination)
    spacing, nodes = grid.spacing, grid.nodes
    beyond = int(np.ceil(min(_REACH * misreading_sd, _FURTHEST) / spacing))
    places = nodes[0] + spacing * np.arange(-beyond, len(nodes) + beyond)
    blur = _normal_weights(nodes, places, spacing, misreading_sd)
    found = np.zeros((n_responses, len(nodes)), dtype=np.float32)
    for responses, block in response_blocks(windows):
        step = max(1, _NUMBERS // len(places))
        for first in range(0, len(responses), step):
            part = slice(first, first + step)
            logs = _log_likelihood(block, part, places)
            logs -= logs.max(axis=0)
            if blur is not None:
                # What underflows is e^-690 of the most likely place.
                logs = np.log(np.maximum(blur @ np.exp(logs), 1e-300))
                logs -= logs.max(axis=0)
            found[responses[part]] = np.maximum(logs, LOWEST_LOG_LIKELIHOOD, out=logs).T
    return found


def _normal_weights(nodes: FloatArray, places: FloatArray, spacing: float, sd: float) -> FloatArray | None:
    """Return each place's share of a normal distribution around each node, (G, P): that of its cell; None without one."""
    if sd <= 0:
        return None
    edges = np.concatenate([places - spacing / 2, [places[-1] + spacing / 2]])
    below = ndtr((edges - nodes[:, None]) / sd)
    below[:, 0], below[:, -1] = 0.0, 1.0
    return np.asarray(np.diff(below, axis=1))


def _log_likelihood(block: ResponseBlock, part: slice, places: FloatArray) -> FloatArray:
    """Evaluate the log-likelihood at places, (P, n), of a judge whose windows share their slope."""
    rivals = block.rivals[:, :, part].reshape(-1, block.losses[part].size)
    x = block.slope * places
    logs = -x[:, None] * block.losses[part]
    highest = np.log1p(rivals.max(initial=0.0)) + max(-float(x[0]), 0.0)
    together = max(1, int(_LARGEST_LOG // max(highest, 1.0)))
    factors = np.empty_like(rivals)
    for node, weakness in enumerate(np.exp(-x)):
        np.multiply(rivals, weakness, out=factors)
        factors += 1.0
        for first in range(0, len(factors), together):
            logs[node] -= np.log(np.multiply.reduce(factors[first : first + together], axis=0))
    return logs


def summarize_on_grid(
    logs: NDArray[np.floating], grid: Grid, *, level: float = 0.9, prior_precision: float = 1e-3
) -> FloatArray:
    """Return mean, standard deviation, and low and high end of posteriors on the scale, (4, N).

    The posterior is proportional to ``exp(log-likelihood - prior_precision / 2 * u^2)``. Low and high are the ends of
    the interval of highest density that holds ``level`` of it. Between nodes, and points halfway between them found by
    cubic interpolation, log-densities are taken as straight.

    Parameters
    ----------
    logs : (N, G) float array
        As `log_likelihoods` returns them, or a sum of several judges'.
    """
    summary = np.empty((4, len(logs)))
    prior = -0.5 * prior_precision * grid.nodes[:, None] ** 2
    step = max(1, _NUMBERS // (2 * len(grid.nodes)))
    for first in range(0, len(logs), step):
        part = slice(first, first + step)
        summary[:, part] = _summarize(logs[part].T.astype(np.float64) + prior, grid, level)
    return summary


def _summarize(logs: FloatArray, grid: Grid, level: float) -> FloatArray:
    logs -= logs.max(axis=0)
    masses = grid.weights[:, None] * np.exp(logs)
    total = masses.sum(axis=0)
    mean = grid.nodes @ masses / total
    spread = np.sqrt(np.maximum(grid.nodes**2 @ masses / total - mean**2, 0.0))
    fine, width = _halved(logs), grid.spacing / 2
    low, high = _highest_density(fine - fine.max(axis=0), width, level)
    start, end = grid.nodes[0], grid.nodes[-1]
    return np.stack([mean, spread, np.maximum(start + low, start), np.minimum(start + high, end)])


def _halved(logs: FloatArray) -> FloatArray:
    """Return values also halfway between nodes, (2 G - 1, n)."""
    fine = np.empty((2 * len(logs) - 1, logs.shape[1]))
    fine[::2] = logs
    fine[3:-3:2] = (9 * (logs[1:-2] + logs[2:-1]) - logs[:-3] - logs[3:]) / 16
    fine[1] = (5 * logs[0] + 15 * logs[1] - 5 * logs[2] + logs[3]) / 16
    fine[-2] = (5 * logs[-1] + 15 * logs[-2] - 5 * logs[-3] + logs[-4]) / 16
    return fine


def _highest_density(logs: FloatArray, width: float, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the interval of highest density, as distances from the first node.

    The mass of a cell above the density t is (higher end - max(lower end, t)) * width / fall of the log. It is exact
    for straight log-densities, and concave and falling in t, so Newton's steps end at the root from above.
    """
    density = np.exp(logs)
    upper, lower = np.maximum(density[1:], density[:-1]), np.minimum(density[1:], density[:-1])
    fall = np.abs(np.diff(logs, axis=0)) + _TILT
    per_density = width / fall
    # With the tilt a flat cell still has its mass: upper times width.
    lower = np.minimum(lower, upper * np.exp(-fall))
    total = ((upper - lower) * per_density).sum(axis=0)
    target = level * total
    least = lower.min(axis=0)
    threshold = np.full(logs.shape[1], np.exp(-0.5 * ndtri((1 + level) / 2) ** 2))
    threshold = np.maximum(threshold, least * (1 + 1e-12))
    for _ in range(_LEVEL_STEPS):
        above = (np.maximum(upper - np.maximum(lower, threshold), 0.0) * per_density).sum(axis=0)
        excess = above - target
        if np.all(np.abs(excess) <= 1e-6 * target):
            break
        rate = np.where((upper > threshold) & (lower <= threshold), per_density, 0.0).sum(axis=0)
        step = np.divide(excess, rate, out=np.zeros_like(excess), where=rate > 0)
        threshold = np.clip(threshold + step, least * (1 + 1e-12), (threshold + 1) / 2)
    edge = np.log(threshold)
    inside = logs >= edge
    columns = np.arange(logs.shape[1])
    first = inside.argmax(axis=0)
    last = len(logs) - 1 - inside[::-1].argmax(axis=0)
    before, after = np.maximum(first - 1, 0), np.minimum(last + 1, len(logs) - 1)
    rise = logs[first, columns] - logs[before, columns]
    drop = logs[last, columns] - logs[after, columns]
    low = first - np.divide(logs[first, columns] - edge, rise, out=np.zeros_like(edge), where=rise > 0)
    high = last + np.divide(logs[last, columns] - edge, drop, out=np.zeros_like(edge), where=drop > 0)
    return low * width, high * width
