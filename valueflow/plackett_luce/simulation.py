"""Rankings drawn from the Plackett-Luce model."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .windows import IntArray


def simulate_rankings(utilities: ArrayLike, discrimination: float | ArrayLike, rng: np.random.Generator) -> IntArray:
    """Draw one ranking for each row of utilities.

    Sorting ``discrimination * utility`` plus independent Gumbel noise gives a Plackett-Luce ranking (Yellott, 1977).

    Parameters
    ----------
    utilities : (W, K) array of float
        Utility of each item; column 0 is item 1, the response.
    discrimination : float or (W,) array of float
        Slope beta of the judge, not below zero; at zero every order is equally likely.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    (W, K) int array
        Item numbers from 1, most supportive first.

    Raises
    ------
    ValueError
        Where a shape is wrong or a number is not finite.

    References
    ----------
    Yellott, J. I. (1977). The relationship between Luce's choice axiom, Thurstone's theory of comparative judgment,
    and the double exponential distribution. Journal of Mathematical Psychology 15(2), 109-144.
    """
    values = np.asarray(utilities, dtype=np.float64)
    slope = np.asarray(discrimination, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"utilities must have shape (W, K), not {values.shape}")
    if slope.ndim and slope.shape != (values.shape[0],):
        raise ValueError(f"discrimination must be a number or have shape {(values.shape[0],)}, not {slope.shape}")
    if not (np.isfinite(values).all() and np.isfinite(slope).all()):
        raise ValueError("utilities and discrimination must be finite")
    if slope.size and slope.min() < 0:
        raise ValueError("discrimination must not be below zero")
    noisy = (slope[:, None] if slope.ndim else slope) * values + rng.gumbel(size=values.shape)
    return np.argsort(-noisy, axis=1) + 1
