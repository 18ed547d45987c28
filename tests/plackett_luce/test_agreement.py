"""Kendall's W against its words, its extremes and Friedman's test."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from valueflow.plackett_luce import kendall_w


def w_in_words(orders: list[list[int]]) -> float:
    """Variance of the items' mean places over the most it could be: that of the places themselves."""
    k = len(orders[0])
    means = [np.mean([order.index(item) for order in orders]) for item in range(1, k + 1)]
    return float(np.var(means) / np.var(np.arange(k)))


def test_w_of_all_pairs_and_triples_of_orders_of_three_items() -> None:
    for judges in (2, 3):
        panels = [list(map(list, panel)) for panel in product(permutations((1, 2, 3)), repeat=judges)]
        expected = [w_in_words(panel) for panel in panels]
        np.testing.assert_allclose(kendall_w(np.array(panels)), expected, atol=1e-12)


def test_w_of_many_judges_and_items_is_that_of_friedmans_test() -> None:
    rng = np.random.default_rng(0)
    for judges, k in ((2, 3), (5, 6), (9, 4)):
        orders = rng.permuted(np.tile(np.arange(1, k + 1), (20, judges, 1)), axis=2)
        places = np.argsort(orders, axis=2)
        chi2 = [friedmanchisquare(*window.T).statistic for window in places]
        np.testing.assert_allclose(kendall_w(orders), np.array(chi2) / (judges * (k - 1)), atol=1e-12)


def test_the_ends_of_the_scale() -> None:
    same, reverse = [3, 1, 2, 4], [4, 2, 1, 3]
    assert kendall_w([[same, same, same], [same, reverse, same]])[0] == 1.0
    assert kendall_w([[same, reverse]])[0] == 0.0
    assert kendall_w(np.empty((0, 2, 4), dtype=int)).shape == (0,)


def test_judges_at_random_reach_one_over_their_number() -> None:
    """Exactly so, as the mean over every pair of orders."""
    pairs = np.array(list(product(permutations((1, 2, 3, 4)), repeat=2)))
    assert kendall_w(pairs).mean() == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([[[1, 2, 3]]], "J >= 2"),
        ([[1, 2, 3]], "shape"),
        ([[[1], [1]]], "K >= 2"),
        ([[[1.0, 2.0], [2.0, 1.0]]], "integers"),
        ([[[1, 2], [2, 1]], [[1, 2], [2, 2]]], "window 1 by judge 1 .*1..2: .2, 2"),
        ([[[0, 1], [1, 0]]], "window 0 by judge 0"),
    ],
)
def test_what_is_no_set_of_rankings_is_refused(orders: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kendall_w(orders)
