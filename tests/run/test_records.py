"""JSON Lines and JSON lists of objects are read as the json module reads them, or refused with their row."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valueflow.run import ROW, InputError, read_table, text_column

FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(folder: Path, content: str | bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


ROWS = [{"query": "How?", "response": "I share,\n\u201cmostly\u201d."}, {"query": "Why?", "response": "I keep."}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", LINES),
        ("t.ndjson", "\ufeff" + LINES),
        ("t.txt", LINES),
        ("t.json", LINES),
        ("t.json", json.dumps(ROWS)),
        ("t.json", json.dumps(ROWS, indent=2)),
        ("t.csv", json.dumps(ROWS)),
        ("t.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("t.json.gz", gzip.compress(json.dumps(ROWS).encode(), mtime=0)),
    ],
)
def test_objects_are_rows(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert read_table(write(tmp_path, content, name), "input").to_dict("records") == ROWS


def test_types_stay_and_keys_may_be_missing(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 2, "b": "x"}\n\n{"a": null, "c": [1, 2]}\n{}\n{"a": true}\n', "t.jsonl")
    read = read_table(path, "input")
    assert read["a"].tolist() == [2, None, True]
    assert read["c"].tolist() == [None, [1, 2], None]
    assert (read.index.name, read.index.tolist()) == (ROW, [1, 3, 5])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", '{"a": 1}\n{"a": \n', "row 2 is no JSON object: it breaks at character"),
        ("t.jsonl", '{"a": 1}\n[1]\n', "row 2 is no JSON object with a key for each column"),
        ("t.jsonl", '{"a": 1, "a": 2}\n', "row 1: the key 'a' appears twice"),
        ("t.jsonl", '{"a": 1, " a": 2}\n', "column 'a' appears twice"),
        ("t.json", '[{"a": 1}, 2]', "row 2: '2' is no object"),
        ("t.json", '[{"a": 1}', "is no readable JSON: it breaks at line 1, character"),
        ("t.json", '{"version": 1, "results": [{"a": 1}]}', "its 'results' holds one, save that alone"),
        ("t.json", '"text"', "holds no list of objects"),
        ("t.json", "[]", "has no rows"),
        ("t.json", "[" * 100_000, "is no readable JSON"),
    ],
)
def test_what_is_no_list_of_objects_is_told(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_table(write(tmp_path, content, name), "input")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert read_table(write(tmp_path, "a,b\n1,2\n", "t.txt"), "input").to_dict("list") == {"a": ["1"], "b": ["2"]}


cells = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers())
objects = st.dictionaries(st.sampled_from("abcd"), cells, min_size=1)


@FUZZ
@given(st.lists(objects, min_size=1, max_size=5))
def test_every_list_of_objects_comes_back(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    for name, content in (
        ("t.jsonl", "\n".join(map(json.dumps, rows))),
        ("t.json", json.dumps(rows)),
    ):
        path = write(tmp_path, content, name)
        keys = list(dict.fromkeys(key for row in rows for key in row))
        expected = [row for row in rows if any(row.get(key) is not None for key in keys) or len(keys) == 1]
        if not expected:
            with pytest.raises(InputError, match="has no rows"):
                read_table(path, "input")
            continue
        read = read_table(path, "input")
        assert list(read.columns) == keys
        assert [{key: row[key] for key in keys} for row in read.to_dict("records")] == [
            {key: row.get(key) for key in keys} for row in expected
        ]


@FUZZ
@given(st.text(st.sampled_from('{}[]":,ab1\n'), max_size=40))
def test_no_text_is_read_as_json_would_not(tmp_path: Path, text: str) -> None:
    try:
        read = read_table(write(tmp_path, text, "t.jsonl"), "input")
    except InputError:
        return
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    expected = [[row.get(key) for key in keys] for row in rows if row or len(keys) == 1]
    assert read.to_numpy().tolist() == expected
    assert [name for name in read.columns if not name.startswith("Unnamed")] == [key for key in keys if key]


def test_a_number_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path, '{"response": "a"}\n{"response": 4}\n', "t.jsonl")
    with pytest.raises(InputError, match="row 2, column 'response': holds the number 4, not a text"):
        text_column(read_table(path, "input"), "response", "file")
