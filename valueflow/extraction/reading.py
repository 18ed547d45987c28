"""Texts from a CSV or Parquet file of any size, some thousand at a time."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from valueflow.run import (
    PARQUET_SUFFIXES,
    InputError,
    check_there,
    group_options,
    nearest,
    reading_faults,
    rename_columns,
    shorten,
)
from valueflow.theory import find_theory

if TYPE_CHECKING:
    from pandas.io.parsers import TextFileReader

COLUMNS = ("text", "theory")

_FILE_NAME = re.compile(r"\w[\w.-]*")
_LONGEST_FILE_NAME = 200
"""Bytes; file systems take 255."""

_MAX_NAMES = 20

_READ_BUFFER = 1 << 20


@dataclass(frozen=True)
class Chunk:
    """Texts that follow one another in a file.

    Attributes
    ----------
    texts
        As they stand in the file; none is blank.
    theories
        The theory of each, by the name that its file of vectors bears.
    rows
        Where each stands, counted from 1 below the header.
    """

    texts: list[str] = field(default_factory=list)
    theories: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


class TextFile:
    """A file of texts that is read as often as one likes, each time from its beginning, never held in memory.

    Attributes
    ----------
    rows
        Rows of the file, once it has been read to its end.
    other_theories
        Some names in its column `theory` that are not the one asked for.

    Parameters
    ----------
    path
        `.parquet` and `.pq` are read as Parquet, all else as CSV in UTF-8.
    columns
        Our name (`text`, `theory`) -> the file's, where they differ.
    theory
        Where the file has no column `theory`: the theory of all its texts. With one: the only theory whose rows are
        given out; None gives out all.
    rows_per_chunk
        Rows held in memory, and texts in a chunk but the last.

    Raises
    ------
    InputError
        The file cannot be read, a column is missing, or there is neither a column nor a name of the theory.
    """

    def __init__(self, path: Path, columns: Mapping[str, str], theory: str | None, rows_per_chunk: int) -> None:
        check_there(path, "input")
        self.path = path
        self._state = _state(path)
        self.rows = 0
        self.other_theories: list[str] = []
        self._theory = theory
        self._size = rows_per_chunk
        self._is_parquet = path.suffix.lower() in PARQUET_SUFFIXES
        self._named = {ours: columns.get(ours, ours) for ours in COLUMNS}
        present = self._header()
        # Raises where a column is missing, or appears twice.
        rename_columns(pd.DataFrame(columns=present), {**columns}, ["text"], f"input: {path}")
        self.has_theories = self._named["theory"] in present
        if not (self.has_theories or theory):
            raise InputError(
                f"input: {path}: no column '{self._named['theory']}' says which theory each text belongs to; name one "
                f"for all, as theory=pvq ({nearest(self._named['theory'], present)})"
            )

    def chunks(self) -> Iterator[Chunk]:
        """Give out the texts in the order of the file.

        Raises
        ------
        InputError
            The file is not what its name says or holds half a character, a text or theory is missing, a theory's name
            makes no file's, or the file has changed since this object was made.
        """
        chunk, row = Chunk(), 0
        for texts, theories in self._blocks():
            if _state(self.path) != self._state:
                raise InputError(f"input: {self.path} has changed while it was read; start again")
            names = [self._theory] * len(texts) if theories is None else self._names(theories, row)
            for text, name in zip(texts, names, strict=True):
                row += 1
                if name is None:
                    continue
                if type(text) is not str:
                    text = self._as_text(text, row)
                if not text or text.isspace():
                    raise InputError(f"{self._cell(row, 'text')}: the text is missing; every row needs one")
                chunk.texts.append(text)
                chunk.theories.append(name)
                chunk.rows.append(row)
                if len(chunk.texts) == self._size:
                    yield chunk
                    chunk = Chunk()
        if row == 0:
            raise InputError(f"input: {self.path} has no rows below its header")
        self.rows = row
        if chunk.texts:
            yield chunk

    def _names(self, theories: list[Any], rows_before: int) -> list[str | None]:
        """Return the name of each row's theory; None for rows of others than the one asked for."""
        written = [cell if type(cell) is str else "" if _is_missing(cell) else str(cell) for cell in theories]
        names: dict[str, str | None] = {}
        for row, cell in enumerate(written, rows_before + 1):
            if cell not in names:
                names[cell] = self._name(cell, row)
        return [names[cell] for cell in written]

    def _name(self, written: str, row: int) -> str | None:
        name = theory_name(written)
        if self._theory is not None:
            if name.casefold() == self._theory.casefold():
                return self._theory
            if name and name not in self.other_theories and len(self.other_theories) < _MAX_NAMES:
                self.other_theories.append(name)
            return None
        if not name:
            raise InputError(
                f"{self._cell(row, 'theory')}: the theory is missing; every row needs one, or choose one: theory=..."
            )
        try:
            return check_file_name(name)
        except ValueError as error:
            raise InputError(f"{self._cell(row, 'theory')}: {error}") from error

    def _as_text(self, cell: Any, row: int) -> str:
        """Word a Parquet cell that is no text."""
        if _is_missing(cell):
            return ""
        if isinstance(cell, bytes | list | dict):
            raise InputError(f"{self._cell(row, 'text')}: holds {type(cell).__name__}, not a text")
        return str(cell)

    def _cell(self, row: int, column: str) -> str:
        return f"input: {self.path}, row {row}, column '{self._named[column]}'"

    def _header(self) -> list[str]:
        with _told(self.path):
            if self._is_parquet:
                return [str(name) for name in pq.read_schema(self.path).names]
            with _csv(self.path, 1) as reader:
                return [str(name) for name in next(reader).columns]

    def _blocks(self) -> Iterator[tuple[list[Any], list[Any] | None]]:
        """Give out the two columns, some rows at a time; the second is None where there is none."""
        named = [self._named["text"], *([self._named["theory"]] if self.has_theories else [])]
        blocks = self._parquet_blocks(named) if self._is_parquet else self._csv_blocks(named)
        while True:
            # Around each step, not around the loop: what whoever reads does with a block is no fault of the file.
            with _told(self.path):
                block = next(blocks, None)
            if block is None:
                return
            yield block[0], block[1] if self.has_theories else None

    def _parquet_blocks(self, named: list[str]) -> Iterator[list[list[Any]]]:
        # Buffered, or a row group's whole column would be held at once.
        with pq.ParquetFile(self.path, buffer_size=_READ_BUFFER) as file:
            for batch in file.iter_batches(batch_size=self._size, columns=list(dict.fromkeys(named))):
                yield [batch.column(name).to_pylist() for name in named]

    def _csv_blocks(self, named: list[str]) -> Iterator[list[list[Any]]]:
        with _csv(self.path, self._size) as reader:
            for frame in reader:
                yield [frame[name].tolist() for name in named]


