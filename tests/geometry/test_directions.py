"""Directions of values and their reliability, against draws from known populations."""

import numpy as np
import pytest

from valueflow.geometry.directions import Sides, direction, reliability, resampled
from valueflow.geometry.intervals import intervals
from valueflow.geometry.similarity import Floats, cosine_matrix


def drawn(true: Floats, n: int, rng: np.random.Generator) -> Sides:
    """Draw n texts of each side of a true direction, with noise of sd 1 in each dimension."""
    return Sides(true / 2 + rng.normal(size=(n, len(true))), -true / 2 + rng.normal(size=(n, len(true))))


def test_a_direction_is_the_difference_of_means() -> None:
    sides = Sides(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 1.0]]))
    assert direction(sides).tolist() == [2.0, 2.0]
    assert np.isnan(reliability(sides))


def test_reliability_is_the_squared_cosine_with_the_truth() -> None:
    rng = np.random.default_rng(0)
    true = np.zeros(50)
    true[0] = 3.0
    sides = [drawn(true, 10, rng) for _ in range(300)]
    found = np.array([direction(own) for own in sides])
    cosines = found[:, 0] / np.linalg.norm(found, axis=1)
    # Length 9 of the truth, and 50 dimensions with variance 2 / 10: 9 / 19.
    assert np.mean(cosines**2) == pytest.approx(9 / 19, abs=0.02)
    assert np.mean([reliability(own) for own in sides]) == pytest.approx(9 / 19, abs=0.02)


def test_texts_that_do_not_differ_have_no_reliability() -> None:
    rng = np.random.default_rng(1)
    found = [reliability(drawn(np.zeros(50), 10, rng)) for _ in range(200)]
    assert np.median(found) < 0.1


def test_draws_vary_as_means_do() -> None:
    rng = np.random.default_rng(2)
    sides = [drawn(np.ones(3), 40, rng), drawn(np.zeros(3), 7, rng)]
    found = np.concatenate(list(resampled(sides, 4000, seed=0)))
    assert found.shape == (4000, 2, 3)
    assert found.mean(axis=0) == pytest.approx(np.array([direction(own) for own in sides]), abs=0.05)
    expected = [
        own.supporting.var(axis=0) / len(own.supporting) + own.opposing.var(axis=0) / len(own.opposing) for own in sides
    ]
    assert found.var(axis=0) == pytest.approx(np.array(expected), rel=0.15)


def test_draws_are_the_same_whatever_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [drawn(np.ones(4), 9, np.random.default_rng(seed)) for seed in range(3)]
    whole = np.concatenate(list(resampled(sides, 50, seed=7)))
    monkeypatch.setattr("valueflow.geometry.directions._BLOCK", 3 * 4 * 7)
    assert np.allclose(np.concatenate(list(resampled(sides, 50, seed=7))), whole, rtol=0, atol=1e-12)


def test_intervals_hold_the_true_cosine() -> None:
    rng = np.random.default_rng(3)
    true = np.array([[4.0, 0, 0, 0], [2.4, 3.2, 0, 0], [0, -4.0, 0, 0]])
    known = cosine_matrix(true)
    steps = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0.0]])
    held, lengths = [], []
    for seed in range(100):
        sides = [drawn(own, 20, rng) for own in true]
        found = cosine_matrix(np.array([direction(own) for own in sides]))
        spans = intervals(sides, found, steps, seed)
        held.append((spans.low <= known) & (known <= spans.high))
        lengths.append(spans.high - spans.low)
    pairs = np.triu_indices(3, 1)
    assert 0.88 <= np.mean(held, axis=0)[pairs].mean() <= 1
    assert np.mean(lengths, axis=0)[pairs].max() < 0.6


def test_vectors_alone_have_no_intervals() -> None:
    cosines = cosine_matrix(np.eye(3))
    spans = intervals(None, cosines, 1 - np.eye(3), 0)
    assert np.isnan(spans.low).all()
    assert np.isnan(spans.correlation).all()


def test_a_single_text_says_nothing_of_how_far_texts_differ() -> None:
    rng = np.random.default_rng(4)
    sides = [drawn(rng.normal(size=3), n, rng) for n in (1, 9, 9)]
    cosines = cosine_matrix(np.array([direction(own) for own in sides]))
    spans = intervals(sides, cosines, np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0.0]]), 0)
    assert np.isnan(spans.low[0, 1])
    assert spans.low[1, 2] <= cosines[1, 2] <= spans.high[1, 2]
    assert np.isnan(spans.correlation[0])
