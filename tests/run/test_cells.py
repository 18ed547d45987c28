"""A cell that is no text is never taken for its repr; a conversation counts by its last word."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import InputError, as_texts, number_column, read_table, rename_columns, text_column

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How?"},
    {"role": "assistant", "content": "I share."},
    {"role": "user", "content": "And then?"},
    {"role": "assistant", "content": "I share again."},
]
PARTS = [
    {"role": "user", "content": [{"type": "text", "text": "How"}, {"type": "image", "url": "x"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "reasoning", "text": "They want bread."},
            {"type": "text", "text": "I give."},
            "So there.",
        ],
    },
]
SHARED = [{"from": "human", "value": "How?"}, {"from": "gpt", "value": "I lend."}]
TOOL = [*CHAT, {"role": "assistant", "content": None, "tool_calls": []}]


def column(*cells: Any) -> pd.DataFrame:
    return pd.DataFrame({"t": pd.Series(list(cells), dtype=object)})


@pytest.mark.parametrize(
    ("cell", "answer", "question"),
    [
        (CHAT, "I share again.", "And then?"),
        (PARTS, "I give.So there.", "How"),
        (SHARED, "I lend.", "How?"),
        (TOOL, "I share again.", "And then?"),
        (np.array(CHAT, dtype=object), "I share again.", "And then?"),
        (tuple(CHAT), "I share again.", "And then?"),
    ],
)
def test_the_last_text_of_the_one_who_speaks_counts(
    cell: Any, answer: str, question: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = column("plain", cell, cell)
    with caplog.at_level(logging.WARNING):
        assert text_column(table, "t", "file").tolist() == ["plain", answer, answer]
    assert caplog.text.count("2 cells are lists of chat messages; the last text of the assistant is taken") == 1
    assert text_column(table, "t", "file", "user").tolist() == ["plain", question, question]


def test_one_message_alone_is_one_too() -> None:
    assert text_column(column(CHAT[2]), "t", "file").tolist() == ["I share."]


@pytest.mark.parametrize("write", [json.dumps, repr])
def test_a_column_of_written_conversations_is_read_as_such(write: Any) -> None:
    assert text_column(column(write(CHAT), write(PARTS)), "t", "file").tolist() == [
        "I share again.",
        "I give.So there.",
    ]


@pytest.mark.parametrize("other", ["I share.", "[1, 2]", '[{"a": 1}]', "[{'role': broken"])
def test_a_text_among_written_conversations_leaves_all_as_they_stand(other: str) -> None:
    assert text_column(column(json.dumps(CHAT), other), "t", "file").tolist() == [json.dumps(CHAT), other]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (["a", "b"], "holds a list of 2, not a text"),
        (np.array([1, 2, 3]), "holds a list of 3, not a text"),
        ([], "holds a list of 0, not a text"),
        ([{"a": 1}], "holds a list of 1, not a text"),
        ({"a": 1, "b": 2}, "holds a struct (a, b), not a text"),
        (b"bytes", "holds bytes, not a text"),
        (4, "holds the number 4, not a text"),
        (4.5, "holds the number 4.5, not a text"),
        (np.float32(2), "holds the number 2.0, not a text"),
        (True, "holds the boolean True, not a text"),
        (pd.Timestamp("2026-01-01"), "holds Timestamp, not a text"),
        ([{"role": "user", "content": "How?"}], "its chat messages hold no text of the assistant"),
        ([{"role": "assistant", "content": [{"type": "image"}]}], "its chat messages hold no text of the assistant"),
    ],
)
def test_what_is_no_text_is_told_with_its_row(cell: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        text_column(column("a", cell), "t", "file")
    assert str(caught.value) == f"file, row 2, column 't': {message}"


@pytest.mark.parametrize("cell", [["power"], np.array(["power"]), {"a": 1}, b"power"])
def test_a_label_is_no_list_and_no_bytes(cell: Any) -> None:
    with pytest.raises(InputError, match="file, row 1, column 't': holds .*, not a text"):
        as_texts(column(cell)["t"], "file")


def test_labels_may_be_numbers() -> None:
    assert as_texts(column(7, True, 2.5, None, "x")["t"], "file").tolist() == ["7", "True", "2.5", "", "x"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_cells_of_files_are_what_they_were(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"chat": [CHAT, CHAT[:3]], "lists": [["a"], ["b"]], "structs": [{"a": 1}, {"a": 2}]})
    path = tmp_path / f"t.{kind}"
    frame.to_parquet(path) if kind == "parquet" else frame.to_json(path, orient="records", lines=True)
    read = read_table(path, "input")
    assert text_column(read, "chat", "file").tolist() == ["I share again.", "I share."]
    for name, what in (("lists", "a list of 1"), ("structs", "a struct (a)")):
        with pytest.raises(InputError, match="row 1") as caught:
            text_column(read, name, "file")
        assert f"holds {what}, not a text" in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "x"]), inner),
    max_leaves=8,
)


@given(st.lists(json_values, min_size=1, max_size=4))
def test_a_text_that_comes_back_stood_there(cells: list[Any]) -> None:
    try:
        texts = text_column(column(*cells), "t", "file")
    except InputError:
        return
    for cell, text in zip(cells, texts, strict=True):
        assert text == cell or text in _texts_within(cell)


def _texts_within(value: Any) -> list[str]:
    """Every text of a nested value that a message could say, those of its parts joined, too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for entry in value.values() for text in _texts_within(entry)]
    if isinstance(value, list):
        parts = [text for entry in value for text in _texts_within(entry)]
        return [*parts, "".join(entry for entry in value if isinstance(entry, str))]
    return []


@pytest.mark.parametrize("cell", [[1], {"a": 1}, True, b"1", "1,500", "0x1", "1 2", "\u0661_"])
def test_only_numbers_are_numbers(cell: Any) -> None:
    with pytest.raises(InputError, match="row 2, column 't'"):
        number_column(column(1, cell), "t", "file", lowest=-10, highest=10)


def test_a_column_may_be_something_else() -> None:
    frame = pd.DataFrame({"response": ["r"], "value": [0.7], "dataset": ["d"]})
    kept = rename_columns(frame, {"response": "response", "value": None, "dataset": None}, ["response"], "file")
    assert list(kept.columns) == ["response"]
    traded = rename_columns(frame, {"dataset": "value", "value": None}, ["response"], "file")
    assert traded["dataset"].tolist() == [0.7]
    assert "value" not in traded
    with pytest.raises(InputError, match="column 'response' is needed, so response=null cannot be"):
        rename_columns(frame, {"response": None}, ["response"], "file")
