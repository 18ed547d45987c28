"""Means, intervals and tests by question: against statsmodels, enumeration, a bootstrap of questions, and by hand."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from tests.examples import examples
from valueflow.opinionqa.accuracy import compare
from valueflow.statistics import cluster_codes, clustered_mean, clustered_share, holm, sign_flip_p

Codes = npt.NDArray[np.int64]

CLUSTERED = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-1, 1), min_size=n, max_size=n), st.lists(st.integers(0, 9), min_size=n, max_size=n)
    )
)


def simulated(questions: int, groups: int, correlation: float, seed: int) -> tuple[npt.NDArray[np.float64], Codes]:
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((questions, 1))
    values = correlation**0.5 * shared + (1 - correlation) ** 0.5 * rng.standard_normal((questions, groups))
    return values.ravel() / 10, np.repeat(np.arange(questions), groups)


@settings(max_examples=examples(60))
@given(CLUSTERED)
def test_the_interval_is_that_of_a_clustered_regression_on_nothing(drawn: tuple[list[float], list[int]]) -> None:
    values, clusters = np.array(drawn[0]), np.array(drawn[1])
    got = clustered_mean(values, clusters, lowest=-np.inf, highest=np.inf)
    assert got.mean == pytest.approx(values.mean())
    n, many = len(values), len(set(drawn[1]))
    sums = [
        math.fsum(value - got.mean for value, mine in zip(*drawn, strict=True) if mine == one) for one in {*drawn[1]}
    ]
    error = math.sqrt(many / (many - 1) * math.fsum(total**2 for total in sums)) / n if many > 1 else 0
    if error < 1e-11:
        assert math.isnan(got.low) or error > 1e-13
        return
    assert (got.high - got.low) / 2 == pytest.approx(stats.t.ppf(0.975, many - 1) * error, rel=1e-6)
    # statsmodels multiplies by (n - 1) / (n - 1) for its one parameter, so its variance is the same.
    fitted = sm.OLS(values, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    assert (got.low, got.high) == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-5, abs=1e-9)
    assert got.p == pytest.approx(float(fitted.pvalues[0]), rel=1e-4, abs=1e-9)


def test_where_each_question_stands_once_it_is_the_t_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.2, 25)
    got = clustered_mean(values, np.arange(25))
    test = stats.ttest_1samp(values, 0)
    assert (got.low, got.high, got.p) == pytest.approx((*test.confidence_interval(0.95), test.pvalue))


def test_the_standard_error_is_that_of_a_bootstrap_of_questions() -> None:
    values, clusters = simulated(80, 22, 0.5, seed=1)
    by_question = values.reshape(80, 22).mean(axis=1)
    rng = np.random.default_rng(2)
    means = by_question[rng.integers(0, 80, (20_000, 80))].mean(axis=1)
    got = clustered_mean(values, clusters)
    error = (got.high - got.low) / 2 / stats.t.ppf(0.975, 79)
    assert error == pytest.approx(means.std(), rel=0.03)  # n against n - 1, and 20,000 draws
    naive = values.std() / len(values) ** 0.5
    assert error > 2.5 * naive


def test_what_does_not_vary_or_is_one_question_has_no_interval() -> None:
    for values, clusters in (([0.1] * 6, range(6)), ([0.1, 0.5, 0.9], [4, 4, 4]), ([1, -1, 1, -1], [0, 0, 1, 1])):
        got = clustered_mean(np.array(values, dtype=float), np.array(clusters))
        assert got.mean == pytest.approx(np.mean(values))
        assert all(math.isnan(figure) for figure in (got.low, got.high, got.p))
    assert math.isnan(clustered_mean(np.empty(0), np.empty(0, dtype=np.int64)).mean)


# ---- Shares


@settings(max_examples=examples(40))
@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_share_of_questions_that_stand_once_is_wilson_s(flags: list[bool]) -> None:
    low, high = proportion_confint(sum(flags), len(flags), method="wilson")
    assert clustered_share(np.array(flags), np.arange(len(flags))) == pytest.approx((low, high), abs=1e-12)


def test_groups_that_always_agree_are_worth_one_answer_a_question() -> None:
    right = np.arange(40) % 4 == 0
    low, high = clustered_share(np.repeat(right, 22), np.repeat(np.arange(40), 22))
    # The design effect is 22 but for the corrections for sample size.
    effect = (40 / 39 * 22) / (880 / 879)
    quantile, effective = stats.t.ppf(0.975, 39), 880 / effect
    center = (0.25 + quantile**2 / (2 * effective)) / (1 + quantile**2 / effective)
    half = quantile / (1 + quantile**2 / effective) * math.sqrt(0.1875 / effective + quantile**2 / (4 * effective**2))
    assert (low, high) == pytest.approx((center - half, center + half))
    everything = clustered_share(np.ones(880, dtype=bool), np.repeat(np.arange(40), 22))
    assert everything[1] == 1
    assert everything[0] == pytest.approx(40 / (40 + quantile**2))
    assert all(math.isnan(bound) for bound in clustered_share(np.array([True, False]), np.array([3, 3])))


def test_groups_that_differ_more_than_by_chance_do_not_narrow_the_interval() -> None:
    alternating = np.tile([True, False], 110)
    low, high = clustered_share(alternating, np.repeat(np.arange(10), 22))
    independent = proportion_confint(110, 220, method="wilson")
    assert low < independent[0]
    assert high > independent[1]


@pytest.mark.parametrize(("questions", "correlation"), [(30, 0.3), (60, 0.5)])
def test_intervals_hold_the_truth_where_answers_to_a_question_are_alike(questions: int, correlation: float) -> None:
    """Few surveys; `benchmarks/survey_intervals.py` has many. Binomial(200, .95) is below .90 in one of 300."""
    held = {"accuracy": 0, "difference": 0}
    for seed in range(200):
        (one, clusters), (two, _) = (simulated(questions, 22, correlation, seed=seed * 2 + place) for place in range(2))
        got = compare(one < 0, two < 0, clusters)
        held["accuracy"] += got.default_low <= 0.5 <= got.default_high
        held["difference"] += got.difference_low <= 0 <= got.difference_high
    assert min(held.values()) >= 180, held


# ---- The paired test


def enumerated(differences: list[int], clusters: list[int]) -> float:
    net = [
        sum(one for one, mine in zip(differences, clusters, strict=True) if mine == question)
        for question in set(clusters)
    ]
    sums = [
        abs(sum(sign * one for sign, one in zip(signs, net, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(net))
    ]
    return sum(total >= abs(sum(net)) for total in sums) / len(sums)


@settings(max_examples=examples(60))
@given(
    st.integers(1, 25).flatmap(
        lambda n: st.tuples(
            st.lists(st.sampled_from([-1, 0, 0, 1, 1]), min_size=n, max_size=n),
            st.lists(st.integers(0, 8), min_size=n, max_size=n),
        )
    )
)
def test_the_test_counts_all_ways_to_flip_questions(drawn: tuple[list[int], list[int]]) -> None:
    differences, clusters = drawn
    got = sign_flip_p(np.array(differences), np.array(clusters))
    assert got == pytest.approx(enumerated(differences, clusters), rel=1e-12)


def test_flipping_many_questions_is_what_drawing_flips_gives() -> None:
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(200), 22)
    differences = rng.choice([-1, 0, 1], size=len(clusters), p=[0.1, 0.78, 0.12])
    net = np.add.reduceat(differences, np.arange(0, len(clusters), 22))
    drawn = (rng.choice([-1, 1], size=(40_000, 200)) * net).sum(axis=1)
    share = (np.abs(drawn) >= abs(net.sum())).mean()
    assert sign_flip_p(differences, clusters) == pytest.approx(share, abs=4 * math.sqrt(share / 40_000))


def test_equal_passes_and_equal_numbers_have_a_p_of_one() -> None:
    assert sign_flip_p(np.zeros(9, dtype=np.int64), np.arange(9)) == 1
    assert sign_flip_p(np.array([1, -1]), np.array([0, 0])) == 1
    assert sign_flip_p(np.array([1, -1]), np.array([0, 1])) == 1


def test_a_question_asked_of_many_groups_is_one_piece_of_evidence() -> None:
    differences, clusters = np.ones(66, dtype=np.int64), np.repeat(np.arange(3), 22)
    got = compare(np.zeros(66, dtype=bool), np.ones(66, dtype=bool), clusters)
    assert sign_flip_p(differences, clusters) == got.permutation_p == 0.25  # 2 of 2^3 ways
    assert math.isnan(got.mcnemar_p)
    assert got.questions == 3


# ---- Holm, and codes


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.02]), min_size=1, max_size=30))
def test_holm_is_the_step_down_rule(p: list[float]) -> None:
    got = holm(np.array(p)).tolist()
    for level in (0.01, 0.05, 0.3, *(one for one in p if one < 1)):
        rejected, ordered = set(), sorted(range(len(p)), key=p.__getitem__)
        for step, test in enumerate(ordered):
            if p[test] * (len(p) - step) > level:
                break
            rejected.add(test)
        assert {test for test in range(len(p)) if got[test] <= level} == rejected
    with_gap = holm(np.array([*p, np.nan]))
    assert with_gap[:-1].tolist() == got
    assert math.isnan(with_gap[-1])


@pytest.mark.parametrize("n", [1, 2, 22])
def test_holm_is_that_of_statsmodels(n: int) -> None:
    p = np.random.default_rng(n).uniform(0, 0.1, n)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_codes_count_from_zero_in_the_order_of_appearance() -> None:
    assert cluster_codes(["b", "a", "b", ("c", 1)]).tolist() == [0, 1, 0, 2]
    assert holm(np.empty(0)).tolist() == []
