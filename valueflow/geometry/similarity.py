"""How near vectors are to one another, where scaling puts them, and whether that follows distances of a theory."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations as orders
from math import factorial

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DECIMALS = 6
"""Cosines that agree to as many are ties: vectors are mostly stored in single precision, which holds seven digits."""

_BLOCK = 1 << 22
"""Entries of an array of permutations at most."""

_EQUAL = 1e-9
"""Correlations that differ by less are equal."""


def cosine_matrix(vectors: Floats) -> Floats:
    """Return the cosines of vectors with one another.

    Parameters
    ----------
    vectors
        (..., V, D), none of length 0.

    Returns
    -------
    (..., V, V) symmetric array with ones on the diagonal
    """
    # The square of a tiny number would be 0.
    moderate = vectors / np.abs(vectors).max(axis=-1, keepdims=True)
    units = moderate / np.linalg.norm(moderate, axis=-1, keepdims=True)
    cosines = np.clip(units @ np.swapaxes(units, -1, -2), -1.0, 1.0)
    cosines = (cosines + np.swapaxes(cosines, -1, -2)) / 2
    diagonal = np.arange(vectors.shape[-2])
    cosines[..., diagonal, diagonal] = 1.0
    return np.asarray(cosines)


def chord_distances(cosines: Floats) -> Floats:
    """Return the Euclidean distances, from 0 to 2, of vectors of length 1 with these cosines: sqrt(2 - 2 cos)."""
    return np.sqrt(2.0 - 2.0 * cosines)


def scaled(distances: Floats) -> tuple[Floats, float]:
    """Place points in a plane by classical multidimensional scaling (Torgerson 1952).

    Parameters
    ----------
    distances
        (V, V) symmetric, with zeros on the diagonal.

    Returns
    -------
    points
        (V, 2), their mean at the origin.
    share
        Of the squared distances, how much the plane shows; 1 where the points lie in a plane. NaN where all are one.
    """
    from sklearn.manifold import ClassicalMDS  # here: a second to import

    scaling = ClassicalMDS(n_components=2, metric="precomputed")
    with np.errstate(invalid="ignore"):
        points = np.nan_to_num(scaling.fit_transform(distances))  # points on a line: the root of a rounding error
    total = float((distances**2).sum()) / (2 * len(distances))
    share = float(np.clip(scaling.eigenvalues_, 0.0, None).sum()) / total if total > 0 else float("nan")
    return points, share


def turned(points: Floats, targets: Floats) -> Floats:
    """Turn and mirror points about the origin so that they lie nearest to targets (orthogonal Procrustes problem).

    Parameters
    ----------
    points, targets
        (V, 2). No distance between points changes.
    """
    from scipy.linalg import orthogonal_procrustes

    turn: Floats = orthogonal_procrustes(points, targets - targets.mean(axis=0))[0]
    return points @ turn


def rank_correlation(cosines: Floats, distances: Floats) -> Floats:
    """Correlate how far apart vectors are with known distances, over all pairs, by Spearman's coefficient.

    Parameters
    ----------
    cosines
        (..., V, V); the smaller, the farther apart. Those that agree to `DECIMALS` are ties.
    distances
        (V, V) known ones.

    Returns
    -------
    (...) array
        NaN where the cosines, or the distances, are all equal.
    """
    own, known = _centered_ranks(_farness(cosines)), _centered_ranks(_of_pairs(distances))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations: Floats = own @ known / (np.linalg.norm(own, axis=-1) * np.linalg.norm(known))
    return correlations


@dataclass(frozen=True)
class MantelTest:
    """Whether two sets of distances between the same things go together more than chance makes them.

    Attributes
    ----------
    correlation
        Spearman's over pairs; NaN where one set of distances is all equal.
    p
        One-sided: share of the assignments of names, the given one among them, with a correlation at least as high.
    least_p
        The p that a perfect correlation would have. Above 0.05, there are too few things for a test.
    permutations
        Assignments that were looked at.
    exact
        Whether these are all that there are.
    """

    correlation: float
    p: float
    least_p: float
    permutations: int
    exact: bool


def mantel_test(cosines: Floats, distances: Floats, permutations: int, rng: np.random.Generator) -> MantelTest:
    """Test a rank correlation of distances by giving the things each other's names (Mantel 1967).

    Parameters
    ----------
    cosines, distances
        (V, V) each, as for `rank_correlation`.
    permutations
        Random ones to draw. Where there are no more than as many in all, each is taken once, and nothing is drawn.
    rng
        Source of the draws.
    """
    n = len(cosines)
    first, second = np.triu_indices(n, 1)
    own = _centered_ranks(_farness(cosines))
    known = np.zeros((n, n))
    known[first, second] = _centered_ranks(_of_pairs(distances))
    known += known.T
    pairs, scale = known[first, second], float(np.linalg.norm(own) * np.linalg.norm(known[first, second]))
    exact = factorial(n) <= permutations
    drawn = factorial(n) if exact else permutations
    if scale == 0:
        nan = float("nan")
        return MantelTest(nan, nan, nan, drawn, exact)
    as_high = perfect = 0
    for block in _permutations(n, permutations, rng, exact=exact):
        permuted = known[block[:, first], block[:, second]]
        as_high += int((permuted @ own >= own @ pairs - _EQUAL * scale).sum())
        perfect += int((permuted @ pairs >= (1 - _EQUAL) * (pairs @ pairs)).sum())
    # All of them include the given assignment; drawn ones do not (Phipson and Smyth 2010).
    more = 0 if exact else 1
    return MantelTest(
        correlation=float(own @ pairs) / scale,
        p=(as_high + more) / (drawn + more),
        least_p=(perfect + more) / (drawn + more),
        permutations=drawn,
        exact=exact,
    )


def _permutations(n: int, drawn: int, rng: np.random.Generator, *, exact: bool) -> Iterator[Indices]:
    """Give out permutations of n things, (B, n) at a time: all there are, or as many as are to be drawn."""
    if exact:
        yield np.array(list(orders(range(n))), dtype=np.intp)
        return
    step = max(_BLOCK // (n * n), 1)
    for start in range(0, drawn, step):
        rows = np.tile(np.arange(n), (min(step, drawn - start), 1))
        yield rng.permuted(rows, axis=1)


def _farness(cosines: Floats) -> Floats:
    return -np.round(_of_pairs(cosines), DECIMALS)


def _of_pairs(matrix: Floats) -> Floats:
    """Return what stands above the diagonal of (..., V, V): (..., V (V - 1) / 2)."""
    first, second = np.triu_indices(matrix.shape[-1], 1)
    entries: Floats = matrix[..., first, second]
    return entries


def _centered_ranks(figures: Floats) -> Floats:
    """Return mean ranks along the last axis, less their mean."""
    from scipy.stats import rankdata  # here: half a second to import

    ranks = rankdata(figures, axis=-1)
    return np.asarray(ranks - ranks.mean(axis=-1, keepdims=True), dtype=np.float64)
