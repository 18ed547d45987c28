"""Rows that cannot be used: refused, skipped and listed, or clamped."""

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import BadRows, InputError, number_column, prose, row_number, text_column

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
    good = [row + 1 for row in range(len(frame)) if _passes(frame.iloc[[row]])]
    numbers = [row_number(left, place) for place in range(len(left))]
    if policy == "skip":
        assert numbers == good
    else:
        assert {*good} <= {*numbers}


def _passes(row: pd.DataFrame) -> bool:
    try:
        text_column(row, "t", "file")
        number_column(row, "n", "file", lowest=-10, highest=10)
    except InputError:
        return False
    return True


CHAT = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "I share."}]
SILENT = [{"role": "user", "content": "How?"}]


def test_cells_that_are_no_text_are_skipped_where_prose_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    cells = ["a", CHAT, SILENT, {"x": 1}, 4, b"b", "half \ud800", None, ""]
    frame = pd.DataFrame({"t": pd.Series(cells, dtype=object), "u": pd.Series(cells[::-1], dtype=object)})
    bad = BadRows("skip")
    left = bad.left(frame, "file", texts=["t"], prose={"t": "assistant"})
    assert text_column(left, "t", "file").tolist() == ["a", "I share."]
    assert [(entry["row"], entry["reason"]) for entry in bad.skipped] == [
        (8, "the text is missing"),
        (9, "the text is missing"),
        (3, "its chat messages hold no text of the assistant"),
        (4, "holds a struct (x), not a text"),
        (5, "holds the number 4, not a text"),
        (6, "holds bytes, not a text"),
        (7, "half a character; mend it first"),
    ]
    # A column that may be blank is none the less no place for structs; the user has spoken in all conversations.
    left = BadRows("skip").left(frame, "file", prose={"u": "user"})
    assert prose(left["u"], "file", "user").tolist() == ["", None, "How?", "How?", "a"]


def test_written_conversations_without_the_speaker_are_skipped() -> None:
    frame = pd.DataFrame({"t": [json.dumps(CHAT), json.dumps(SILENT), ""]})
    bad = BadRows("skip")
    left = bad.left(frame, "file", prose={"t": "assistant"})
    assert prose(left["t"], "file", "assistant").tolist() == ["I share.", ""]
    assert bad.skipped[0]["row"] == 2


def test_rows_that_are_skipped_still_say_what_commas_are() -> None:
    left = BadRows("skip").left(pd.DataFrame({"n": ["12,5", "1,234", "x"]}), "file", numbers=LIMITS)
    assert number_column(left, "n", "file", lowest=-10, highest=10).tolist() == [1.234]


def test_rows_keep_their_numbers_when_others_are_skipped_twice() -> None:
    bad = BadRows("skip")
    left = bad.left(table(), "file", texts=["t"])
    assert [row_number(left, place) for place in range(len(left))] == [1, 3, 4, 6]
    bad.left(left, "file", numbers=LIMITS)
    assert [entry["row"] for entry in bad.skipped] == [2, 5, 3, 4]


def test_rows_keep_the_numbers_of_their_file() -> None:
    frame = pd.DataFrame({"t": ["a", ""]}, index=pd.Index([3, 7], name="row"))
    bad = BadRows("skip")
    bad.left(frame, "file", texts=["t"])
    assert bad.skipped[0]["row"] == 7
    with pytest.raises(InputError, match="file, row 7"):
        text_column(frame, "t", "file")
