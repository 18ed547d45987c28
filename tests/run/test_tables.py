"""Tables that users give: what is read, renamed and refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import InputError, number_column, read_table, rename_columns, text_column


def test_csv_cells_are_texts_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\nNA,\n 007 ,nan\n1e5,null\n")
    read = read_table(path, "table")
    assert read.to_numpy().tolist() == [["NA", ""], [" 007 ", "nan"], ["1e5", "null"]]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8-sig")
    assert list(read_table(tmp_path / "t.csv", "table").columns) == ["a", "b"]


@pytest.mark.parametrize("suffix", [".parquet", ".pq", ".PARQUET"])
def test_parquet_keeps_its_types(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    frame = pd.DataFrame({"text": ["a\rb", "\x00"], "number": [1.5, -2]})
    frame.to_parquet(path)
    pd.testing.assert_frame_equal(read_table(path, "table"), frame)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"a,b\n", "has no rows below its header"),
        ("blank.csv", b"\n\n\n", "has no header"),
        ("latin.csv", b"a\ncr\xe8me\n", "is not UTF-8 (byte 0xe8"),
        ("broken.parquet", b"PAR1 but not really", "not a readable table"),
        ("text.pq", b"a,b\n1,2\n", "not a readable table"),
    ],
)
def test_what_is_no_table_is_told_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(path, "responses")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"responses: {path}")
    assert len(str(caught.value).splitlines()) == 1


def test_paths_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    (tmp_path / "anchors.csv").touch()
    with pytest.raises(InputError, match="does not exist; did you mean 'anchors.csv'"):
        read_table(tmp_path / "anchor.csv", "vidb")
    with pytest.raises(InputError, match="does not exist .nor does its folder"):
        read_table(tmp_path / "no" / "anchors.csv", "vidb")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path, "vidb")


@pytest.mark.parametrize(
    "name", ["x" * 5_000, "nul\x00byte.csv", "anchors.csv/inside.csv"], ids=["long", "nul", "file"]
)
def test_a_path_that_no_file_system_can_hold_does_not_exist(tmp_path: Path, name: str) -> None:
    (tmp_path / "anchors.csv").touch()
    with pytest.raises(InputError, match="does not exist"):
        read_table(tmp_path / name, "vidb")


def frame() -> pd.DataFrame:
    return pd.DataFrame({"query": ["q"], "response": ["r"], "answer": ["a"]})


def test_columns_get_our_names() -> None:
    renamed = rename_columns(frame(), {"dataset": "query"}, ["dataset"], "file")
    assert renamed.to_dict("records") == [{"dataset": "q", "response": "r", "answer": "a"}]
    assert rename_columns(frame(), {"query": "query"}, ["query"], "file").equals(frame())


def test_a_column_mapped_from_elsewhere_replaces_the_one_of_that_name() -> None:
    renamed = rename_columns(frame(), {"response": "answer"}, ["query", "response"], "file")
    assert renamed.to_dict("records") == [{"query": "q", "response": "a"}]


def test_columns_can_trade_names() -> None:
    mapping = {"query": "response", "response": "query"}
    renamed = rename_columns(frame(), mapping, ["query", "response"], "file")
    assert renamed[["query", "response"]].to_numpy().tolist() == [["r", "q"]]


@pytest.mark.parametrize("mapping", [{"query": "answer", "response": "answer"}, {"response": "query"}])
def test_one_column_may_serve_as_two_of_ours(mapping: dict[str, str]) -> None:
    given_frame = frame()
    renamed = rename_columns(given_frame, mapping, ["query", "response"], "file")
    for ours in ("query", "response"):
        assert renamed[ours].tolist() == given_frame[mapping.get(ours, ours)].tolist()


def test_a_missing_column_is_told_with_the_near_ones() -> None:
    with pytest.raises(
        InputError, match="file: column 'answers' is missing; did you mean 'answer'. Known: query, resp"
    ):
        rename_columns(frame(), {"response": "answers"}, ["response"], "file")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), min_size=1))
def test_texts_are_returned_as_they_are(texts: list[str]) -> None:
    column = text_column(pd.DataFrame({"t": pd.Series(texts, dtype=object)}), "t", "file")
    assert column.dtype == object
    assert column.tolist() == texts


@pytest.mark.parametrize("missing", [None, np.nan, "", "  ", "\n\t", pd.NA])
def test_a_missing_text_is_told_with_its_row(missing: object) -> None:
    table = pd.DataFrame({"t": pd.Series(["a", missing, "b", missing], dtype=object)})
    with pytest.raises(InputError, match="file, row 2, column 't': the text is missing .and in 1 more rows"):
        text_column(table, "t", "file")


@given(st.lists(st.floats(-10, 10), min_size=1))
def test_numbers_are_read_from_texts_and_numbers_alike(numbers: list[float]) -> None:
    for cells in (numbers, [repr(number) for number in numbers]):
        table = pd.DataFrame({"n": pd.Series(cells, dtype=object)})
        column = number_column(table, "n", "file", lowest=-10, highest=10)
        assert column.dtype == np.float64
        np.testing.assert_allclose(column, numbers, rtol=1e-15)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["7,5", "-3,25", "2", " 0,125 "], [7.5, -3.25, 2, 0.125]),
        (["1,234", "9,5"], [1.234, 9.5]),
        ([1, "2,5"], [1, 2.5]),
        (["25,0e-1", "1"], [2.5, 1]),
    ],
)
def test_decimal_commas_are_read_where_they_can_be_nothing_else(cells: list[object], numbers: list[float]) -> None:
    table = pd.DataFrame({"n": pd.Series(cells, dtype=object)})
    assert number_column(table, "n", "file", lowest=-10, highest=10).tolist() == numbers


@pytest.mark.parametrize("cells", [["1,234", "2"], ["7,5", "2.5"], ["1,000,000", "7,5"], ["7,5", 2.5]])
def test_commas_that_may_be_something_else_are_refused(cells: list[object]) -> None:
    table = pd.DataFrame({"n": pd.Series(cells, dtype=object)})
    with pytest.raises(InputError, match="file, row 1, column 'n': .* is not a number in .-10, 10"):
        number_column(table, "n", "file", lowest=-10, highest=10)


@pytest.mark.parametrize("cell", ["10.0001", "-11", "nan", "inf", "-inf", "", "high", "1,500", None, "1\n2"])
def test_what_is_no_number_of_the_range_is_told_with_its_row(cell: object) -> None:
    with pytest.raises(InputError, match="file, row 2, column 'n': .* is not a number in .-10, 10") as caught:
        number_column(pd.DataFrame({"n": ["1", cell]}), "n", "file", lowest=-10, highest=10)
    assert len(str(caught.value).splitlines()) == 1
