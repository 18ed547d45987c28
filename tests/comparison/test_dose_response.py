"""The permutation test against full enumeration, against scipy's, and on data without an effect."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from valueflow.comparison.dose_response import EXACT_LIMIT, dose_response_test


def keys(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 2**64, n, dtype=np.uint64)


def literal_p(scores: np.ndarray, levels: np.ndarray) -> float:
    """Relabel in every way, query by query."""

    def statistic(columns: list[tuple[np.ndarray, np.ndarray]]) -> float:
        return sum(float(((x - x.mean()) * y).sum()) for x, y in columns)

    columns = [(levels[~np.isnan(column)], column[~np.isnan(column)]) for column in scores.T]
    observed = statistic(columns)
    ways = product(*(list(permutations(x)) for x, _ in columns))
    sums = [statistic([(np.array(x), y) for x, (_, y) in zip(way, columns, strict=True)]) for way in ways]
    return float(np.mean([s >= observed - 1e-9 for s in sums]))


@pytest.mark.parametrize(("seed", "effect"), [(0, 0.0), (1, 0.4), (2, -0.6)])
def test_few_queries_are_enumerated(seed: int, effect: float) -> None:
    rng = np.random.default_rng(seed)
    levels = np.array([-2.0, 0, 2])
    scores = rng.normal(0, 1, (3, 4)) + effect * levels[:, None]
    scores[1, 2] = np.nan
    found = dose_response_test(scores, levels, keys(4), 99)
    assert (found.is_exact, found.relabelings, found.queries) == (True, 6**3 * 2, 4)
    assert found.p == pytest.approx(literal_p(scores, levels))


def test_two_intensities_are_the_paired_permutation_test() -> None:
    rng = np.random.default_rng(3)
    low, high = rng.normal(0, 1, 12), rng.normal(0.5, 1, 12)
    found = dose_response_test(np.array([low, high]), np.array([-2.0, 2.0]), keys(12), 99)
    expected = stats.permutation_test(
        (high, low), lambda x, y: np.mean(x - y), permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert found.is_exact
    assert found.p == pytest.approx(expected.pvalue)


def test_ranks_without_ties_give_pages_test() -> None:
    rng = np.random.default_rng(4)
    ranks = np.argsort(np.argsort(rng.normal(0, 1, (4, 3)) + 0.5 * np.arange(3), axis=1), axis=1) + 1.0
    found = dose_response_test(ranks.T, np.array([1.0, 2, 3]), keys(4), 99)
    assert found.p == pytest.approx(stats.page_trend_test(ranks, method="exact").pvalue)


def test_drawn_relabelings_approach_the_enumeration() -> None:
    rng = np.random.default_rng(5)
    levels = np.array([-2.0, -1, 0, 1, 2])
    scores = rng.normal(0, 1, (5, 30)) + 0.05 * levels[:, None]
    scores[2, :7] = np.nan
    found = dose_response_test(scores, levels, keys(30), 100_000)
    assert (found.is_exact, found.relabelings) == (False, 100_000)
    # With so many queries the statistic is normal; its moments under relabeling are known.
    centered = [levels[~np.isnan(y)] - levels[~np.isnan(y)].mean() for y in scores.T]
    rest = [y[~np.isnan(y)] - np.nanmean(y) for y in scores.T]
    observed = sum(float((x * y).sum()) for x, y in zip(centered, rest, strict=True))
    variance = sum(float((x**2).sum() * (y**2).sum() / (len(x) - 1)) for x, y in zip(centered, rest, strict=True))
    assert found.p == pytest.approx(stats.norm.sf(observed / np.sqrt(variance)), rel=0.1)


def test_draws_belong_to_queries() -> None:
    rng = np.random.default_rng(6)
    levels, scores = np.array([-1.0, 0, 1]), rng.normal(0, 1, (3, 40))
    order = rng.permutation(40)
    assert EXACT_LIMIT < 6**40
    first = dose_response_test(scores, levels, keys(40), 999)
    assert dose_response_test(scores[:, order], levels, keys(40)[order], 999) == first
    assert dose_response_test(scores, levels, keys(41)[:40], 999).p != first.p


def test_without_an_effect_p_is_uniform() -> None:
    rng = np.random.default_rng(7)
    levels = np.array([-2.0, -1, 0, 1, 2])
    found = [
        dose_response_test(rng.gumbel(0, 1, (5, 15)) + rng.normal(0, 3, 15), levels, keys(15), 499).p
        for _ in range(400)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_queries_with_one_score_say_nothing() -> None:
    scores = np.array([[1.0, np.nan], [np.nan, 2.0]])
    found = dose_response_test(scores, np.array([0.0, 2.0]), keys(2), 99)
    assert np.isnan(found.p)
    assert found.queries == 0
