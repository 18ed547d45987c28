"""Maximum of a response's posterior: Newton's method for many responses at once.

The log-posterior of a response among anchors of known utility, under a normal prior, is strictly concave in the one
unknown. It is maximized in x = slope * u, block by block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import wrightomega

from .windows import FloatArray, IntArray, ResponseBlock

# Points on the intensity scale: far below any standard error and below what a table of scores shows.
TOLERANCE = 1e-8

# exp() of it is finite, and logistic terms with thresholds up to LARGEST_EXPONENT are saturated well before it.
_SATURATION = 700.0

# Most responses have converged after this many plain steps; until then, dropping those costs more than it saves.
PLAIN_STEPS = 2

# Together they keep the plain steps inside the range of exp().
_FURTHEST_START = 400.0
_LONGEST_STEP = 100.0


@dataclass(frozen=True)
class BlockSolution:
    """Maximum of the posterior of each column of a block, shapes (n,)."""

    utility: FloatArray
    information: FloatArray
    converged: NDArray[np.bool_]
    iterations: int


def log_posterior_derivatives(
    x: FloatArray, block: ResponseBlock, precision: float, scratch: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the log-posterior's first derivative in x = slope * u, minus the second, and the third, each (n,).

    ``x`` lies within +-700, ``precision`` is the prior's in x, ``scratch`` can hold two arrays like ``block.rivals``.
    """
    # Each stage is a logistic term. With the strength exp(x) it is a division, and both sums saturate without
    # overflow; `chance` is the chance that an anchor is picked at the stage.
    chance, square = np.empty((2, *block.rivals.shape)) if scratch is None else scratch
    if block.relative is None:
        strength = np.exp(x)
    else:
        strength = np.exp(np.minimum(np.maximum(block.relative * x, -_SATURATION), _SATURATION))
    np.add(block.rivals, strength, out=chance)
    np.divide(block.rivals, chance, out=chance)
    np.multiply(chance, chance, out=square)
    if block.relative is None:
        flat, flat_square = chance.reshape(-1, x.size), square.reshape(-1, x.size)
        first, second = np.add.reduce(flat, axis=0), np.add.reduce(flat_square, axis=0)
        third = np.einsum("ij,ij->j", flat, flat_square)
        gradient, information, third = first - block.losses, first - second, first - 3 * second + 2 * third
    else:
        firsts, seconds = np.add.reduce(chance, axis=0), np.add.reduce(square, axis=0)
        thirds = firsts - 3 * seconds + 2 * np.einsum("kmn,kmn->mn", chance, square)
        gradient = (block.relative * firsts).sum(axis=0) - block.losses
        information = (block.relative**2 * (firsts - seconds)).sum(axis=0)
        third = (block.relative**3 * thirds).sum(axis=0)
    gradient -= precision * x
    information += precision
    return gradient, information, third


def solve_block(
    block: ResponseBlock,
    span: tuple[float, float],
    prior_precision: float,
    max_iter: int,
    tolerance: float,
    learning_rate: float | None = None,
) -> BlockSolution:
    """Find the maximum of the posterior for every column of a block: by plain ascent where it has a learning rate.

    ``span`` holds the lowest and the highest anchor, ``tolerance`` limits the Newton distance in points, ``max_iter``
    the evaluations of the gradient. A column that did not converge keeps its last iterate.
    """
    slope = block.slope
    precision, limit = prior_precision / slope**2, tolerance * slope
    if learning_rate is None:
        x, information, near, iterations = _newton(block, span, precision, max_iter, limit)
    else:
        x, information, near, iterations = _ascent(block, precision, max_iter, limit, learning_rate * slope**2)
    return BlockSolution(x / slope, information * slope**2, near, iterations)


_Iterate = tuple[FloatArray, FloatArray, NDArray[np.bool_], int]


def _newton(block: ResponseBlock, span: tuple[float, float], precision: float, max_iter: int, limit: float) -> _Iterate:
    """Newton's method in x: a few plain steps for all columns, then guarded ones for those that need more."""
    x = _start(block, span, precision)
    # Where the likelihood is flat Newton's step is far too long: half the anchors' span is enough.
    reach = min((span[1] - span[0]) / 2 * block.slope + 4.0, _LONGEST_STEP)
    scratch = np.empty((2, *block.rivals.shape))
    plain = min(PLAIN_STEPS, max_iter)
    for _ in range(plain):
        step, information = _halley_step(x, block, precision, scratch)
        x += np.minimum(np.maximum(step, -reach), reach)
    near = np.abs(step) < _sufficient_step(block, limit)
    left = np.flatnonzero(~near)
    if left.size == 0 or plain == max_iter:
        return x, information, near, plain
    rest = _columns(block, left)
    x[left], information[left], near[left], guarded = _guarded_newton(x[left], rest, precision, max_iter - plain, limit)
    return x, information, near, plain + guarded


