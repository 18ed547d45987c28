"""Choice of anchors against brute force: over all rankings, all anchors, all sets of anchors."""

import tracemalloc
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt
import pytest

from valueflow.plackett_luce import anchor_information, choose_anchors, posterior_sd

FloatArray = npt.NDArray[np.float64]
GRID = np.linspace(-10, 10, 101)


def log_chance(order: tuple[int, ...], utilities: list[float], beta: float) -> float:
    """Log-probability of an order by the definition of the Plackett-Luce model."""
    weights = [np.exp(beta * utilities[item]) for item in order]
    return float(sum(np.log(weights[place] / sum(weights[place:])) for place in range(len(order))))


def information(u: float, anchors: list[float], beta: float) -> float:
    """Minus the expected second derivative of the log-likelihood in u, by finite differences over all rankings."""
    step = 1e-3
    total = 0.0
    for order in permutations(range(len(anchors) + 1)):
        below, here, above = (log_chance(order, [u + shift, *anchors], beta) for shift in (-step, 0.0, step))
        total -= np.exp(here) * (below - 2 * here + above) / step**2
    return float(total)


def posteriors(n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    density = np.exp(-0.5 * ((GRID - rng.uniform(-8, 8, (n, 1))) / rng.uniform(0.3, 4, (n, 1))) ** 2)
    return np.asarray(density / density.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
def test_an_anchor_s_information_is_that_of_the_rankings_of_two(beta: float) -> None:
    utilities, anchors = [-3.0, 0.2, 5.0], [-4.0, 0.0, 0.3, 6.5]
    expected = [[information(u, [anchor], beta) for anchor in anchors] for u in utilities]
    np.testing.assert_allclose(anchor_information(utilities, anchors, [beta]), expected, rtol=1e-4, atol=1e-7)


def test_the_judges_of_a_panel_add_up() -> None:
    alone = [anchor_information(GRID, [1.0, 2.0], [beta]) for beta in (0.4, 1.3)]
    np.testing.assert_allclose(anchor_information(GRID, [1.0, 2.0], [0.4, 1.3]), alone[0] + alone[1])


def test_extreme_slopes_and_distances_neither_overflow_nor_lose_the_near_anchor() -> None:
    found = anchor_information([-10.0, 10.0], [-10.0, 10.0], [20.0])
    np.testing.assert_allclose(found, [[100, 0], [0, 100]], atol=1e-100)


def test_a_window_of_equals_has_the_information_that_all_rankings_of_it_have() -> None:
    posterior = np.zeros((1, 101))
    posterior[0, 60] = 1.0  # at utility 2
    for size in (1, 2, 3, 4):
        anchors = np.full(size, GRID[60])
        choice = choose_anchors(posterior, GRID, anchors, np.array([0.8]), no_anchors(1), np.zeros((1, size)))
        assert choice.information[0] == pytest.approx(information(GRID[60], anchors.tolist(), 0.8), rel=1e-4)


def test_the_anchors_chosen_are_nearly_the_best_of_all_sets_over_all_rankings() -> None:
    """The rule looks at one anchor at a time; the truth is the information of whole windows (K = 3)."""
    rng = np.random.default_rng(3)
    anchors, beta = np.sort(rng.uniform(-10, 10, 9)), 0.9
    of_pair = {
        pair: np.array([information(u, anchors[list(pair)].tolist(), beta) for u in GRID])
        for pair in combinations(range(9), 2)
    }
    for posterior in posteriors(12, seed=4):
        means = {pair: float(posterior @ curve) for pair, curve in of_pair.items()}
        choice = choose_anchors(posterior[None], GRID, anchors, np.array([beta]), no_anchors(1), np.zeros((1, 2)))
        found = means[tuple(choice.anchors[0].tolist())]
        assert found >= 0.9 * max(means.values())
        assert choice.information[0] == pytest.approx(found, rel=0.15)


def no_anchors(n: int) -> npt.NDArray[np.int64]:
    return np.empty((n, 0), dtype=np.int64)


def test_choice_and_penalty_by_a_literal_reading_of_the_rule() -> None:
    rng = np.random.default_rng(5)
    anchors, slopes = np.sort(rng.uniform(-10, 10, 15)), np.array([0.5, 1.5])
    posterior = posteriors(30, seed=6)
    met = rng.integers(0, 15, (30, 8))
    choice = choose_anchors(posterior, GRID, anchors, slopes, met, rng.random((30, 4)), repeat_factor=0.7)
    for row in range(30):
        worth = []
        for number, anchor in enumerate(anchors):
            mean = 0.0
            for u, probability in zip(GRID, posterior[row], strict=True):
                for beta in slopes:
                    s = 1 / (1 + np.exp(-beta * (u - anchor)))
                    mean += probability * beta**2 * s * (1 - s)
            worth.append(mean * 0.7 ** sum(met[row] == number))
        assert choice.anchors[row].tolist() == sorted(np.argsort(worth)[-4:].tolist())


def test_equal_anchors_are_equally_likely_and_those_not_met_come_first() -> None:
    rng = np.random.default_rng(7)
    anchors = np.array([-5.0, 2.0, 2.0, 2.0, 2.0, 6.0])
    posterior = np.zeros((6000, 101))
    posterior[:, 60] = 1.0  # at utility 2
    fresh = choose_anchors(posterior, GRID, anchors, np.ones(1), no_anchors(6000), rng.random((6000, 2)))
    counts = np.bincount(fresh.anchors.ravel(), minlength=6)
    assert counts[[0, 5]].tolist() == [0, 0]
    # 3,000 each, give or take four standard deviations.
    assert np.abs(counts[1:5] - 3000).max() < 4 * np.sqrt(6000 * 0.25)
    met = np.tile([1, 3], (6000, 1))
    after = choose_anchors(posterior, GRID, anchors, np.ones(1), met, rng.random((6000, 2)))
    assert (after.anchors == [2, 4]).all()


def test_an_anchor_that_is_left_out_is_never_chosen_and_the_rest_is_chosen_as_without_it() -> None:
    rng = np.random.default_rng(12)
    anchors, posterior = np.sort(rng.uniform(-10, 10, 9)), posteriors(40, seed=13)
    left_out, uniforms = rng.integers(0, 9, 40), rng.random((40, 4))
    choice = choose_anchors(posterior, GRID, anchors, np.ones(1), no_anchors(40), uniforms, left_out=left_out)
    for row, gone in enumerate(left_out):
        rest, one = np.delete(np.arange(9), gone), slice(row, row + 1)
        alone = choose_anchors(posterior[one], GRID, anchors[rest], np.ones(1), no_anchors(1), uniforms[one])
        assert choice.anchors[row].tolist() == rest[alone.anchors[0]].tolist()
    every = np.zeros((1, 9))
    with pytest.raises(ValueError, match="cannot choose 9 of 8 anchors"):
        choose_anchors(posterior[:1], GRID, anchors, np.ones(1), no_anchors(1), every, left_out=left_out[:1])


def test_a_response_s_choice_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(8)
    anchors = np.round(np.sort(rng.uniform(-10, 10, 300)), 1)  # with ties
    posterior, met, uniforms = posteriors(3000, seed=9), rng.integers(0, 300, (3000, 10)), rng.random((3000, 5))
    together = choose_anchors(posterior, GRID, anchors, np.ones(1), met, uniforms)
    for row in (0, 1, 1747, 2999):
        one = slice(row, row + 1)
        alone = choose_anchors(posterior[one], GRID, anchors, np.ones(1), met[one], uniforms[one])
        assert alone.anchors[0].tolist() == together.anchors[row].tolist()


def test_ten_thousand_responses_and_two_thousand_anchors_fit_into_little_memory() -> None:
    rng = np.random.default_rng(10)
    posterior, anchors = posteriors(10_000, seed=11), np.sort(rng.uniform(-10, 10, 2000))
    met, uniforms = rng.integers(0, 2000, (10_000, 20)), rng.random((10_000, 5))
    tracemalloc.start()
    choose_anchors(posterior, GRID, anchors, np.ones(1), met, uniforms)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6, "the whole table of responses and anchors alone would take 160 MB"


def test_more_anchors_than_there_are_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match="cannot choose 3 of 2 anchors"):
        choose_anchors(posteriors(1, seed=0), GRID, np.array([0.0, 1.0]), np.ones(1), no_anchors(1), np.zeros((1, 3)))


def test_standard_deviation_of_a_uniform_and_of_a_certain_posterior() -> None:
    certain = np.zeros(101)
    certain[17] = 1.0
    assert posterior_sd(np.stack([np.full(101, 1 / 101), certain]), GRID) == pytest.approx(
        [np.std(GRID), 0.0], abs=1e-6
    )
