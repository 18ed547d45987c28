"""Interval of a response's utility on a bounded scale: highest posterior density.

The posterior of a utility (:mod:`.maximum`) is log-concave, so the most probable values form one interval, and it
holds the maximum. On a bounded scale this matters: a response above all its anchors has a posterior that leans on the
upper bound, where an interval of estimate +- standard error would leave the scale on one side and miss on the other.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from .maximum import BlockSolution, log_posterior_derivatives
from .windows import LARGEST_EXPONENT, FloatArray, ResponseBlock

# Cells on each side of the mode. Halving the cells moves an end by less than 0.002 of the interval's width.
_CELLS = 24

# Newton's steps to the point where the density has all but vanished; each stays outside it and comes nearer.
_TAIL_STEPS = 4

# At most this many steps to the density at the ends. They descend on a concave curve made of straight pieces onto its
# root: about five for a level of 0.9, more for one near 0.
_LEVEL_STEPS = 60

# Per cell. Keeps neighboring nodes apart where the density is flat; moves it by less than 1e-4 in all.
_TILT = 1e-6

_LARGEST_LOG = 700.0


def check_interval(level: float, bounds: tuple[float, float], steepest: float) -> None:
    """Raise ValueError where a level, the ends of a scale, or the steepest slope on it is out of its range."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    lowest, highest = bounds
    if not (np.isfinite(lowest) and np.isfinite(highest) and lowest < highest):
        raise ValueError(f"bounds must be finite and rising, got {bounds}")
    if steepest * max(-lowest, highest) > LARGEST_EXPONENT:
        raise ValueError(f"discrimination times bound must not exceed {LARGEST_EXPONENT:g}")


def summarize_block(
    block: ResponseBlock, found: BlockSolution, precision: float, level: float, bounds: tuple[float, float]
) -> FloatArray:
    """Return mean, low and high (3, n) of a block's responses, given their maxima and the prior's precision in x."""
    score = np.clip(found.utility, *bounds)
    mode = score * block.slope
    peak = _log_posterior(mode, block, precision)
    # What lies beyond this fall of the log-density is a thousandth of what the interval leaves out.
    drop = 7.0 - np.log(1 - level)
    first_guess = np.sqrt(2 * drop / found.information) * block.slope
    steps = np.linspace(0.0, 1.0, _CELLS + 1)[:, None]
    tilt = _TILT * np.arange(_CELLS + 1)[:, None]
    widths, falls = [], []
    for sign, bound in ((-1.0, bounds[0] * block.slope), (1.0, bounds[1] * block.slope)):
        reach = _reach(block, precision, mode, sign, np.abs(bound - mode), first_guess, peak - drop)
        widths.append(reach / _CELLS)
        fall = peak - np.stack([_log_posterior(x, block, precision) for x in mode + sign * reach * steps])
        # Falling from the mode outwards, whatever rounding does.
        falls.append(np.maximum.accumulate(np.maximum(fall, 0.0), axis=0) + tilt)
    mean, left, right = _summarize_cells(widths, falls, level)
    low = np.maximum(score - left / block.slope, bounds[0])
    high = np.minimum(score + right / block.slope, bounds[1])
    return np.stack([np.clip(score + mean / block.slope, *bounds), low, high])


def _reach(
    block: ResponseBlock,
    precision: float,
    mode: FloatArray,
    sign: float,
    furthest: FloatArray,
    first_guess: FloatArray,
    floor: FloatArray,
) -> FloatArray:
    """Distance from the mode, to one side, at which the log-density has fallen to the floor; at most the bound's.

    The log-density is concave: the first of Newton's steps ends beyond the point sought, the others come back to it.
    """
    reach = np.minimum(first_guess, furthest)
    for _ in range(_TAIL_STEPS):
        x = mode + sign * reach
        fall = -sign * log_posterior_derivatives(x, block, precision)[0]
        excess = _log_posterior(x, block, precision) - floor
        # Without a slope, at a mode that is the bound itself, there is nowhere to go.
        step = np.divide(excess, fall, out=np.zeros_like(excess), where=fall > 1e-12)
        reach = np.clip(reach + step, 0.0, furthest)
    return reach


def _log_posterior(x: FloatArray, block: ResponseBlock, precision: float) -> FloatArray:
    """Evaluate the log-posterior in x = slope * u, up to a constant."""
    weakness = np.exp(-x) if block.relative is None else np.exp(-block.relative * x)
    factors = (block.rivals * weakness).reshape(-1, x.size)
    factors += 1.0
    # One logarithm for as many factors as a double can hold the product of.
    together = max(1, int(_LARGEST_LOG // max(np.log(factors.max()), 1.0)))
    total = -block.losses * x - 0.5 * precision * x**2
    for first in range(0, factors.shape[0], together):
        total -= np.log(np.multiply.reduce(factors[first : first + together], axis=0))
    return np.asarray(total)


def _summarize_cells(
    widths: list[FloatArray], falls: list[FloatArray], level: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Find the mean and the interval's ends from the density on a grid to the left and to the right of the mode.

    Between nodes the log-density is taken as straight, so the density is a piece of an exponential: the part of a cell
    with density above t has mass (inner density - max(outer density, t)) * width / fall of the log-density. The mass
    above t is therefore exact, and concave and falling in t: Newton's steps overshoot upwards at most once and then
    come down to the root.

    ``widths`` are a cell's (n,), left and right of the mode; ``falls`` are those of the log-density from the mode to
    each node (C + 1, n), strictly rising. Mean and distances of the ends are counted from the mode.
    """
    width = np.concatenate([np.broadcast_to(side, (_CELLS, side.size)) for side in widths])
    nearer = np.concatenate([side[:-1] for side in falls])
    fall = np.concatenate([np.diff(side, axis=0) for side in falls])
    inner = np.exp(-nearer)
    outer = np.concatenate([np.exp(-side[1:]) for side in falls])
    per_density = width / fall
    mass = (inner - outer) * per_density
    total = mass.sum(axis=0)

    # Center of mass of each cell, as a share of its width from the inner node.
    center = np.where(fall < 1e-3, 0.5 - fall / 12, 1 / fall - 1 / np.expm1(np.maximum(fall, 1e-3)))
    place = np.concatenate([np.arange(_CELLS), np.arange(_CELLS)])[:, None]
    side = np.repeat([-1.0, 1.0], _CELLS)[:, None]
    mean = (mass * side * width * (place + center)).sum(axis=0) / total

    # A normal density's level, but not below both ends of the grid: there the mass does not depend on it.
    lowest = np.exp(-np.maximum(falls[0][-1], falls[1][-1]))
    threshold = np.maximum(np.exp(-0.5 * ndtri((1 + level) / 2) ** 2), lowest * (1 + 1e-12))
    target = level * total
    for _ in range(_LEVEL_STEPS):
        above = (np.maximum(inner - np.maximum(outer, threshold), 0.0) * per_density).sum(axis=0)
        rate = np.where((inner > threshold) & (outer <= threshold), per_density, 0.0).sum(axis=0)
        excess = above - target
        if np.all(np.abs(excess) <= 1e-9 * target):
            break
        step = np.divide(excess, rate, out=np.zeros_like(excess), where=rate > 0)
        # At most half the way to the mode's density, where the mass has no slope to come back by.
        threshold = np.clip(threshold + step, lowest * (1 + 1e-12), (threshold + 1) / 2)
    share = np.clip((-np.log(threshold) - nearer) / fall, 0.0, 1.0) * width
    return mean, share[:_CELLS].sum(axis=0), share[_CELLS:].sum(axis=0)
