import numpy as np
import pytest

from valueflow.plackett_luce import (
    are_permutations,
    fit_discrimination,
    fit_utilities,
    summarize_posterior,
    window_guarded,
)
from valueflow.plackett_luce.windows import check_windows, response_blocks

RANKINGS = np.array([[2, 1, 3], [1, 3, 2], [3, 2, 1]])
ANCHORS = np.array([[1.0, -2.0], [0.5, 3.0], [-4.0, 4.0]])
INDEX = np.array([0, 0, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rankings": RANKINGS[:, :1]}, "K >= 2"),
        ({"rankings": RANKINGS.astype(float)}, "rankings must be integers"),
        ({"anchor_utilities": ANCHORS[:, :1]}, "anchor_utilities must have shape"),
        ({"anchor_utilities": np.where(ANCHORS == 3.0, np.nan, ANCHORS)}, "finite"),
        ({"anchor_utilities": np.where(ANCHORS == 3.0, np.inf, ANCHORS)}, "finite"),
        ({"response_index": INDEX[:2]}, "response_index must have shape"),
        ({"response_index": INDEX.astype(float)}, "response_index must be integers"),
        ({"response_index": INDEX - 1}, r"lie in 0\.\.2"),
        ({"response_index": INDEX + 1}, r"lie in 0\.\.2"),
        ({"response_index": INDEX[::-1] + 1}, r"lie in 0\.\.2"),
        ({"n_responses": -1}, "negative"),
        ({"discrimination": 0.0}, "above zero"),
        ({"discrimination": np.nan}, "above zero"),
        ({"discrimination": np.ones(2)}, "discrimination must be a number"),
        ({"discrimination": 100.0}, "must not exceed 300"),
        ({"rankings": np.array([[2, 1, 3], [1, 3, 3], [3, 2, 1]])}, "window 1 is not a permutation"),
        ({"rankings": np.array([[2, 1, 3], [1, 3, 2], [0, 2, 1]])}, "window 2 is not a permutation"),
        ({"rankings": np.array([[2, 1, 3], [1, 3, 65], [3, 2, 1]])}, "window 1 is not a permutation"),
        ({"rankings": np.array([[2, 1, -3], [1, 3, 2], [3, 2, 1]])}, "window 0 is not a permutation"),
        ({"prior_precision": 0.0}, "prior_precision"),
        ({"max_iter": 0}, "max_iter"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"solver": "bfgs"}, "solver"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"rankings": RANKINGS, "anchor_utilities": ANCHORS, "response_index": INDEX, "n_responses": 3}
    with pytest.raises(ValueError, match=message):
        fit_utilities(**(arguments | change))


def test_bad_window_is_named_by_its_place_in_the_input_also_when_unordered():
    rankings = np.array([[1, 2, 3], [1, 2, 3], [2, 2, 1], [3, 2, 1]])
    anchors = np.zeros((4, 2))
    with pytest.raises(ValueError, match="window 2 "):
        fit_utilities(rankings, anchors, np.array([1, 0, 0, 1]), 2)
    for function in (window_guarded, summarize_posterior):
        with pytest.raises(ValueError, match="window 2 "):
            function(rankings, anchors, np.array([1, 0, 0, 1]), 2)
    with pytest.raises(ValueError, match="window 2 "):
        fit_discrimination(rankings, anchors + np.arange(2.0))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_any_integer_type_gives_the_same_result(dtype):
    expected = fit_utilities(RANKINGS, ANCHORS, INDEX, 3)
    found = fit_utilities(RANKINGS.astype(dtype), ANCHORS, INDEX.astype(dtype), 3)
    np.testing.assert_array_equal(found.utility, expected.utility)


def test_permutations_of_many_items():
    rng = np.random.default_rng(0)
    for size in (2, 61, 62, 63, 100):
        sound = np.stack([rng.permutation(size) + 1 for _ in range(5)])
        assert are_permutations(sound).all()
        broken = sound.copy()
        broken[2, 0] = broken[2, 1]
        assert are_permutations(broken).tolist() == [True, True, False, True, True]
        assert are_permutations(broken.T, axis=0).tolist() == [True, True, False, True, True]
        assert are_permutations(np.stack([sound, broken])).tolist() == [[True] * 5, [True, True, False, True, True]]


def test_blocks_hold_every_response_once_and_equal_slopes_are_one_slope():
    rng = np.random.default_rng(1)
    index = rng.integers(0, 50, 300)
    rankings = np.argsort(rng.random((300, 4)), axis=1) + 1
    windows = check_windows(rankings, rng.uniform(-5, 5, (300, 3)), index, 60, np.full(300, 0.7))
    assert windows.discrimination == 0.7
    seen = np.concatenate([responses for responses, _ in response_blocks(windows)])
    assert sorted(seen) == sorted(set(index))
    assert windows.n_windows.sum() == 300
