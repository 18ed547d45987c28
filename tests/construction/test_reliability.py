"""Split halves of simulated judges: sharp ones agree with themselves, guessing ones do not."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from valueflow.construction.reliability import split_half
from valueflow.plackett_luce import fit_items


def simulated(slope: float, windows: int = 900, n: int = 60) -> np.ndarray:
    draws = np.random.default_rng(4)
    truth, items = draws.normal(0, 2, n), np.argsort(draws.random((windows, n)), axis=1)[:, :3]
    noisy = slope * truth[items] + draws.gumbel(size=items.shape)
    return np.take_along_axis(items, np.argsort(-noisy, axis=1), axis=1)


def test_equals_two_fits_by_hand() -> None:
    order = simulated(1.0)
    found = split_half(order, 60, judges=None, windows=np.arange(900), prior_precision=0.1, seed=7)
    half = np.zeros(900, dtype=bool)
    half[np.random.default_rng(7).permutation(900)[:450]] = True
    first, second = (fit_items(order[side], 60, prior_precision=0.1).utility for side in (half, ~half))
    assert found.pearson == pytest.approx(pearsonr(first, second).statistic)
    assert found.spearman == pytest.approx(spearmanr(first, second).statistic)
    assert found.stepped_up == pytest.approx(2 * found.pearson / (1 + found.pearson))
    assert found.n_texts == 60
    assert found.pearson > 0.9


def test_a_judge_that_guesses() -> None:
    found = split_half(simulated(0.0), 60, judges=None, windows=np.arange(900), prior_precision=0.1, seed=7)
    assert found.pearson is not None
    assert abs(found.pearson) < 0.4


def test_rankings_of_one_window_stay_together() -> None:
    # Two judges that always agree: parted by rankings, the halves would hold the same windows.
    order = np.repeat(simulated(0.0, windows=200), 2, axis=0)
    found = split_half(
        order, 60, judges=np.tile([0, 1], 200), windows=np.repeat(np.arange(200), 2), prior_precision=0.1, seed=1
    )
    assert found.pearson is not None
    assert found.pearson < 0.5


def test_too_few_texts() -> None:
    found = split_half(np.array([[0, 1]]), 2, judges=None, windows=np.zeros(1, int), prior_precision=0.1, seed=0)
    assert found.pearson is None
    assert found.stepped_up is None
