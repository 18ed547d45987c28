"""Windows: draws that depend on the response alone, and prompt orders without a favored place."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from valueflow.evaluation.windows import build_windows
from valueflow.judge import Windows
from valueflow.responses import response_keys
from valueflow.vidb import Anchors, BucketSampling


def anchors(n: int = 30) -> Anchors:
    return Anchors("t", "v", np.array([f"a{i}" for i in range(n)], dtype=object), np.linspace(-10, 10, n))


def responses(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"query": [f"q{i % 7}" for i in range(n)], "dataset": "d", "response": [f"r{i}" for i in range(n)]}
    )


def windows(frame: pd.DataFrame, *, k: int = 6, m: int = 3, seed: int = 42, position: str = "random") -> Windows:
    return build_windows(
        response_keys(frame, seed),
        frame["response"].to_numpy(dtype=object),
        anchors(),
        BucketSampling(),
        k=k,
        m=m,
        response_position=position,
    )


def test_a_response_meets_the_same_windows_wherever_it_stands() -> None:
    frame = responses(50)
    shuffled = frame.sample(frac=1, random_state=0)
    here, there, alone = windows(frame), windows(shuffled), windows(frame.iloc[[17]])
    row = int(np.flatnonzero(shuffled.index == 17)[0])
    for field in ("anchors", "prompt_order"):
        expected = getattr(here, field)[here.responses == 17]
        np.testing.assert_array_equal(getattr(there, field)[there.responses == row], expected)
        np.testing.assert_array_equal(getattr(alone, field), expected)
    # Nor does the order of the rows change which window a judge sees first.
    np.testing.assert_array_equal(there.anchors, here.anchors)
    np.testing.assert_array_equal(shuffled.index[there.responses], here.responses)


def test_more_windows_keep_the_first_ones_and_another_seed_changes_them() -> None:
    frame = responses(10)
    few, many, other = windows(frame, m=2), windows(frame, m=5), windows(frame, seed=43)
    np.testing.assert_array_equal(few.anchors.reshape(10, 2, 5), many.anchors.reshape(10, 5, 5)[:, :2])
    assert (few.anchors.reshape(10, 2, 5) != other.anchors.reshape(10, 3, 5)[:, :2]).any()


def test_windows_of_a_response_differ() -> None:
    drawn = windows(responses(200)).anchors.reshape(200, 3, 5)
    same = (drawn[:, 0] == drawn[:, 1]).all(axis=1)
    assert same.mean() < 0.02


@pytest.mark.parametrize("k", [2, 3, 6])
def test_every_place_in_the_prompt_is_as_likely_for_every_item(k: int) -> None:
    order = windows(responses(8000), k=k).prompt_order
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(1, k + 1), (len(order), 1)))
    for item in range(1, k + 1):
        places = np.bincount(np.argwhere(order == item)[:, 1], minlength=k)
        assert stats.chisquare(places).pvalue > 1e-4


def test_the_response_can_be_shown_first_always() -> None:
    order = windows(responses(2000), position="first").prompt_order
    assert (order[:, 0] == 1).all()
    places = np.bincount(np.argwhere(order == 2)[:, 1], minlength=6)[1:]
    assert stats.chisquare(places).pvalue > 1e-4


def test_keys_differ_by_query_dataset_and_response() -> None:
    frame = pd.DataFrame(
        {
            "query": ["a", "b", "a", "a", "a"],
            "dataset": ["d", "d", "e", "d", "d"],
            "response": ["x", "x", "x", "y", "x"],
        }
    )
    keys = response_keys(frame, 0)
    assert len(set(keys[:4].tolist())) == 4
    assert keys[0] == keys[4]
