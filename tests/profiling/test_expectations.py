"""Expectations over distributions of answers, against a case worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from valueflow.profiling.expectations import expected_intensity, mean_expectation

SHARES = np.array([[0.5, 0.3, 0.2], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
INTENSITY = np.array([[8.0, 0.0, -6.0], [4.0, -4.0, np.nan], [1.0, 2.0, np.nan]])


def test_a_case_worked_by_hand() -> None:
    expected = expected_intensity(SHARES, INTENSITY)
    # .5 * 8 + .2 * -6 = 2.8; .25 * 4 - .75 * 4 = -2; all chose an option without an intensity.
    np.testing.assert_allclose(expected, [2.8, -2.0, np.nan])
    found = mean_expectation(expected, np.arange(3), np.ones(3))
    assert found.mean == pytest.approx(0.4)
    assert found.questions == 2
    # Two questions 4.8 apart: standard error 2.4, t with one degree of freedom.
    assert found.se == pytest.approx(2.4)
    assert found.half_width == pytest.approx(12.706204736 * 2.4)


def test_options_without_an_intensity_do_not_count() -> None:
    shares = np.array([[0.2, 0.2, 0.6]])
    assert expected_intensity(shares, np.array([[5.0, -1.0, np.nan]])) == pytest.approx(2.0)


@given(st.floats(1e-3, 1e6))
def test_counts_are_as_good_as_shares(times: float) -> None:
    np.testing.assert_allclose(expected_intensity(SHARES * times, INTENSITY), expected_intensity(SHARES, INTENSITY))


def test_the_interval_is_student_s_where_each_question_was_asked_once() -> None:
    expected = np.random.default_rng(0).normal(1, 2, 25)
    found = mean_expectation(expected, np.arange(25), np.full(25, 3.0))
    low, high = stats.t.interval(0.95, 24, expected.mean(), stats.sem(expected))
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


def test_a_question_asked_twice_is_one_cluster() -> None:
    expected = np.random.default_rng(1).normal(1, 2, 10)
    twice = mean_expectation(np.repeat(expected, 2), np.repeat(np.arange(10), 2), np.ones(20))
    once = mean_expectation(expected, np.arange(10), np.ones(10))
    assert (twice.mean, twice.se, twice.questions) == pytest.approx((once.mean, once.se, 10))


def test_weights_count_as_repetitions_do() -> None:
    expected = np.array([1.0, 4.0, -2.0])
    weighted = mean_expectation(expected, np.arange(3), np.array([2.0, 1.0, 0.0]))
    assert weighted.mean == pytest.approx(2.0)
    assert np.isnan(weighted.influence[2])
    assert np.isnan(mean_expectation(expected, np.arange(3), np.zeros(3)).mean)
