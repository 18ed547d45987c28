"""Scales: monotone, fixed at neutral texts, and known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from valueflow.construction.calibration import isotonic_scale, symmetric_scale

EXACT = np.zeros(1)


def intensity(scale: object, utility: list[float] | np.ndarray) -> np.ndarray:
    places = np.asarray(utility, dtype=float)
    return scale.rate(places, np.zeros_like(places))[0]  # type: ignore[attr-defined]


@given(st.integers(0, 500), st.integers(2, 60), st.booleans())
def test_scales_are_monotone_and_within_bounds(seed: int, n: int, has_neutral: bool) -> None:
    draws = np.random.default_rng(seed)
    utility = np.sort(draws.normal(0, 2, n))
    rating = np.clip(utility * 3 + draws.normal(0, 2, n), -10, 10)
    neutral = draws.normal(0, 0.5, 3) if has_neutral else None
    places = np.linspace(-9, 9, 400)
    scales = [symmetric_scale(utility, neutral)]
    if n > 10 and np.corrcoef(utility, rating)[0, 1] > 0.5:
        scales.append(isotonic_scale(utility, rating, neutral))
    for scale in scales:
        found, errors = scale.rate(places, np.full(400, 0.4))
        assert (np.diff(found) >= -1e-12).all()
        assert found.min() >= -10
        assert found.max() <= 10
        assert (errors >= -1e-12).all()
        if has_neutral:
            assert intensity(scale, [float(np.median(neutral))])[0] == pytest.approx(0, abs=1e-9)  # type: ignore[arg-type]


def test_isotonic_at_the_middles_of_its_steps_equals_scikit_learn() -> None:
    draws = np.random.default_rng(3)
    utility = draws.normal(0, 2, 200)
    rating = np.clip(np.round(utility * 2 + draws.normal(0, 2, 200)), -10, 10)
    scale = isotonic_scale(utility, rating)
    theirs = IsotonicRegression().fit(utility, rating).predict(scale.utilities)
    assert scale.intensities == pytest.approx(theirs, abs=1e-9)


def test_a_straight_relation_is_found_again() -> None:
    utility = np.linspace(-3, 3, 31)
    scale = isotonic_scale(utility, 3 * utility)
    assert intensity(scale, [-2.0, 0.05, 3.2, 9.0]) == pytest.approx([-6, 0.15, 9.6, 10])
    assert scale.rate(np.array([0.0, 9.0]), np.array([0.5, 0.5]))[1] == pytest.approx([1.5, 0.0])


def test_neutral_texts_are_at_zero_and_divide_the_sides() -> None:
    utility = np.array([-2.0, -1.0, 0.5, 2.0, 3.0])
    rating = np.array([-8.0, -4.0, 1.0, 5.0, 9.0])
    scale = isotonic_scale(utility, rating, neutral=np.array([0.9, 1.0, 1.2]))
    # The middle is 1.0: the text at 0.5 lies below it, so it cannot count as above 0.
    assert intensity(scale, [-2.0, -1.0, 1.0, 2.0, 3.0]) == pytest.approx([-8, -4, 0, 5, 9])
    assert intensity(scale, [0.0])[0] < 0


def test_the_symmetric_rule_by_hand() -> None:
    utility = np.concatenate([np.linspace(-4, 0, 101), np.linspace(0, 2, 101)])
    scale = symmetric_scale(utility)
    assert intensity(scale, [0.0]) == pytest.approx([0])
    # 98% of the lower side's texts lie above -3.92 or so, of the upper side's below 1.96.
    low, high = scale.utilities[0], scale.utilities[-1]
    assert (low, high) == pytest.approx((-3.92, 1.96), abs=0.02)
    assert intensity(scale, [low / 2, high / 2, -9.0, 9.0]) == pytest.approx([-5, 5, -10, 10])


def test_neutral_texts_at_one_end() -> None:
    scale = symmetric_scale(np.array([1.0, 2.0, 3.0]), neutral=np.array([0.0]))
    assert intensity(scale, [0.0, -2.96]) == pytest.approx([0, -10], abs=0.05)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(ValueError, match="does not order these texts"):
        isotonic_scale(np.array([0.0, 1.0, 2.0]), np.array([3.0, 2.0, 1.0]))
    with pytest.raises(ValueError, match="all utilities are alike"):
        symmetric_scale(np.ones(4))