def theory_name(written: str) -> str:
    """Return a theory's own name for any spelling or alias of a known one; other names but for spaces around them."""
    name = written.strip()
    known = find_theory(name) if name.lower() in _known_options() else None
    return known.name if known else name


def check_file_name(name: str) -> str:
    """Return a theory's name if it may be part of a file's.

    Raises
    ------
    ValueError
        It may not.
    """
    if not _FILE_NAME.fullmatch(name) or len(name.encode("utf-8")) > _LONGEST_FILE_NAME:
        raise ValueError(
            f"'{shorten(name)}' cannot be part of a file's name; a theory is named by letters, digits, '_', '-' and '.'"
        )
    return name


@lru_cache(maxsize=1)
def _known_options() -> frozenset[str]:
    return frozenset(group_options("theory"))


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _state(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def _csv(path: Path, rows: int) -> "TextFileReader":
    """Open a CSV file as `read_table` does, to be read some rows at a time."""
    return pd.read_csv(
        path,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
        index_col=False,
        compression=None,
        chunksize=rows,
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Word what reading a file can raise as `read_table` does, pyarrow's own faults too."""
    try:
        with reading_faults(path, "input"):
            yield
    except pa.ArrowException as error:
        raise InputError(f"input: {path} is not a readable table: {error}") from error
