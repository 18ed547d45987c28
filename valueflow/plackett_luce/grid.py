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

from .lapses import log_chance_at_random
from .windows import FloatArray, IntArray, ResponseBlock, WholeWindows, check_windows, response_blocks

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
    lapse_rate: float = 0.0,
) -> NDArray[np.float32]:
    r"""Evaluate the log-likelihood of responses at the nodes of a grid.

    The judge sees a text of intensity u at a place y in all its windows, normal around u with standard deviation sigma:

    .. math:: \ell(u) = \log \int \prod_w P(\pi_w \mid y) \, N(y; u, \sigma^2) \, dy

    A judge that lapses in a share e of its rankings has ``(1 - e) P + e / K!`` in place of P. Rankings that are next to
    impossible wherever the text is then say next to nothing of it.

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
    lapse_rate
        e, at least 0 and below 1.

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
    if not 0 <= lapse_rate < 1:
        raise ValueError(f"lapse_rate must be at least 0 and below 1, got {lapse_rate}")
    windows = check_windows(rankings, anchor_utilities, response_index, n_responses, discrimination)
    spacing, nodes = grid.spacing, grid.nodes
    beyond = int(np.ceil(min(_REACH * misreading_sd, _FURTHEST) / spacing))
    places = nodes[0] + spacing * np.arange(-beyond, len(nodes) + beyond)
    blur = _normal_weights(nodes, places, spacing, misreading_sd)
    found = np.zeros((n_responses, len(nodes)), dtype=np.float32)
    for responses, block in response_blocks(windows, with_whole=lapse_rate > 0):
        step = max(1, _NUMBERS // len(places))
        for first in range(0, len(responses), step):
            part = slice(first, first + step)
            if block.whole is None:
                logs = _log_likelihood(block, part, places)
            else:
                logs = _log_mixture(block, block.whole, part, places, lapse_rate)
            logs -= logs.max(axis=0)
            if blur is not None:
                # What underflows is e^-690 of the most likely place.
                logs = np.log(np.maximum(blur @ np.exp(logs), 1e-300))
                logs -= logs.max(axis=0)
            found[responses[part]] = np.maximum(logs, LOWEST_LOG_LIKELIHOOD, out=logs).T
    return found


def _normal_weights(nodes: FloatArray, places: FloatArray, spacing: float, sd: float) -> FloatArray | None:
    """Return each place's share of a normal distribution around each node, (G, P); None where it has no width."""
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
    together = _factors_together(rivals, x)
    factors = np.empty_like(rivals)
    for node, weakness in enumerate(np.exp(-x)):
        np.multiply(rivals, weakness, out=factors)
        factors += 1.0
        for first in range(0, len(factors), together):
            logs[node] -= np.log(np.multiply.reduce(factors[first : first + together], axis=0))
    return logs


