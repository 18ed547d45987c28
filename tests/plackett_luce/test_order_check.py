"""Whether a judge orders anchors: against judges at random, and against loops that spell the formulas out."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau, norm, t

from valueflow.plackett_luce import check_order, simulate_rankings


def judged(seed, n_anchors, n_windows, j, beta):
    rng = np.random.default_rng(seed)
    ratings = np.sort(rng.uniform(-9, 9, n_anchors))
    chosen = np.argsort(rng.random((n_windows, n_anchors)), axis=1)[:, :j]
    ranked = simulate_rankings(ratings[chosen], beta, rng)
    return np.take_along_axis(chosen, ranked - 1, axis=1), ratings


@pytest.mark.parametrize("j", [2, 5])
def test_judges_at_random_have_a_standard_normal_z(j):
    checks = [check_order(*judged(seed, 30, 60, j, 0.0)) for seed in range(400)]
    for z in ([check.z for check in checks], [check.z_over_anchors for check in checks]):
        assert np.mean(z) == pytest.approx(0.0, abs=0.2)
        assert np.var(z) == pytest.approx(1.0, abs=0.25)
    assert np.mean([check.z > 2 for check in checks]) < 0.06


def test_a_judge_that_sees_each_text_in_an_arbitrary_place_passes_over_anchors_as_rarely_as_chance_would():
    passed_windows, passed_anchors = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ratings, places = np.linspace(-9, 9, 30), rng.permutation(30)
        chosen = np.argsort(rng.random((200, 30)), axis=1)[:, :5]
        orders = np.take_along_axis(chosen, np.argsort(-places[chosen], axis=1), axis=1)
        check = check_order(orders, ratings)
        passed_windows.append(abs(check.z) > 2)
        passed_anchors.append(abs(check.z_over_anchors) > 2)
    assert np.mean(passed_windows) > 0.4
    assert np.mean(passed_anchors) < 0.1


def literal_z(orders, ratings):
    u, variance = 0.0, 0.0
    for order in orders:
        left = [ratings[anchor] for anchor in order]
        while len(left) > 1:
            u += left[0] - sum(left) / len(left)
            variance += sum(r * r for r in left) / len(left) - (sum(left) / len(left)) ** 2
            left.pop(0)
    return u / np.sqrt(variance)


@pytest.mark.parametrize(("j", "beta"), [(2, 0.1), (3, 0.0), (5, 0.3)])
def test_z_is_the_score_test_written_out(j, beta):
    orders, ratings = judged(j, 12, 25, j, beta)
    assert check_order(orders, ratings).z == pytest.approx(literal_z(orders.tolist(), ratings))
    # Savage scores are the same sum, anchor by anchor.
    savage = np.zeros(len(ratings))
    for order in orders.tolist():
        for stage in range(j - 1):
            savage[order[stage]] += 1
            for anchor in order[stage:]:
                savage[anchor] -= 1 / (j - stage)
    met = np.bincount(orders.ravel(), minlength=12)
    u = sum(ratings[order[stage]] - np.mean(ratings[order[stage:]]) for order in orders for stage in range(j - 1))
    assert ratings @ savage == pytest.approx(u)
    share = met / met.sum()
    mean = savage / np.maximum(met, 1)
    x, y = ratings - share @ ratings, mean - share @ mean
    r = (share * x) @ y / np.sqrt((share @ x**2) * (share @ y**2))
    n = 1 / (share @ share)
    expected = norm.isf(t.sf(r * np.sqrt((n - 2) / (1 - r**2)), n - 2))
    assert check_order(orders, ratings).z_over_anchors == pytest.approx(expected, rel=1e-6)


def test_agreement_and_its_error_are_those_of_all_pairs_with_anchors_left_out_in_turn():
    orders, ratings = judged(1, 8, 30, 4, 0.2)
    ratings[3] = ratings[4]  # a tie, which counts for nothing

    def agreement(without=None):
        signs = [
            np.sign(ratings[first] - ratings[second])
            for order in orders.tolist()
            for first, second in combinations(order, 2)
            if without not in (first, second) and ratings[first] != ratings[second]
        ]
        return np.mean(signs)

    check = check_order(orders, ratings)
    assert check.agreement == pytest.approx(agreement())
    left_out = [agreement(anchor) for anchor in range(8)]
    assert check.agreement_se == pytest.approx(np.sqrt(7 / 8 * np.sum((left_out - np.mean(left_out)) ** 2)))


def test_without_ties_agreement_is_the_mean_of_kendalls_tau():
    orders, ratings = judged(2, 10, 20, 5, 0.2)
    taus = [kendalltau(-np.arange(5), ratings[order]).statistic for order in orders]
    assert check_order(orders, ratings).agreement == pytest.approx(np.mean(taus))


def test_perfect_and_reversed_judges_are_told_apart_and_finite():
    orders, ratings = judged(3, 20, 100, 5, 1e6)
    right, wrong = check_order(orders, ratings), check_order(orders[:, ::-1], ratings)
    assert right.agreement == 1
    assert wrong.agreement == -1
    assert right.z > 10
    assert wrong.z < -10
    assert right.z_over_anchors > 5
    assert wrong.z_over_anchors < -5
    assert np.isfinite([right.z_over_anchors, wrong.z_over_anchors]).all()


@pytest.mark.parametrize(("orders", "ratings"), [([[0, 1]] * 5, [3.0, -3.0]), ([[1, 0]], [1.0, 2.0])])
def test_two_anchors_have_a_z_over_windows_and_none_over_anchors(orders, ratings):
    check = check_order(orders, ratings)
    assert check.z == pytest.approx(np.sqrt(len(orders)))
    assert check.agreement == 1
    assert np.isnan([check.z_over_anchors, check.agreement_se]).all()


def test_anchors_of_one_rating_have_no_order():
    check = check_order([[0, 1, 2], [2, 1, 0]], [4.0, 4.0, 4.0])
    assert np.isnan([check.z, check.z_over_anchors, check.agreement, check.agreement_se]).all()
