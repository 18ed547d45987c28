"""Contrasts of means against a case worked by hand, a t-test, a bootstrap of queries and simulated judges."""

import numpy as np
import pytest
from scipy import stats

from valueflow.comparison.contrasts import JudgeErrors, cluster_sums, estimate_contrasts, slope_weights


def test_a_difference_worked_by_hand() -> None:
    # Two queries in both jobs, a third in the first job alone.
    job = np.array([0, 0, 0, 1, 1])
    query = np.array([0, 1, 2, 0, 1])
    influence = np.array([0.5, -0.2, -0.3, 0.1, -0.1])
    sums, present = cluster_sums(job, query, influence, 2, 3)
    errors = JudgeErrors(
        judge=np.zeros(2, dtype=np.intp),
        beta_shift=np.array([0.3, 0.1]),
        anchors=np.array([50.0, 50.0]),
        anchor_mean=np.array([1.0, 1.0]),
        anchor_squares=np.array([400.0, 400.0]),
        misreading=np.array([2.0, 2.0]),
        floor=np.array([0.05, 0.02]),
    )
    found = estimate_contrasts(np.array([[1.0, -1.0]]), np.array([5.0, 2.0]), sums, present, errors)
    # d = (.4, -.1, -.3); 3/2 (.16 + .01 + .09) + (.3 - .1)^2 + 4 * 3^2 / 400, and the floors
    variance = 0.39 + 0.04 + 0.09 + 0.07
    assert found.estimate[0] == pytest.approx(3.0)
    assert found.se[0] == pytest.approx(np.sqrt(variance))
    assert found.clusters[0] == 3
    half = 4.302653 * np.sqrt(variance)  # t with 2 degrees of freedom, from a printed table
    assert (found.low[0], found.high[0]) == pytest.approx((3 - half, 3 + half), abs=1e-5)
    assert found.p[0] == pytest.approx(2 * stats.t.sf(3 / np.sqrt(variance), 2))


def test_different_judges_do_not_cancel() -> None:
    sums, present = np.zeros((2, 5)), np.ones((2, 5), dtype=bool)
    both = {"beta_shift": np.array([0.3, 0.1]), "anchors": np.array([50.0, 20.0])}
    both |= {"anchor_mean": np.array([1.0, 0.0]), "anchor_squares": np.array([400.0, 100.0])}
    errors = JudgeErrors(judge=np.array([0, 1]), misreading=np.array([2.0, 1.0]), floor=np.zeros(2), **both)
    found = estimate_contrasts(np.array([[1.0, -1.0], [1.0, 0.0]]), np.array([5.0, 2.0]), sums, present, errors)
    first, second = 4 * (1 / 50 + 16 / 400) + 0.09, 1 * (1 / 20 + 4 / 100) + 0.01
    assert found.se == pytest.approx(np.sqrt([first + second, first]))


def test_paired_jobs_give_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (2, 40)) + rng.normal(0, 3, 40)
    job, query = np.repeat([0, 1], 40), np.tile(np.arange(40), 2)
    influence = ((scores - scores.mean(axis=1, keepdims=True)) / 40).ravel()
    sums, present = cluster_sums(job, query, influence, 2, 40)
    found = estimate_contrasts(np.array([[1.0, -1.0]]), scores.mean(axis=1), sums, present, JudgeErrors.none(2))
    expected = stats.ttest_rel(scores[0], scores[1])
    interval = expected.confidence_interval()
    assert found.p[0] == pytest.approx(expected.pvalue)
    assert (found.low[0], found.high[0]) == pytest.approx((interval.low, interval.high))