def _halley_step(
    x: FloatArray, block: ResponseBlock, precision: float, scratch: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Newton's step corrected for the third derivative (Halley's method), and the information where it leads."""
    step, information, third = log_posterior_derivatives(x, block, precision, scratch)
    step /= information
    third /= information
    # At most twice Newton's length.
    step /= np.maximum(1.0 - 0.5 * step * third, 0.5)
    information *= np.maximum(1.0 - step * third, 0.0)
    return step, information


def _sufficient_step(block: ResponseBlock, limit: float) -> FloatArray:
    """Longest step after which the Newton distance is guaranteed to be below the limit, without another evaluation.

    A logistic term's third and fourth derivatives are at most R and R^2 times its second, R being the steepest relative
    slope. Taylor's formula then bounds the Newton distance after a step s of Halley's method by
    exp(2 R s) R^2 s^3 (1/4 + 1/6), which is below R^2 s^3 / 2 where R s <= 0.05.
    """
    steepest = np.float64(1.0) if block.relative is None else block.relative.max(axis=0)
    return np.asarray(np.minimum(np.cbrt(2 * limit / steepest**2), 0.05 / steepest))


def _start(block: ResponseBlock, span: tuple[float, float], precision: float) -> FloatArray:
    """Guess x: the share of anchors beaten on their span, and the solution itself for one that beat all or none."""
    stages, m, _ = block.rivals.shape
    most = float(stages * m) if block.relative is None else block.relative.sum(axis=0) * stages
    x = block.slope * (span[1] - block.losses * ((span[1] - span[0]) / most))
    if block.relative is None:
        # Far from its rivals the gradient of such a response is s exp(-|x|) - precision |x|, so that |x| + log |x| =
        # log(s / precision): Wright's omega function.
        best, worst = np.flatnonzero(block.losses == 0), np.flatnonzero(block.losses == most)
        x[best] = wrightomega(np.log(block.rivals[0][:, best].sum(axis=0) / precision))
        x[worst] = -wrightomega(np.log((1 / block.rivals[:, :, worst]).sum(axis=(0, 1)) / precision))
    return np.minimum(np.maximum(x, -_FURTHEST_START), _FURTHEST_START)


def _guarded_newton(x: FloatArray, block: ResponseBlock, precision: float, max_iter: int, limit: float) -> _Iterate:
    """Newton's method in x inside a bracket that every gradient shrinks; bisection where a step would leave it."""
    n = x.size
    solution, spread, converged = x.copy(), np.empty(n), np.zeros(n, dtype=np.bool_)
    columns = np.arange(n)
    lower, upper = np.full(n, -_SATURATION), np.full(n, _SATURATION)
    iterations = 0
    while iterations < max_iter:
        iterations += 1
        step, information = _halley_step(x, block, precision)
        near = np.abs(step) < _sufficient_step(block, limit)
        rising = step > 0
        lower, upper = np.where(rising, x, lower), np.where(rising, upper, x)
        proposal = x + step
        outside = ((proposal <= lower) | (proposal >= upper)) & ~near
        proposal[outside] = (lower[outside] + upper[outside]) / 2
        solution[columns], spread[columns], converged[columns] = proposal, information, near
        going = np.flatnonzero(~near)
        if going.size == 0:
            break
        x, lower, upper, columns = proposal[going], lower[going], upper[going], columns[going]
        if going.size < near.size:
            block = _columns(block, going)
    return solution, spread, converged, iterations


def _ascent(block: ResponseBlock, precision: float, max_iter: int, limit: float, rate: float) -> _Iterate:
    """Plain gradient ascent in x from 0; a column stays where it has converged."""
    n = block.losses.size
    x, information, near = np.zeros(n), np.empty(n), np.zeros(n, dtype=np.bool_)
    iterations = 0
    while iterations < max_iter:
        iterations += 1
        gradient, information, _ = log_posterior_derivatives(x, block, precision)
        near = np.abs(gradient / information) < limit
        if near.all():
            break
        x = np.where(near, x, np.clip(x + rate * gradient, -_SATURATION, _SATURATION))
    return x, information, near, iterations


def _columns(block: ResponseBlock, columns: IntArray) -> ResponseBlock:
    """Return the block with only some of its responses."""
    relative = None if block.relative is None else block.relative[:, columns]
    return ResponseBlock(block.rivals.take(columns, axis=2), block.losses[columns], block.slope, relative)
