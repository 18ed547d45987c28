"""Excel workbooks are read as the CSV file that they could be saved as."""

import sys
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from valueflow.run import ROW, InputError, read_table


def book(path: Path, *sheets: list[list[Any]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    made = openpyxl.Workbook()
    made.remove(made.active)
    for number, rows in enumerate(sheets):
        sheet = made.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def test_the_first_sheet_that_holds_anything_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        [" text ", "n", "on"],
        ["I share.\nA lot.", 7, date(2026, 1, 2)],
        [None, None, None],
        ["=1", 2.5, True],
        [None] * 3,
    ]
    path = book(tmp_path / "b.xlsx", [], rows, [["other"], ["x"]])
    read = read_table(path, "input")
    assert read.to_dict("list") == {
        "text": ["I share.\nA lot.", ""],
        "n": ["7", "2.5"],
        "on": ["2026-01-02T00:00:00", "TRUE"],
    }
    assert (read.index.name, read.index.tolist()) == (ROW, [1, 3])
    assert "of the 2 sheets" in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", "a"], ["1", "2"]], "column 'a' appears twice"),
        ([["a"], ["1", "2"]], "row 1: a cell stands right of the header's 1 columns"),
        ([["a", "b"], ["1", "#N/A"]], "row 1, column 'b': the cell holds the error #N/A"),
        ([["a"]], "has no rows"),
        ([], "is an empty Excel workbook"),
    ],
)
def test_sheets_that_are_no_tables(tmp_path: Path, rows: list[list[Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_table(book(tmp_path / "b.xlsx", rows), "input")


def test_without_the_package_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    (tmp_path / "cut.xlsx").write_bytes(b"PK\x03\x04\x14\x00")
    for name in ("b.zip", "cut.xlsx"):
        with pytest.raises(InputError, match="is an Excel workbook, and .* pip install openpyxl, or save it as CSV"):
            read_table(tmp_path / name, "input")


def test_a_damaged_workbook_is_told(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "cut.xlsx").write_bytes(b"PK\x03\x04\x14\x00")
    with pytest.raises(InputError, match="is a damaged Excel workbook"):
        read_table(tmp_path / "cut.xlsx", "input")
