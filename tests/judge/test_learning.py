"""Which anchors a head learns from where there are too many: evenly over values and intensities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.judge.learning import even_shares, learned_rows
from valueflow.vidb import Anchors


def filled_in_turn(sizes: list[int], most: int) -> list[int]:
    """Give each part one after the other, the first parts first, until nothing is left."""
    shares = [0] * len(sizes)
    left = min(most, sum(sizes))
    while left:
        for place, size in enumerate(sizes):
            if left and shares[place] < size:
                shares[place] += 1
                left -= 1
    return shares


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(0, 120))
def test_shares_are_those_of_giving_in_turn(sizes: list[int], most: int) -> None:
    assert even_shares(np.array(sizes), most) == filled_in_turn(sizes, most)


def anchors(intensities: np.ndarray, name: str = "value") -> Anchors:
    rising = np.sort(intensities)
    texts = np.array([f"{name} {number}" for number in range(len(rising))], dtype=object)
    return Anchors("pvq", name, texts, rising)


def test_few_anchors_are_all_learned() -> None:
    sets = [anchors(np.linspace(-9, 9, 5)), anchors(np.linspace(-9, 9, 3))]
    assert [rows.tolist() for rows in learned_rows(sets, None)] == [[0, 1, 2, 3, 4], [0, 1, 2]]
    assert [rows.tolist() for rows in learned_rows(sets, (8, 42))] == [[0, 1, 2, 3, 4], [0, 1, 2]]


def test_many_anchors_are_thinned_evenly_over_the_scale() -> None:
    rng = np.random.default_rng(0)
    # Nine in ten lie near 0; two stand at the very ends.
    crowded = np.concatenate([rng.uniform(-0.99, 0.99, 900), rng.uniform(-10, 10, 98), [-10.0, 10.0]])
    few, many = anchors(np.linspace(-9, 9, 20), "few"), anchors(crowded, "many")
    rows = learned_rows([few, many], (160, 7))
    assert rows[0].tolist() == list(range(20))
    assert len(rows[1]) == len(set(rows[1].tolist())) == 140
    assert (np.diff(rows[1]) > 0).all()
    taken = np.histogram(many.intensities[rows[1]], bins=20, range=(-10, 10))[0]
    there = np.histogram(many.intensities, bins=20, range=(-10, 10))[0]
    assert (taken == np.minimum(there, taken.max())).sum() >= 18
    assert (taken == there)[there < taken.max()].all()


@pytest.mark.parametrize("seed", [1, 2])
def test_seed_and_texts_alone_decide(seed: int) -> None:
    one = anchors(np.linspace(-10, 10, 300), "one")
    other = anchors(np.linspace(-10, 10, 300), "other")
    alone = learned_rows([one], (40, seed))[0]
    assert learned_rows([other, one], (80, seed))[1].tolist() == alone.tolist()
    assert learned_rows([one], (40, seed + 10))[0].tolist() != alone.tolist()
