"""How near distributions of answers are: against scipy, drawing, and pair by pair."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from tests.examples import examples
from valueflow.opinionqa.alignment import (
    OtherGroups,
    best_option_alignment,
    jensen_shannon_distance,
    jensen_shannon_nearness,
    majority_alignment,
    sampling_alignment,
    wasserstein_alignment,
)
from valueflow.opinionqa.ceilings import blind_accuracy, groups_of_each

Values = npt.NDArray[np.float64]


def distributions(n: int, options: int, seed: int, zeros: float = 0.2) -> Values:
    rng = np.random.default_rng(seed)
    shares = rng.exponential(size=(n, options)) * (rng.random((n, options)) > zeros)
    shares[:, 0] += 1e-3
    return shares / shares.sum(axis=1, keepdims=True)


def of_scipy(answers: Values, gold: Values, positions: Values) -> float:
    """Literally: without the options on no scale, in units of the scale."""
    known = ~np.isnan(positions)
    if known.sum() < 2 or not answers[known].sum() or not gold[known].sum():
        return math.nan
    places = positions[known]
    distance = wasserstein_distance(places, places, answers[known], gold[known])
    return 1 - distance / (places.max() - places.min())


@pytest.mark.parametrize("options", [2, 3, 5, 9])
def test_distances_are_those_of_scipy(options: int) -> None:
    answers, gold = distributions(60, options, 1), distributions(60, options, 2)
    positions = np.tile(np.arange(options, dtype=float), (60, 1))
    got = wasserstein_alignment(answers, gold, positions)
    wanted = [of_scipy(*rows) for rows in zip(answers, gold, positions, strict=True)]
    assert got == pytest.approx(wanted, abs=1e-12)
    assert jensen_shannon_distance(answers, gold) == pytest.approx(jensenshannon(answers, gold, base=2, axis=1))


def test_positions_may_be_uneven_unsorted_and_missing() -> None:
    rng = np.random.default_rng(3)
    answers, gold = distributions(400, 5, 4, zeros=0.5), distributions(400, 5, 5, zeros=0.5)
    positions = rng.choice([0, 1, 1.5, 2, 7, np.nan], size=(400, 5))
    got = wasserstein_alignment(answers, gold, positions)
    different = [len(set(row[~np.isnan(row)].tolist())) for row in positions]
    for row in range(400):
        if different[row] > 1:
            wanted = of_scipy(answers[row], gold[row], positions[row])
            assert got[row] == pytest.approx(wanted, abs=1e-12, nan_ok=True)
    assert np.isnan(got).any()
    assert not np.isnan(got).all()


@settings(max_examples=examples(40))
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_padding_changes_nothing(options: int, seed: int) -> None:
    answers, gold = distributions(3, options, seed), distributions(3, options, seed + 1)
    positions = np.tile(np.arange(options, dtype=float), (3, 1))
    wide = [np.pad(shares, ((0, 0), (0, 3))) for shares in (answers, gold)]
    places = np.pad(positions, ((0, 0), (0, 3)), constant_values=np.nan)
    assert wasserstein_alignment(*wide, places) == pytest.approx(wasserstein_alignment(answers, gold, positions))
    assert jensen_shannon_distance(*wide) == pytest.approx(jensen_shannon_distance(answers, gold))


def test_worked_by_hand() -> None:
    gold = np.array([[0.5, 0.3, 0.2]])
    scale = np.array([[0.0, 1, 2]])
    first, last = np.array([[1.0, 0, 0]]), np.array([[0.0, 0, 1]])
    assert wasserstein_alignment(first, gold, scale) == pytest.approx(1 - (0.3 + 0.4) / 2)
    assert wasserstein_alignment(last, gold, scale) == pytest.approx(1 - (0.3 + 1.0) / 2)
    assert wasserstein_alignment(gold, gold, scale) == 1
    assert jensen_shannon_distance(gold, gold) == 0
    assert jensen_shannon_distance(first, last) == 1
    assert majority_alignment(gold, scale, wasserstein_alignment) == pytest.approx(0.65)
    # Half the group chose the first option, so the middle one is as near: 0.5 + 0 + 0.2.
    assert best_option_alignment(gold, scale, wasserstein_alignment) == pytest.approx(0.65)
    refused = np.array([[0.0, 1, np.nan]])
    assert wasserstein_alignment(first, gold, refused) == pytest.approx(1 - 3 / 8)
    assert np.isnan(wasserstein_alignment(last, gold, refused))[0]
    tied = np.array([[0.4, 0.4, 0.2]])
    assert majority_alignment(tied, scale, wasserstein_alignment) == pytest.approx((0.6 + 0.7) / 2)
    assert np.isnan(majority_alignment(last, refused, wasserstein_alignment))[0]


def test_no_single_option_is_nearer_than_the_best_one() -> None:
    gold = distributions(50, 4, 6)
    positions = np.tile([0.0, 1, 2, 0.5], (50, 1))
    each = np.array([[of_scipy(np.eye(4)[option], *rows) for option in range(4)]
                     for rows in zip(gold, positions, strict=True)])  # fmt: skip
    assert best_option_alignment(gold, positions, wasserstein_alignment) == pytest.approx(each.max(axis=1))
    majority = each[np.arange(50), gold.argmax(axis=1)]
    assert majority_alignment(gold, positions, wasserstein_alignment) == pytest.approx(majority)
    assert (majority <= each.max(axis=1)).all()


@pytest.mark.parametrize("draws", [1, 2, 7, 40])
def test_the_group_s_own_sampling_is_what_drawing_from_it_gives(draws: int) -> None:
    rng = np.random.default_rng(draws)
    gold = np.vstack([distributions(5, 4, 7), [[1.0, 0, 0, 0]], [[0.5, 0.5, 0, 0]]])
    positions = np.tile([0.0, 1, 3, np.nan], (7, 1))
    positions[0] = [2, 0, 1, 5]
    for row in range(7):
        kept = np.where(np.isnan(positions[row]), 0, gold[row])
        drawn = rng.multinomial(draws, kept / kept.sum(), size=4000) / draws
        repeated = [np.tile(rows[row], (4000, 1)) for rows in (gold, positions)]
        mean = wasserstein_alignment(drawn, *repeated).mean()
        got = sampling_alignment(gold[row : row + 1], positions[row : row + 1], draws)
        assert got[0] == pytest.approx(mean, abs=0.02)


# ---- Other groups


def test_gains_are_those_of_each_pair_by_itself() -> None:
    rng = np.random.default_rng(8)
    n = 60
    questions = rng.integers(0, 9, n)
    kinds = rng.choice(["sex", "party", "race"], n)
    attributes = [f"{kind}_{which}" for kind, which in zip(kinds, rng.integers(0, 3, n), strict=True)]
    before, after, gold = (distributions(n, 4, seed) for seed in (9, 10, 11))
    before[3] = np.nan
    positions = np.tile([0.0, 1, 2, np.nan], (n, 1))
    gold[5] = [0, 0, 0, 1]  # on no scale
    others = OtherGroups.of(questions, attributes, kinds.tolist())
    for nearness in (wasserstein_alignment, jensen_shannon_nearness):
        got = others.gain(before, after, gold, positions, nearness)
        for mine in range(n):
            rest = [
                one for one in range(n) if questions[one] == questions[mine] and attributes[one] != attributes[mine]
            ]
            alike = [one for one in rest if kinds[one] == kinds[mine]]
            assert others.same_kind[mine] == bool(alike)
            gains = []
            for one in alike or rest:
                near = [
                    nearness(rows[mine : mine + 1], gold[one : one + 1], positions[:1])[0] for rows in (before, after)
                ]
                gains.append(near[1] - near[0])
            known = [gain for gain in gains if not math.isnan(gain)]
            assert got[mine] == pytest.approx(np.mean(known) if known else math.nan, nan_ok=True), (mine, nearness)
    assert np.isnan(got).any()


def test_many_pairs_take_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    questions, attributes = np.repeat(np.arange(6), 10), [f"x_{number}" for number in range(10)] * 6
    before, after, gold = (distributions(60, 3, seed) for seed in range(3))
    others = OtherGroups.of(questions, attributes, ["x"] * 60)
    assert len(others.mine) == 6 * 10 * 9
    positions = np.tile([0.0, 1, 2], (60, 1))
    whole = others.gain(before, after, gold, positions, wasserstein_alignment)
    monkeypatch.setattr("valueflow.opinionqa.alignment._PAIRS_AT_ONCE", 7)
    assert others.gain(before, after, gold, positions, wasserstein_alignment) == pytest.approx(whole)


# ---- The best answer that is blind to the group


def test_the_blind_answer_is_the_best_of_all_answers_in_one_way() -> None:
    rng = np.random.default_rng(12)
    questions = rng.integers(0, 12, 80)
    right = rng.random((80, 4)) < 0.3
    right[np.arange(80), rng.integers(0, 4, 80)] = True
    got = blind_accuracy(right, questions)
    for question in set(questions.tolist()):
        mine = right[questions == question]
        assert got[questions == question].sum() == pytest.approx(mine.sum(axis=0).max())
        best = np.flatnonzero(mine.sum(axis=0) == mine.sum(axis=0).max())
        assert got[questions == question] == pytest.approx(mine[:, best].mean(axis=1))


def test_groups_of_a_question_are_counted_once_each() -> None:
    counted = groups_of_each(np.array([0, 0, 0, 1, 2, 2]), ["a", "b", "a", "a", "c", "c"])
    assert counted.tolist() == [2, 2, 2, 1, 1, 1]
