"""Rows that cannot be used: refused, skipped and listed, or clamped."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import BadRows, InputError, number_column, text_column

LIMITS = {"n": (-10.0, 10.0)}


def table() -> pd.DataFrame:
    return pd.DataFrame({"t": ["a", "", "c", "d", None, "f"], "n": ["1", "2", "high", "-12.5", "", "10"]})


def test_fail_leaves_the_table_for_the_checks_to_stop_at() -> None:
    bad = BadRows()
    assert bad.left(table(), "file", texts=["t"], numbers=LIMITS).equals(table())
    assert bad.figures() == {}


def test_skip_lists_each_row_once() -> None:
    bad = BadRows("skip")
    left = bad.left(table(), "file", texts=["t"], numbers=LIMITS)
    assert left["t"].tolist() == ["a", "f"]
    assert bad.table().to_dict("records") == [
        {"file": "file", "row": 2, "column": "t", "reason": "the text is missing", "cell": ""},
        {"file": "file", "row": 5, "column": "t", "reason": "the text is missing", "cell": ""},
        {"file": "file", "row": 3, "column": "n", "reason": "is not a number", "cell": "high"},
        {"file": "file", "row": 4, "column": "n", "reason": "is not in [-10, 10]", "cell": "-12.5"},
    ]
    assert bad.figures()["bad_rows"]["skipped"] == 4


def test_clamp_moves_numbers_and_skips_the_rest() -> None:
    bad = BadRows("clamp")
    left = bad.left(table(), "file", texts=["t"], numbers=LIMITS)
    assert number_column(left, "n", "file", lowest=-10, highest=10).tolist() == [1, -10, 10]
    assert bad.figures()["bad_rows"] == {
        "skipped": 3,
        "clamped": 1,
        "reasons": {"t: the text is missing": 2, "n: is not a number": 1},
    }


cells = st.sampled_from(["", " ", "x", "1", "-11", "1e3", "nan", "inf", None, 2.5, math.inf, math.nan, True, "\n"])


@given(st.lists(st.tuples(cells, cells), min_size=1), st.sampled_from(["skip", "clamp"]))
def test_what_is_left_passes_the_checks_and_nothing_is_lost(rows: list[tuple[Any, Any]], policy: Any) -> None:
    frame = pd.DataFrame({"t": pd.Series([str(text) if text else text for text, _ in rows], dtype=object)})
    frame["n"] = pd.Series([number for _, number in rows], dtype=object)
    bad = BadRows(policy)
    left = bad.left(frame, "file", texts=["t"], numbers=LIMITS)
    assert len(left) + len(bad.skipped) == len(frame)
    if len(left):
        text_column(left, "t", "file")
        number_column(left, "n", "file", lowest=-10, highest=10)
    good = [row for row in range(len(frame)) if _passes(frame.iloc[[row]])]
    if policy == "skip":
        assert left.index.tolist() == good
    else:
        assert {*good} <= {*left.index}


def _passes(row: pd.DataFrame) -> bool:
    try:
        text_column(row, "t", "file")
        number_column(row, "n", "file", lowest=-10, highest=10)
    except InputError:
        return False
    return True


def test_rows_keep_the_numbers_of_their_file() -> None:
    frame = pd.DataFrame({"t": ["a", ""]}, index=pd.Index([3, 7], name="row"))
    bad = BadRows("skip")
    bad.left(frame, "file", texts=["t"])
    assert bad.skipped[0]["row"] == 7
    with pytest.raises(InputError, match="file, row 7"):
        text_column(frame, "t", "file")
