"""Cosines, scaling and the Mantel test, against literal readings, other libraries and planted geometry."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cosine, pdist, squareform
from scipy.stats import kstest, spearmanr

from valueflow.geometry.similarity import (
    Floats,
    chord_distances,
    cosine_matrix,
    mantel_test,
    rank_correlation,
    scaled,
    turned,
)


def around_a_circle(n: int, dimension: int = 8, seed: int = 0) -> Floats:
    """Return n directions evenly around a circle, in a plane of a space; their lengths differ."""
    rng = np.random.default_rng(seed)
    plane = np.linalg.qr(rng.normal(size=(dimension, 2)))[0]
    angles = 2 * np.pi * np.arange(n) / n
    lengths = rng.uniform(0.1, 10, size=(n, 1))
    return lengths * np.column_stack([np.cos(angles), np.sin(angles)]) @ plane.T


def steps_around(n: int) -> Floats:
    steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.minimum(steps, n - steps).astype(float)


def random_vectors(n: int, dimension: int = 5, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, dimension))


@given(arrays(np.float64, (5, 3), elements=st.floats(-1e6, 1e6)).filter(lambda vectors: (vectors != 0).any(1).all()))
def test_cosines_are_those_of_scipy(vectors: Floats) -> None:
    found = cosine_matrix(vectors)
    scale = np.abs(vectors).max(axis=1, keepdims=True)
    for i, j in combinations(range(5), 2):
        assert found[i, j] == pytest.approx(1 - cosine(vectors[i] / scale[i], vectors[j] / scale[j]), abs=1e-9)
    assert (found == found.T).all()
    assert (np.diag(found) == 1).all()


def test_stacks_of_vectors_give_stacks_of_cosines() -> None:
    stack = np.random.default_rng(1).normal(size=(4, 6, 3))
    assert np.allclose(cosine_matrix(stack), [cosine_matrix(vectors) for vectors in stack], rtol=0, atol=1e-15)


def test_tiny_and_huge_vectors_have_directions() -> None:
    vectors = np.array([[1e-200, 1e-200], [1e200, 0.0]])
    assert cosine_matrix(vectors)[0, 1] == pytest.approx(np.sqrt(0.5))


def test_distances_are_those_of_points_on_a_sphere() -> None:
    vectors = random_vectors(7)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(chord_distances(cosine_matrix(vectors)), squareform(pdist(units)), atol=1e-7)


@pytest.mark.parametrize("n", [4, 7, 12])
def test_vectors_on_a_circle_correlate_perfectly(n: int) -> None:
    cosines = cosine_matrix(around_a_circle(n))
    assert rank_correlation(cosines, steps_around(n)) == pytest.approx(1, abs=1e-12)
    stored = around_a_circle(n).astype(np.float32).astype(np.float64)
    assert rank_correlation(cosine_matrix(stored), steps_around(n)) == pytest.approx(1, abs=1e-12)


def test_scaling_finds_the_circle() -> None:
    points, share = scaled(chord_distances(cosine_matrix(around_a_circle(12))))
    assert share == pytest.approx(1)
    angles = 2 * np.pi * np.arange(12) / 12
    circle = np.column_stack([np.sin(angles), np.cos(angles)])
    assert np.allclose(turned(points, circle), circle, atol=1e-6)


def test_scaling_shows_what_principal_components_do() -> None:
    points = random_vectors(9, 4)
    distances = squareform(pdist(points))
    shown, share = scaled(distances)
    sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    assert share == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum())
    assert np.linalg.norm(shown, axis=0) == pytest.approx(sizes[:2])


def test_points_on_a_line_are_scaled_to_it() -> None:
    places = np.array([[0.0], [1.0], [3.0]])
    points, share = scaled(squareform(pdist(places)))
    assert share == pytest.approx(1)
    assert np.allclose(pdist(points), pdist(places), atol=1e-6)


def test_turning_changes_no_distance() -> None:
    points, targets = random_vectors(6, 2), random_vectors(6, 2, seed=1)
    found = turned(points, targets)
    assert pdist(found) == pytest.approx(pdist(points))
    errors = [
        ((points @ np.array([[np.cos(a), -s * np.sin(a)], [np.sin(a), s * np.cos(a)]]) - targets) ** 2).sum()
        for a in np.linspace(0, 2 * np.pi, 721)
        for s in (1, -1)
    ]
    shifted = targets - targets.mean(axis=0)
    assert ((found - targets) ** 2).sum() <= min(errors) + ((targets - shifted) ** 2).sum()


def correlation_of_pairs(distances: Floats, known: Floats) -> float:
    pairs = list(combinations(range(len(known)), 2))
    return float(spearmanr([distances[i, j] for i, j in pairs], [known[i, j] for i, j in pairs]).statistic)


def test_the_exact_test_is_that_of_every_permutation() -> None:
    for seed in range(5):
        cosines, known = cosine_matrix(random_vectors(5, seed=seed)), steps_around(5)
        found = mantel_test(cosines, known, 9999, np.random.default_rng(0))
        distances = chord_distances(cosines)
        observed = correlation_of_pairs(distances, known)
        literal = [correlation_of_pairs(distances, known[np.ix_(order, order)]) for order in permutations(range(5))]
        assert found.exact
        assert found.permutations == 120
        assert found.correlation == pytest.approx(observed)
        assert found.p == pytest.approx(np.mean(np.array(literal) >= observed - 1e-9))
        # Ten turns and mirrorings leave a circle of five as it is.
        assert found.least_p == pytest.approx(10 / 120)


def test_drawn_permutations_come_near_all_of_them() -> None:
    cosines, known = cosine_matrix(random_vectors(7, seed=3)), steps_around(7)
    exact = mantel_test(cosines, known, 5040, np.random.default_rng(0))
    drawn = mantel_test(cosines, known, 5039, np.random.default_rng(0))
    assert exact.exact
    assert not drawn.exact
    assert drawn.correlation == exact.correlation
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p * (1 - exact.p) / 5039))


def test_a_planted_circle_is_found() -> None:
    found = mantel_test(cosine_matrix(around_a_circle(12)), steps_around(12), 999, np.random.default_rng(0))
    assert found.correlation == pytest.approx(1)
    assert found.p == found.least_p == 1 / 1000


def test_shuffled_circles_have_uniform_p() -> None:
    rng = np.random.default_rng(0)
    found = []
    for seed in range(400):
        vectors = around_a_circle(12, seed=seed) / 5 + rng.normal(scale=0.3, size=(12, 8))
        cosines = cosine_matrix(rng.permutation(vectors))
        found.append(mantel_test(cosines, steps_around(12), 499, np.random.default_rng(seed)).p)
    assert kstest(found, "uniform").pvalue > 0.01


def test_equal_distances_tell_nothing() -> None:
    equal = np.ones((5, 5)) - np.eye(5)
    found = mantel_test(cosine_matrix(random_vectors(5)), equal, 99, np.random.default_rng(0))
    assert np.isnan([found.correlation, found.p, found.least_p]).all()
    assert np.isnan(rank_correlation(cosine_matrix(random_vectors(5)), equal))


@given(st.integers(0, 10_000))
def test_lengths_and_names_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, known = rng.normal(size=(6, 4)), steps_around(6)
    order = rng.permutation(6)
    plain = rank_correlation(cosine_matrix(vectors), known)
    longer = vectors * rng.uniform(0.1, 10, size=(6, 1))
    assert rank_correlation(cosine_matrix(longer), known) == pytest.approx(plain, abs=1e-9)
    renamed = rank_correlation(cosine_matrix(vectors[order]), known[np.ix_(order, order)])
    assert renamed == pytest.approx(plain, abs=1e-9)
