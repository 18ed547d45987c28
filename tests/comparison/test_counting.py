"""Corrected p-values and shares against other libraries and cases worked by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from valueflow.comparison.success import count_moves
from valueflow.statistics import holm, wilson_interval


def test_holm_worked_by_hand() -> None:
    # .01 * 4, .02 * 3, .03 * 2 raised to .06, .5 * 1; the missing one is no test.
    found = holm(np.array([0.03, 0.01, np.nan, 0.5, 0.02]))
    assert found == pytest.approx([0.06, 0.04, np.nan, 0.5, 0.06], nan_ok=True)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_holm_is_that_of_statsmodels(n: int) -> None:
    p = np.random.default_rng(n).uniform(0, 0.2, n).round(2)  # with ties
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@pytest.mark.parametrize(("successes", "total"), [(0, 8), (3, 8), (8, 8), (50, 120), (1, 1)])
def test_the_interval_of_a_share_is_wilsons(successes: int, total: int) -> None:
    expected = binomtest(successes, total).proportion_ci(method="wilson")
    assert wilson_interval(successes / total, total) == pytest.approx((expected.low, expected.high))


def test_moves_are_counted_by_direction_and_ties_are_no_success() -> None:
    change = np.array([1.0, -0.5, 0.0, 1e-12, np.nan, 2.0])
    up, down = count_moves(change, 1), count_moves(change, -1)
    assert (up.right, up.wrong, up.tied, up.share) == (2, 1, 2, 0.4)
    assert (down.right, down.wrong, down.tied, down.share) == (1, 2, 2, 0.2)
    assert np.isnan(count_moves(np.array([np.nan]), 1).share)
