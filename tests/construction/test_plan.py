"""Windows: every text equally often, none twice in one, all connected, whatever the order of the texts."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from valueflow.construction.plan import informed_round, random_rounds


def keys_of(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(2**62, size=n, replace=False).astype(np.uint64)


def is_sound(windows: np.ndarray, n: int, k: int, m: int) -> None:
    assert windows.shape == (-(-n * m // k), k)
    assert all(len(set(window)) == k for window in windows.tolist())
    counts = np.bincount(windows.ravel(), minlength=n)
    assert counts.min() >= m
    # Only where the windows do not come out even has a text one more.
    assert counts.max() <= m + 1
    assert counts.sum() - n * m < k


@given(st.integers(2, 40), st.integers(2, 8), st.integers(1, 7), st.integers(0, 100))
def test_random_rounds(n: int, k: int, m: int, seed: int) -> None:
    k = min(k, n)
    windows = random_rounds(keys_of(n, seed), k, range(m))
    is_sound(windows, n, k, m)
    if m >= 2:
        graph = coo_array((np.ones(len(windows) * (k - 1)), (windows[:, :-1].ravel(), windows[:, 1:].ravel())), (n, n))
        assert connected_components(graph, directed=False)[0] == 1


@given(st.integers(2, 40), st.integers(2, 8), st.integers(0, 100))
def test_informed_rounds(n: int, k: int, seed: int) -> None:
    k = min(k, n)
    draws = np.random.default_rng(seed)
    windows = informed_round(keys_of(n, seed), k, draws.normal(0, 3, n), draws.uniform(0, 2, n), 4)
    is_sound(windows, n, k, 1)


def test_informed_rounds_put_near_texts_together() -> None:
    utility = np.random.default_rng(0).normal(0, 3, 600)
    keys = keys_of(600)
    rounds = [informed_round(keys, 2, utility, np.full(600, 0.3), number) for number in (6, 7, 8)]
    near, next_, third = [np.abs(np.diff(utility[windows], axis=1)).mean() for windows in rounds]
    far = np.abs(np.diff(utility[random_rounds(keys, 2, [6])], axis=1)).mean()
    assert max(near, next_) < far / 10
    assert 2 * near < third < far / 2
    pairs = [
        {frozenset(window) for window in informed_round(keys, 2, utility, np.full(600, 0.3), number).tolist()}
        for number in (6, 7, 12)
    ]
    # Where estimates stay as they are, rounds still differ: the next one by its cuts, others by their noise.
    assert len(pairs[0] & pairs[1]) < 30
    assert len(pairs[0] & pairs[2]) < 60


def test_a_text_s_first_round_may_have_no_estimate_yet() -> None:
    windows = informed_round(keys_of(5), 2, np.zeros(5), np.full(5, np.nan), 1)
    is_sound(windows, 5, 2, 1)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_order_of_texts_decides_nothing(k: int) -> None:
    keys = keys_of(31)
    order = np.random.default_rng(1).permutation(31)
    utility, error = np.random.default_rng(2).normal(size=(2, 31))

    def met(windows: np.ndarray, own: np.ndarray) -> Counter[frozenset[int]]:
        return Counter(frozenset(own[window].tolist()) for window in windows)

    assert met(random_rounds(keys, k, range(4)), keys) == met(random_rounds(keys[order], k, range(4)), keys[order])
    first = informed_round(keys, k, utility, np.abs(error), 3)
    second = informed_round(keys[order], k, utility[order], np.abs(error)[order], 3)
    assert met(first, keys) == met(second, keys[order])


def test_rounds_may_be_drawn_one_after_another() -> None:
    keys = keys_of(40)
    apart = np.concatenate([random_rounds(keys, 4, [number]) for number in range(5)])
    assert apart.tolist() == random_rounds(keys, 4, range(5)).tolist()
