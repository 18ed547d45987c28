"""Files of texts, read in pieces: what is given out, and what is refused as `read_table` would."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.extraction.reading import TextFile
from valueflow.run import BadRows, InputError, read_table, write_csv

Row = tuple[int, str, str]


def read(
    path: Path, *, columns: Mapping[str, str | None] | None = None, theory: str | None = "pvq", size: int = 2
) -> list[Row]:
    chunks = list(TextFile(path, columns or {}, theory, size).chunks())
    assert all(len(chunk.texts) == size for chunk in chunks[:-1])
    return [row for chunk in chunks for row in zip(chunk.rows, chunk.theories, chunk.texts, strict=True)]


def fault(path: Path, **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **more)
    return str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(40))
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: text.strip()), min_size=1, max_size=7
    ),
    st.integers(1, 9),
)
def test_any_texts_are_read_as_they_stand_whatever_the_size_of_a_chunk(
    tmp_path: Path, texts: list[str], size: int
) -> None:
    frame = pd.DataFrame({"text": texts, "n": 1}, dtype=object)
    write_csv(frame, tmp_path / "t.csv")
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=3)
    expected = [(row, "pvq", text) for row, text in enumerate(texts, 1)]
    assert read(tmp_path / "t.csv", size=size) == expected
    assert read(tmp_path / "t.parquet", size=size) == expected


def test_rows_of_one_theory_fill_whole_chunks_and_keep_their_numbers(tmp_path: Path) -> None:
    theories = ["mft", "rights", "pvq", " Right ", "mft", "RIGHT", "", "right"]
    pd.DataFrame({"text": list("abcdefgh"), "theory": theories}).to_csv(tmp_path / "t.csv", index=False)
    file = TextFile(tmp_path / "t.csv", {}, "right", 3)
    chunks = list(file.chunks())
    assert [chunk.rows for chunk in chunks] == [[2, 4, 6], [8]]
    assert "".join(text for chunk in chunks for text in chunk.texts) == "bdfh"
    assert {name for chunk in chunks for name in chunk.theories} == {"right"}
    assert file.rows == 8
    assert file.other_theories == ["mft", "pvq"]


def test_texts_of_other_theories_need_not_be_there(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["", "b"], "theory": ["mft", "pvq"]}).to_csv(tmp_path / "t.csv", index=False)
    assert read(tmp_path / "t.csv") == [(2, "pvq", "b")]


def test_without_a_choice_each_row_has_the_name_of_its_own_theory(tmp_path: Path) -> None:
    pd.DataFrame({"text": list("abc"), "theory": ["Rights", "my_own.2", "any"]}).to_csv(tmp_path / "t.csv", index=False)
    rows = read(tmp_path / "t.csv", theory=None)
    assert [name for _, name, _ in rows] == ["right", "my_own.2", "any"]


def test_columns_may_have_other_names_and_trade_them(tmp_path: Path) -> None:
    pd.DataFrame({"theory": ["a"], "text": ["mft"]}).to_csv(tmp_path / "t.csv", index=False)
    assert read(tmp_path / "t.csv", columns={"text": "theory", "theory": "text"}, theory=None) == [(1, "mft", "a")]
    assert read(tmp_path / "t.csv", columns={"text": "theory"}, theory="A") == [(1, "A", "a")]


def test_parquet_cells_that_are_no_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    kinds = {"text": [1, 2], "other": pd.Categorical(["x", "y"]), "binary": [b"x", b"y"], "holes": ["x", None]}
    pd.DataFrame({**kinds, "lists": [["x"], ["y"]]}).to_parquet(path)
    assert "row 1, column 'text': holds the number 1, not a text" in fault(path)
    assert [text for *_, text in read(path, columns={"text": "other"})] == ["x", "y"]
    names = read(path, columns={"text": "other", "theory": "text"}, theory=None)
    assert [name for _, name, _ in names] == ["1", "2"]
    assert "row 1, column 'binary': holds bytes, not a text" in fault(path, columns={"text": "binary"})
    assert "row 1, column 'lists': holds a list of 1, not a text" in fault(path, columns={"text": "lists"})
    assert "row 2, column 'holes': the text is missing" in fault(path, columns={"text": "holes"})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"text,n\n"),
        ("blank.csv", b"\n\n\n"),
        ("latin.csv", b"text,n\nok,1\ncr\xe8me,2\n"),
        ("half.csv", b"text,n\nok,1\n\xed\xa0\x80,2\n"),
        ("more.csv", b"text,n\na,b,c\n"),
        ("later.csv", b"text,n\na,b\nc,d\ne,f,g\n"),
        ("quote.csv", b'text,n\n"a,b\nc,d\n'),
    ],
)
def test_files_that_cannot_be_read_are_told_as_elsewhere(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as elsewhere:
        read_table(path, "input")
    told = fault(path)
    # Where in a block a byte stands depends on the block; the rest of the line does not.
    assert told.partition(" at position")[0] == str(elsewhere.value).partition(" at position")[0]
    assert "\n" not in told


def test_a_parquet_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"text,n\n")
    assert "t.parquet is not a readable table: " in fault(tmp_path / "t.parquet")


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").touch()
    assert "does not exist; did you mean 'texts.csv'?" in fault(tmp_path / "text.csv")
    assert "does not exist" in fault(tmp_path / "no" / "text.csv")
    assert "is a folder" in fault(tmp_path)


def test_half_a_character_in_parquet(tmp_path: Path) -> None:
    offsets = pa.py_buffer(b"\x00\x00\x00\x00\x03\x00\x00\x00")
    texts = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b"\xed\xa0\x80"))
    pq.write_table(pa.table({"text": texts}), tmp_path / "t.parquet")
    assert "is not UTF-8 (byte 0xed" in fault(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("table", "more", "parts"),
    [
        ({"txt": ["a"]}, {}, ("column 'text' is missing; did you mean 'txt'?",)),
        ({"text": ["a"]}, {"columns": {"theory": "th"}}, ("column 'th' is missing",)),
        ({"text": ["a"], "Theory": ["b"]}, {"theory": None}, ("no column 'theory'", "theory=pvq", "'Theory'?")),
        ({"text": ["a", "b", " \t"]}, {}, ("row 3, column 'text': the text is missing",)),
        ({"text": ["a"] * 3, "theory": ["b", "c", ""]}, {"theory": None}, ("row 3, column 'theory'", "is missing")),
        (
            {"text": ["a"] * 3, "theory": ["b", "c", "a/b"]},
            {"theory": None},
            ("row 3", "'a/b' cannot be part of a file"),
        ),
        ({"text": ["a"], "theory": ["..\\x"]}, {"theory": None}, ("row 1", "cannot be part of a file's name")),
        ({"text": ["a"], "theory": ["x" * 300]}, {"theory": None}, ("row 1", "cannot be part of a file's name")),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_missing_is_named_by_row_and_column(
    tmp_path: Path, suffix: str, table: dict[str, list[str]], more: dict[str, Any], parts: tuple[str, ...]
) -> None:
    path = tmp_path / f"t.{suffix}"
    frame = pd.DataFrame({**table, "n": 1})
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    told = fault(path, **more)
    assert all(part in told for part in parts), told


def test_a_file_that_changes_between_two_readings(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text\na\nb\nc\n")
    file = TextFile(path, {}, "pvq", 1)
    list(file.chunks())
    reading = file.chunks()
    next(reading)
    path.write_text("text\na\nb\nc\nd\n")
    with pytest.raises(InputError, match="has changed while it was read"):
        list(reading)
    with pytest.raises(InputError, match="has changed while it was read"):
        next(file.chunks())


@pytest.mark.parametrize("name", ["t.jsonl", "t.json.gz", "t.parquet.gz", "t.gz.parquet", "t.tsv", "t.csv.gz"])
def test_files_of_every_kind_give_the_same_chunks(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"text": [f"text {number}" for number in range(5)], "theory": "pvq"})
    path = tmp_path / name
    if ".parquet" in name:
        # What the name says does not matter, nor do blanks around names.
        path.write_bytes(gzip.compress(frame.rename(columns={"text": " text "}).to_parquet()))
    elif ".json" in name:
        frame.to_json(path, orient="records", lines=".jsonl" in name, compression="infer")
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    assert read(path, size=2) == [(row, "pvq", f"text {row - 1}") for row in range(1, 6)]


def test_rows_without_a_text_are_skipped_once_however_often_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,n\na,1\n,2\n,\nb,3\n")
    bad = BadRows("skip")
    file = TextFile(tmp_path / "t.csv", {}, "pvq", 2, bad)
    for _ in range(2):
        assert [chunk.rows for chunk in file.chunks()] == [[1, 4]]
    assert [row["row"] for row in bad.skipped] == [2]


def test_columns_of_parquet_have_no_blanks_around_their_names(tmp_path: Path) -> None:
    frame = pd.DataFrame({" text": ["a", "b"], "theory ": ["pvq", "mft"], "n": [1, 2]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", theory=None) == [(1, "pvq", "a"), (2, "mft", "b")]
    traded = read(tmp_path / "t.parquet", columns={"theory": "n", "text": "theory"}, theory=None)
    assert traded == [(1, "1", "pvq"), (2, "2", "mft")]
    frame.assign(text="c").to_parquet(tmp_path / "twice.parquet")
    assert "column 'text' appears twice" in fault(tmp_path / "twice.parquet")


def test_cells_that_are_no_text_are_skipped_once(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "I share."}
    rows = [{"text": [said]}, {"text": [{**said, "role": "user"}]}, {"text": "plain"}, {"text": 7}, {"text": "\ud800"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert "row 2, column 'text': its chat messages hold no text of the assistant" in fault(tmp_path / "t.jsonl")
    bad = BadRows("skip")
    file = TextFile(tmp_path / "t.jsonl", {}, "pvq", 2, bad)
    for _ in range(2):
        chunks = list(file.chunks())
        assert [chunk.rows for chunk in chunks] == [[1, 3]]
        assert chunks[0].texts == ["I share.", "plain"]
    assert [(row["row"], row["cell"]) for row in bad.skipped][1:] == [(4, "7"), (5, "\\ud800")]


def test_a_column_of_that_name_may_be_something_else(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a"], "theory": ["no theory of values"]}).to_csv(tmp_path / "t.csv", index=False)
    assert read(tmp_path / "t.csv", columns={"theory": None}) == [(1, "pvq", "a")]
