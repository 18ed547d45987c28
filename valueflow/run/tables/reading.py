"""From a file, standard input or the hub to a table, by what it holds rather than by its name."""

import io
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from valueflow.run.errors import InputError
from valueflow.run.tables.cells import ROW
from valueflow.run.tables.content import PARQUET, ZIP, in_code_page, open_content, text_of
from valueflow.run.tables.delimited import column_names, delimited_rows
from valueflow.run.tables.hub import HUGGING_FACE, read_hub_table
from valueflow.run.tables.records import frame_of, json_lines, json_list, parsed
from valueflow.run.tables.workbook import is_workbook, read_workbook

PARQUET_SUFFIXES = (".parquet", ".pq")
_JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
_JSON_SUFFIXES = (".json",)
_BYTES_LOOKED_AT = 4096

TableKind = Literal["delimited", "json lines", "json", "parquet", "workbook"]

_log = logging.getLogger(__name__)


def read_table(source: str | Path, what: str) -> pd.DataFrame:
    """Read a table of any kind that people have, every cell of delimited text and workbooks as text.

    Parameters
    ----------
    source
        A file: delimited by commas, semicolons or tabs; JSON Lines; a JSON list of objects; Parquet; an Excel workbook;
        each but the last also compressed by gzip. `-` is standard input, `hf://NAME[:SPLIT]` a Hugging Face dataset.
    what
        What the file is called in messages, such as `responses`.

    Returns
    -------
    pandas.DataFrame
        Cells of delimited text are strings ("NA" and "null" are texts like any other; an empty cell is an empty
        string), Parquet and JSON keep their types. Rows in which all is empty are passed over; the index is then called
        `row` and numbers the rows as the file does, from 1.

    Raises
    ------
    InputError
        The source is missing, empty, a folder, in an unknown encoding or not a table; with the row, where it is one.
    """
    if str(source).startswith(HUGGING_FACE):
        frame = read_hub_table(str(source), what)
        numbers = list(range(1, len(frame) + 1))
    else:
        numbers, frame = _read(Path(source), what)
    if frame.empty:
        raise InputError(f"{what}: {source} has no rows below its header")
    frame.columns = pd.Index(column_names(map(str, frame.columns), f"{what}: {source}"))
    if numbers[-1] != len(frame):
        frame.index = pd.Index(numbers, name=ROW)
    return frame


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file that is no table; a key that appears twice in an object is a fault.

    Raises
    ------
    InputError
        The file is missing, or no JSON.
    """
    with _text(path, what) as text:
        return parsed(text.read(), f"{what}: {path}")


def table_kind(path: Path, what: str) -> TableKind:
    """Find out what kind of table a file holds.

    Raises
    ------
    InputError
        It is none that can be read.
    """
    suffix = _suffix(path)
    with open_content(path, what) as content:
        start = content.peek(_BYTES_LOOKED_AT)
        if start.startswith(PARQUET) or suffix in PARQUET_SUFFIXES:
            return "parquet"
        if start.startswith(ZIP):
            packed = content.read()
            if is_workbook(packed, path):
                return "workbook"
            raise InputError(f"{what}: {path} {_what_archive(packed)}")
    return _json_kind(start, suffix) or "delimited"


def _read(path: Path, what: str) -> tuple[list[int], pd.DataFrame]:
    where, kind = f"{what}: {path}", table_kind(path, what)
    if kind == "delimited":
        with DelimitedFile(path, what) as table:
            rows = list(table.rows)
        numbers = [number for number, _ in rows]
        cells = zip(*(row for _, row in rows), strict=True) if rows else [()] * len(table.columns)
        return numbers, pd.DataFrame(dict(zip(table.columns, map(list, cells), strict=True)), dtype=str)
    if kind in ("parquet", "workbook"):
        with open_content(path, what) as content:
            if kind == "workbook":
                return read_workbook(content.read(), path, what)
            frame = _parquet(content, where)
        return list(range(1, len(frame) + 1)), frame
    with _text(path, what) as text:
        numbers, objects = json_lines(text, where) if kind == "json lines" else json_list(text.read(), where)
    frame = frame_of(objects, where)
    if frame.empty:
        return [], frame
    filled = frame.notna().any(axis=1).to_numpy() | (len(frame.columns) == 1)
    return [number for number, here in zip(numbers, filled, strict=True) if here], frame[filled].reset_index(drop=True)


class DelimitedFile:
    """A file of delimited text, its rows read as they are asked for; `literal` as in `delimited_rows`.

    Attributes
    ----------
    columns
        Names of the columns.
    rows
        Number, from 1 below the header, and cells of each row.
    """

    def __init__(self, path: Path, what: str, *, literal: bool = False) -> None:
        self._path, self._what, self._literal = path, what, literal
        self._text = _text(path, what)

    def __enter__(self) -> "DelimitedFile":
        """Open the file and read its header."""
        try:
            text = self._text.__enter__()
            where = f"{self._what}: {self._path}"
            self.columns, self.rows = delimited_rows(text, where, _suffix(self._path), literal=self._literal)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._text.__exit__(None, None, None)


@contextmanager
def _text(path: Path, what: str) -> Iterator[IO[str]]:
    """Open a file's text; its encoding is looked at before anything is made of it."""
    with open_content(path, what) as content, text_of(content, path, what) as text:
        try:
            for _ in iter(lambda: text.read(1 << 20), ""):
                pass
            is_clean = True
        except UnicodeError:
            is_clean = False
    with open_content(path, what) as content:
        if is_clean:
            with text_of(content, path, what) as text:
                yield text
        else:
            decoded = in_code_page(content.read(), path, what)
            _log.warning("%s: %s is not UTF-8; it is read as Windows-1252", what, path)
            yield io.StringIO(decoded, newline="")


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _json_kind(start: bytes, suffix: str) -> TableKind | None:
    """Return which kind of JSON a file is, if it is any."""
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if suffix in _JSON_LINES_SUFFIXES:
        return "json lines"
    if suffix in _JSON_SUFFIXES:
        # What is called JSON may have an object in each line all the same.
        line, _, others = first.partition(b"\n")
        is_lines = line[:1] == b"{" and line.rstrip()[-1:] == b"}" and others.lstrip()[:1] == b"{"
        return "json lines" if is_lines else "json"
    if first[:2] in (b'{"', b"{'") and b":" in first.partition(b"\n")[0]:
        return "json lines"
    return "json" if first[:1] == b"[" and first[1:].lstrip()[:2] == b'{"' else None


def _parquet(content: io.BufferedReader, where: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(content).reset_index(drop=True)
    except Exception as error:  # pyarrow raises a dozen types
        raise InputError(
            f"{where} is not a readable table: its name or content says Parquet, and it is none"
        ) from error


def _what_archive(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "is a damaged zip archive; fetch or pack it again"
    if "header.json" in names or any(name.startswith("_journal/") for name in names):
        return "is a log of Inspect; it is read as responses only"
    return f"is a zip archive of {len(names)} files; unpack it first"
