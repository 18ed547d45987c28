"""Files that are complete or absent, and that say the same when they are read back."""

import csv
import json
import math
import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from valueflow.run import read_table, replacing, write_csv, write_json

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HOSTILE = [
    "\r",
    "a\rb",
    "\r\n",
    "\n",
    '"',
    '""",',
    "{[(",
    "\x00",
    "a\x00b",
    "\x07\x1b[31m",
    "\u2028",
    "\ufeff",
    " ",
    "",
]

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_folder
@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=6))
@example([(text, other) for text in HOSTILE for other in ("", "x")])
def test_any_text_in_a_csv_is_read_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["one", "two"], dtype=object).assign(number=np.arange(len(rows)) / 3)
    write_csv(frame, tmp_path / "table.csv")
    read = read_table(tmp_path / "table.csv", "table")
    assert list(zip(read["one"], read["two"], strict=True)) == rows
    assert [float(number) for number in read["number"]] == frame["number"].tolist()


@in_one_folder
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1, max_size=6))
@example(HOSTILE[:6])
def test_other_csv_readers_agree(tmp_path: Path, texts: list[str]) -> None:
    write_csv(pd.DataFrame({"text": texts, "n": 1}, dtype=object), tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["text"] for row in csv.DictReader(stream, strict=True)] == texts


def test_a_text_of_100_kb_is_read_back(tmp_path: Path) -> None:
    long = 'word "quoted", {braced}\r\n' * 4_000
    write_csv(pd.DataFrame({"text": [long, "short"]}), tmp_path / "table.csv")
    assert read_table(tmp_path / "table.csv", "table")["text"].tolist() == [long, "short"]


def test_a_number_that_is_missing_is_an_empty_cell(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"text": ["a", "b"], "score": [np.nan, 1.5]}), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == b"text,score\na,\nb,1.5\n"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@in_one_folder
@given(st.dictionaries(ANY_TEXT, JSON_VALUES, max_size=5))
@example(dict.fromkeys(HOSTILE, HOSTILE))
def test_any_figures_in_a_json_file_are_read_back(tmp_path: Path, figures: dict[str, object]) -> None:
    write_json(figures, tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8")) == figures


def test_json_has_null_for_what_is_no_number_and_plain_numbers_for_numpy_ones(tmp_path: Path) -> None:
    figures = {
        "nan": math.nan,
        "inf": [np.float32("inf"), -math.inf],
        "array": np.array([[1.0, np.nan]]),
        "int": np.int64(7),
        "bool": np.bool_(True),
        "path": Path("a/b"),
        3: (1, 2),
    }
    write_json(figures, tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8")) == {
        "nan": None,
        "inf": [None, None],
        "array": [[1.0, None]],
        "int": 7,
        "bool": True,
        "path": "a/b",
        "3": [1, 2],
    }


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new but hal")
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_json_cannot_hold_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_json({"text": "lone surrogate \ud800"}, tmp_path / "figures.json")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_the_suffix_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "picture.png"
    with replacing(path) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_permissions_follow_the_umask_as_for_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_json({}, tmp_path / "ours.json")
        (tmp_path / "other").touch()
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    ours, other = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours.json", "other"))
    assert ours == other