def test_a_slope_has_the_error_that_a_bootstrap_of_queries_finds() -> None:
    rng = np.random.default_rng(1)
    levels, n_queries = np.array([-2.0, 0, 1, 2]), 60
    # Unequal numbers of responses, correlated within queries, and slopes that differ between queries.
    query = np.concatenate([np.sort(rng.integers(0, n_queries, 100)) for _ in levels])
    job = np.repeat(np.arange(4), 100)
    place, slope = rng.normal(0, 2, n_queries), rng.normal(0.5, 0.5, n_queries)
    score = place[query] + slope[query] * levels[job] + rng.normal(0, 1, 400)

    def mean_slope(rows: np.ndarray) -> float:
        means = [score[rows][job[rows] == number].mean() for number in range(4)]
        return float(np.polyfit(levels, means, 1)[0])

    means = np.array([score[job == number].mean() for number in range(4)])
    influence = (score - means[job]) / 100
    sums, present = cluster_sums(job, query, influence, 4, n_queries)
    found = estimate_contrasts(slope_weights(levels)[None], means, sums, present, JudgeErrors.none(4))
    rows_of = [np.flatnonzero(query == number) for number in range(n_queries)]
    drawn = [
        mean_slope(np.concatenate([rows_of[number] for number in rng.integers(0, n_queries, n_queries)]))
        for _ in range(2000)
    ]
    assert found.estimate[0] == pytest.approx(mean_slope(np.arange(400)))
    # The bootstrap's own error is 1.6%, and its variance lacks the factor G/(G-1).
    assert found.se[0] == pytest.approx(np.std(drawn), rel=0.08)


def test_jobs_that_a_contrast_is_not_about_change_nothing() -> None:
    rng = np.random.default_rng(2)
    sums, present = rng.normal(0, 1, (3, 10)), np.ones((3, 10), dtype=bool)
    present[2, 5:] = False
    means, errors = np.array([1.0, 2.0, 9.0]), JudgeErrors.none(3)
    with_third = estimate_contrasts(np.array([[1.0, -1.0, 0.0]]), means, sums, present, errors)
    alone = estimate_contrasts(np.array([[1.0, -1.0]]), means[:2], sums[:2], present[:2], JudgeErrors.none(2))
    assert (with_third.se[0], with_third.p[0], with_third.clusters[0]) == (alone.se[0], alone.p[0], alone.clusters[0])


def test_one_query_has_no_error_and_equal_jobs_no_difference() -> None:
    one = estimate_contrasts(
        np.array([[1.0, -1.0]]),
        np.array([1.0, 2.0]),
        np.zeros((2, 1)),
        np.ones((2, 1), dtype=bool),
        JudgeErrors.none(2),
    )
    assert one.estimate[0] == -1
    assert np.isnan([one.se[0], one.low[0], one.p[0]]).all()
    equal = estimate_contrasts(
        np.array([[1.0, -1.0]]), np.array([1.0, 1.0]), np.ones((2, 9)), np.ones((2, 9), dtype=bool), JudgeErrors.none(2)
    )
    assert (equal.se[0], equal.p[0]) == (0, 1)


def test_an_interval_is_cut_to_what_the_scale_allows() -> None:
    sums = np.array([[3.0, -3.0], [-3.0, 3.0]])
    found = estimate_contrasts(
        np.array([[1.0, -1.0]]), np.array([9.0, -9.0]), sums, np.ones((2, 2), dtype=bool), JudgeErrors.none(2)
    )
    cut = found.within(np.array([20.0]))
    assert found.high[0] > 20
    assert (cut.low[0], cut.high[0]) == (-20, 20)
    assert (cut.estimate[0], cut.p[0]) == (found.estimate[0], found.p[0])


def test_a_response_without_a_score_does_not_count() -> None:
    sums, present = cluster_sums(np.array([0, 0]), np.array([0, 1]), np.array([0.5, np.nan]), 1, 2)
    assert sums.tolist() == [[0.5, 0.0]]
    assert present.tolist() == [[True, False]]


def test_queries_that_all_differ_alike_do_not_tell_how_far_a_difference_varies() -> None:
    means, sums = np.array([5.0, 4.0, 4.0]), np.zeros((3, 6))
    weights = np.array([[1.0, -1, 0], [0, 1, -1]])
    found = estimate_contrasts(weights, means, sums, np.ones((3, 6), dtype=bool), JudgeErrors.none(3))
    assert found.estimate.tolist() == [1, 0]
    assert np.isnan([found.se[0], found.low[0], found.high[0], found.p[0]]).all()
    assert (found.se[1], found.low[1], found.high[1], found.p[1]) == (0, 0, 0, 1)