def _factors_together(rivals: FloatArray, x: FloatArray) -> int:
    """Return how many factors 1 + rivals * exp(-x) have a product within the range of numbers."""
    highest = np.log1p(rivals.max(initial=0.0)) + max(-float(x[0]), 0.0)
    return max(1, int(_LARGEST_LOG // max(highest, 1.0)))


def _log_mixture(
    block: ResponseBlock, whole: WholeWindows, part: slice, places: FloatArray, lapse_rate: float
) -> FloatArray:
    """Evaluate the same, up to a constant, of a judge that gives this share of its rankings at random."""
    rivals, losses = block.rivals[:, :, part], whole.losses[:, part]
    # Of a ranking that is no lapse against one that is.
    log_odds = np.log1p(-lapse_rate) - np.log(lapse_rate) - log_chance_at_random(len(rivals) + 1)
    constant = whole.log_rest[:, part] + log_odds
    x = block.slope * places
    together = _factors_together(rivals, x)
    logs = np.empty((len(places), losses.shape[1]))
    factors = np.empty_like(rivals)
    for node, at in enumerate(x):
        np.multiply(rivals, np.exp(-at), out=factors)
        factors += 1.0
        odds = constant - at * losses
        for first in range(0, len(factors), together):
            odds -= np.log(np.multiply.reduce(factors[first : first + together], axis=0))
        # At most the odds at the most probable ranking, which are far from the end of the range.
        logs[node] = np.log1p(np.exp(odds, out=odds), out=odds).sum(axis=0)
    return logs


def mode_on_grid(logs: NDArray[np.floating], grid: Grid, *, prior_precision: float = 1e-3) -> FloatArray:
    """Return the maxima of posteriors on the scale, (N,): those of parabolas through the nodes around the highest one.

    Parameters
    ----------
    logs, grid, prior_precision
        As in `summarize_on_grid`.
    """
    rows = np.arange(len(logs))
    posterior = logs - 0.5 * prior_precision * grid.nodes**2
    top = posterior.argmax(axis=1)
    inner = np.clip(top, 1, len(grid.nodes) - 2)
    before, at, after = (posterior[rows, inner + step] for step in (-1, 0, 1))
    bend = 2 * at - before - after
    shift = np.divide(after - before, 2 * bend, out=(top - inner).astype(np.float64), where=bend > 0)
    return np.asarray(grid.nodes[inner] + grid.spacing * np.clip(shift, -1.0, 1.0))


def summarize_on_grid(
    logs: NDArray[np.floating], grid: Grid, *, level: float = 0.9, prior_precision: float = 1e-3
) -> FloatArray:
    """Return mean, standard deviation, and low and high end of posteriors on the scale, (4, N).

    The posterior is proportional to ``exp(log-likelihood - prior_precision / 2 * u^2)``. Low and high are the ends of
    the interval of highest density that holds ``level`` of it.

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
    density = np.exp(logs)
    moments = np.stack([grid.weights, grid.weights * grid.nodes, grid.weights * grid.nodes**2]) @ density
    mean = moments[1] / moments[0]
    spread = np.sqrt(np.maximum(moments[2] / moments[0] - mean**2, 0.0))
    low, high = _highest_density(logs, density, level)
    start, end = grid.nodes[0], grid.nodes[-1]
    low, high = start + grid.spacing * low, start + grid.spacing * high
    return np.stack([mean, spread, np.maximum(low, start), np.minimum(high, end)])


def _highest_density(logs: FloatArray, density: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the interval of highest density, as distances from the first node in cells.

    Where a log-density is straight, the mass of a cell above the density t is (higher end - max(lower end, t)) / fall
    of the log. Where it is bent, with second difference -c, a cell has 1 + c / 12 times that mass. The sum is concave
    and falling in t, so Newton's steps end at the root from above.
    """
    bend = np.zeros_like(logs)
    np.add(logs[2:], logs[:-2], out=bend[1:-1])
    bend[1:-1] -= 2 * logs[1:-1]
    bend[0], bend[-1] = bend[1], bend[-2]
    bend = np.clip(-(bend[1:] + bend[:-1]) / 2, 0.0, 1.0)
    fall = np.abs(np.diff(logs, axis=0))
    fall += _TILT
    upper = np.maximum(density[1:], density[:-1])
    # With the tilt a flat cell still has its mass.
    lower = np.minimum(np.minimum(density[1:], density[:-1]), upper * (1 - _TILT))
    per_density = (1 + bend / 12) / fall
    target = level * ((upper - lower) * per_density).sum(axis=0)
    least = lower.min(axis=0) * (1 + 1e-12)
    threshold = np.maximum(np.exp(-0.5 * ndtri((1 + level) / 2) ** 2), least)
    part = np.empty_like(upper)
    for _ in range(_LEVEL_STEPS):
        np.maximum(lower, threshold, out=part)
        np.subtract(upper, part, out=part)
        np.maximum(part, 0.0, out=part)
        excess = np.einsum("ij,ij->j", part, per_density) - target
        if np.all(np.abs(excess) <= 1e-5 * target):
            break
        rate = np.einsum("ij,ij->j", (upper > threshold) & (lower <= threshold), per_density)
        step = np.divide(excess, rate, out=np.zeros_like(excess), where=rate > 0)
        threshold = np.clip(threshold + step, least, (threshold + 1) / 2)
    edge = np.log(threshold)
    inside = logs >= edge
    columns = np.arange(logs.shape[1])
    first = inside.argmax(axis=0)
    last = len(logs) - 1 - inside[::-1].argmax(axis=0)
    return (
        first - _crossing(logs, bend, edge, first, np.maximum(first - 1, 0), columns),
        last + _crossing(logs, bend, edge, last, np.minimum(last + 1, len(logs) - 1), columns),
    )


def _crossing(
    logs: FloatArray, bend: FloatArray, edge: FloatArray, inner: IntArray, outer: IntArray, columns: IntArray
) -> FloatArray:
    """Return how far from the inner node toward the outer one, in cells, a log-density falls to the edge."""
    height = logs[inner, columns] - edge
    fall = logs[inner, columns] - logs[outer, columns]
    share = np.divide(height, fall, out=np.zeros_like(edge), where=fall > 0)
    # Bent, it lies above the straight line by c f (1 - f) / 2: one step of Newton's method.
    c = bend[np.minimum(inner, outer).clip(max=len(bend) - 1), columns]
    above = c * share * (1 - share) / 2
    slope = fall - c * (1 - 2 * share) / 2
    share = share + np.divide(above, slope, out=np.zeros_like(edge), where=(fall > 0) & (slope > 0))
    return np.where(fall > 0, np.clip(share, 0.0, 1.0), 0.0)
