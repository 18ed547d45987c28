"""Keys of rows, and numbers drawn from them."""

import numpy as np
import pandas as pd
from scipy import stats

from valueflow.run import keyed_uniforms, row_keys, split_keys


def test_splitmix64_gives_the_published_sequence() -> None:
    # The first outputs for seed 1234567 that reference implementations of SplitMix64 agree on.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert split_keys(np.array([1234567], dtype=np.uint64), 5)[0].tolist() == expected


def test_keyed_uniforms_are_uniform_and_independent() -> None:
    draws = keyed_uniforms(np.arange(20_000, dtype=np.uint64), 4)
    assert draws.min() >= 0
    assert draws.max() < 1
    for column in draws.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.03
    # Neighbouring keys are no more alike than distant ones.
    assert abs(np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]) < 0.03


def test_keys_of_rows_are_those_of_earlier_versions() -> None:
    """Another hash would draw other anchors: scores that were reproducible would no longer be."""
    frame = pd.DataFrame(
        {"query": ["q", "", "Grüße"], "dataset": ["d", "d", ""], "response": ["r", "two\nlines", "😀"]}
    )
    assert row_keys(frame, 42).tolist() == [7473843967655336283, 11335190150188879415, 11418781043469901086]
    assert row_keys(frame, 0).tolist() == [17923154227680038697, 3293330932224044915, 17115108854827983893]


def test_a_key_depends_on_the_cells_of_its_row_alone() -> None:
    frame = pd.DataFrame({"a": ["x", "y", "x", "xy"], "b": ["y", "x", "y", ""]})
    keys = row_keys(frame, 1)
    assert len(set(keys.tolist())) == 3
    assert keys[0] == keys[2]
    np.testing.assert_array_equal(row_keys(frame.iloc[::-1], 1), keys[::-1])
    np.testing.assert_array_equal(row_keys(frame.iloc[[3]], 1), keys[3:])
    assert not set(row_keys(frame[["a"]], 1).tolist()) & set(keys.tolist())
