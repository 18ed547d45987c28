"""Differences from all groups together, against textbook intervals, the jackknife and simulation."""

import numpy as np
import pytest
from scipy import stats

from valueflow.profiling.differences import GroupEstimate, differences_from_all


def group_of(values: np.ndarray, clusters: np.ndarray) -> GroupEstimate:
    return GroupEstimate(float(values.mean()), (values - values.mean()) / len(values), clusters)


def test_two_groups_of_single_texts_have_the_interval_of_half_their_difference() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(2, 1, 12), rng.normal(0, 1, 12)
    found = differences_from_all([group_of(one, np.arange(12)), group_of(other, 12 + np.arange(12))])
    error = np.sqrt(one.var(ddof=1) / 12 + other.var(ddof=1) / 12) / 2
    half = (one.mean() - other.mean()) / 2
    np.testing.assert_allclose(found.estimate, [half, -half])
    np.testing.assert_allclose(found.high - found.estimate, stats.t.ppf(0.975, 11) * error)
    np.testing.assert_allclose(found.p, 2 * stats.t.sf(half / error, 11))


def test_questions_that_all_groups_answered_cancel() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 5, 20)
    clusters = np.arange(20)
    groups = [group_of(shared + shift, clusters) for shift in (0.0, 1.0, 2.0)]
    exact = differences_from_all(groups)
    np.testing.assert_allclose(exact.estimate, [-1, 0, 1], atol=1e-12)
    assert np.isnan(exact.p).all()  # nothing varies
    noisy = [group_of(shared + shift + rng.normal(0, 0.1, 20), clusters) for shift in (0.0, 1.0, 2.0)]
    found = differences_from_all(noisy)
    table = np.array([group.influence * 20 + group.mean for group in noisy])
    paired = table - table.mean(axis=0)
    for number in range(3):
        expected = stats.t.interval(0.95, 19, paired[number].mean(), stats.sem(paired[number]))
        assert (found.low[number], found.high[number]) == pytest.approx(expected)


def test_what_the_influences_fall_short_of_and_the_scale_are_added() -> None:
    rng = np.random.default_rng(3)
    groups = [group_of(rng.normal(0, 1, 10), 10 * number + np.arange(10)) for number in range(2)]
    plain = differences_from_all(groups)
    variance = (plain.high - plain.estimate)[0] ** 2 / stats.t.ppf(0.975, 9) ** 2
    own = [10 / 9 * (group.influence**2).sum() for group in groups]
    wider = [
        GroupEstimate(group.mean, group.influence, group.cluster, own[number] + 0.5, beta_shift=0.2 * number)
        for number, group in enumerate(groups)
    ]
    found = differences_from_all(wider, scale_variance=0.3)
    expected = variance + 2 * 0.25 * 0.5 + (0.5 * 0.2) ** 2 + plain.estimate[0] ** 2 * 0.3
    assert (found.high - found.estimate)[0] ** 2 / stats.t.ppf(0.975, 9) ** 2 == pytest.approx(expected)


def test_groups_without_a_mean_take_no_part_and_one_text_tells_no_interval() -> None:
    nothing = GroupEstimate(np.nan, np.full(3, np.nan), np.arange(3))
    values = np.array([1.0, 2.0, 4.0])
    one = group_of(np.array([5.0]), np.array([9]))
    found = differences_from_all([nothing, group_of(values, 3 + np.arange(3)), one])
    assert np.isnan(found.estimate[0])
    assert found.estimate[1] == pytest.approx((7 / 3 - 5) / 2)
    assert np.isnan(found.low[2])
    assert np.isnan(differences_from_all([nothing, one]).estimate).all()


def test_equal_groups_are_told_apart_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(4)
    n, groups = 30, 3
    p = np.concatenate(
        [
            differences_from_all(
                [group_of(rng.normal(0, 1, n), n * number + np.arange(n)) for number in range(groups)]
            ).p
            for _ in range(300)
        ]
    )
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.025)
