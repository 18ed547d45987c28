"""Excel workbooks, their cells as texts, as a CSV file would hold them."""

import io
import logging
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.run.errors import InputError
from valueflow.run.tables.delimited import column_names

_log = logging.getLogger(__name__)


def is_workbook(content: bytes, path: Path) -> bool:
    """Return whether a zip archive, perhaps a damaged one, is an Excel workbook."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile:
        return path.suffix.lower() in (".xlsx", ".xlsm")


def read_workbook(content: bytes, path: Path, what: str) -> tuple[list[int], pd.DataFrame]:
    """Read the first sheet of a workbook that has any cell; return the numbers of its rows below the header.

    Raises
    ------
    InputError
        The library for it is not installed, the workbook cannot be read or is empty, a cell holds an error, or a column
        is named twice.
    """
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError as error:
        raise InputError(
            f"{what}: {path} is an Excel workbook, and the package to read it is not installed: pip install openpyxl, "
            "or save it as CSV UTF-8"
        ) from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = [(sheet.title, [[*map(_typed, row)] for row in sheet.iter_rows()]) for sheet in book.worksheets]
    except Exception as error:  # the library raises whatever its XML and zip readers do
        raise InputError(f"{what}: {path} is a damaged Excel workbook; save it again, or as CSV UTF-8") from error
    filled = [(title, rows) for title, rows in sheets if any(_is_filled(row) for row in rows)]
    if not filled:
        raise InputError(f"{what}: {path} is an empty Excel workbook")
    title, rows = filled[0]
    if len(filled) > 1:
        _log.warning("%s: of the %d sheets of %s the first, '%s', is read", what, len(filled), path, title)
    where = f"{what}: {path}"
    start = next(place for place, row in enumerate(rows) if _is_filled(row))
    width = max(place for place, (cell, _) in enumerate(rows[start]) if cell.strip()) + 1
    columns = column_names([cell for cell, _ in rows[start][:width]], where)
    numbers, cells = [], []
    for number, row in enumerate(rows[start + 1 :], start=1):
        if not _is_filled(row):
            continue
        if _is_filled(row[width:]):
            raise InputError(f"{where}, row {number}: a cell stands right of the header's {width} columns")
        for name, (cell, is_error) in zip(columns, row, strict=False):
            if is_error:
                raise InputError(f"{where}, row {number}, column '{name}': the cell holds the error {cell}")
        numbers.append(number)
        cells.append([cell for cell, _ in row[:width]] + [""] * (width - len(row)))
    return numbers, pd.DataFrame(cells, columns=columns, dtype=str)


def _is_filled(row: list[tuple[str, bool]]) -> bool:
    return any(cell.strip() for cell, _ in row)


def _typed(cell: Any) -> tuple[str, bool]:
    """Return a cell as a text, and whether it is an error."""
    value = cell.value
    if value is None:
        return "", False
    if isinstance(value, bool):
        return str(value).upper(), False
    if isinstance(value, float) and value.is_integer():
        return str(int(value)), False
    if isinstance(value, datetime | date | time):
        return value.isoformat(), False
    return str(value), cell.data_type == "e"
