"""Texts from a file of any size, some thousand at a time."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from valueflow.run import (
    HUGGING_FACE,
    ROW,
    BadRows,
    DelimitedFile,
    InputError,
    Share,
    column_names,
    group_options,
    is_packed,
    nearest,
    prose,
    prose_faults,
    read_table,
    rename_columns,
    row_keys,
    shorten,
    table_kind,
)
from valueflow.theory import find_theory

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

    def keys(self) -> npt.NDArray[np.uint64]:
        """Return a key for each text with its theory, (N,); equal pairs share one."""
        return row_keys(pd.DataFrame({"text": self.texts, "theory": self.theories}), 0)

    def only(self, chosen: npt.NDArray[np.bool_]) -> "Chunk":
        """Return the texts that are chosen (N,)."""
        places = np.flatnonzero(chosen).tolist()
        return Chunk(
            [self.texts[place] for place in places],
            [self.theories[place] for place in places],
            [self.rows[place] for place in places],
        )


class TextFile:
    """A file of texts that is read as often as one likes, each time from its beginning.

    Delimited text and Parquet are never held in memory; what else `read_table` reads is.

    Attributes
    ----------
    rows
        Rows of the file, once it has been read to its end.
    other_theories
        Some names in its column `theory` that are not the one asked for.

    Parameters
    ----------
    source
        A file, or what else `read_table` takes.
    columns
        Our name (`text`, `theory`) -> the file's, where they differ.
    theory
        Where the file has no column `theory`: the theory of all its texts. With one: the only theory whose rows are
        given out; None gives out all.
    rows_per_chunk
        Rows held in memory, and texts in a chunk but the last.
    bad_rows
        What becomes of rows without a text.

    Raises
    ------
    InputError
        The file cannot be read, a column is missing, or there is neither a column nor a name of the theory.
    """

    def __init__(
        self,
        source: str | Path,
        columns: Mapping[str, str | None],
        theory: str | None,
        rows_per_chunk: int,
        bad_rows: BadRows | None = None,
    ) -> None:
        path = Path(source)
        is_hub = str(source).startswith(HUGGING_FACE)
        kind = "hub" if is_hub else table_kind(path, "input")
        is_plain = os.path.isfile(path) and not is_packed(path)
        self._streams = "delimited" if kind == "delimited" else "parquet" if kind == "parquet" and is_plain else None
        self._held = None if self._streams else read_table(source, "input")
        self.path = path
        self._source = str(source)
        self._state = _state(path)
        self._bad_rows = bad_rows or BadRows()
        self._skipped: set[int] = set()
        self.rows = 0
        self.other_theories: list[str] = []
        self._theory = theory
        self._size = rows_per_chunk
        present = self._header()
        # Raises where a column is missing, or appears twice.
        rename_columns(pd.DataFrame(columns=present), columns, ["text"], f"input: {source}")
        self._named = {ours: columns.get(ours, ours) or "" for ours in COLUMNS}
        self.has_theories = self._named["theory"] in present
        if not (self.has_theories or theory):
            raise InputError(
                f"input: {source}: no column '{self._named['theory']}' says which theory each text belongs to; name "
                f"one for all, as theory=pvq ({nearest(self._named['theory'], present)})"
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
        for numbers, cells, theories in self._blocks():
            if _state(self.path) != self._state:
                raise InputError(f"input: {self._source} has changed while it was read; start again")
            names = [self._theory] * len(cells) if theories is None else self._names(theories, numbers)
            wanted = [place for place, name in enumerate(names) if name is not None]
            for place, text in self._texts(cells, numbers, wanted):
                chunk.texts.append(text)
                chunk.theories.append(str(names[place]))
                chunk.rows.append(numbers[place])
                if len(chunk.texts) == self._size:
                    yield chunk
                    chunk = Chunk()
            row += len(cells)
        if row == 0:
            raise InputError(f"input: {self._source} has no rows below its header")
        self.rows = row
        if chunk.texts:
            yield chunk

    def anywhere(self) -> "TextFile":
        """Return this file for a process that works in another folder; messages name it as before."""
        found = copy(self)
        found.path = self.path.absolute()
        return found

    def _texts(self, cells: Sequence[Any], numbers: Sequence[int], wanted: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Give out the places that are wanted, with their texts; none is blank."""
        index = pd.Index([numbers[place] for place in wanted], name=ROW)
        column = pd.Series([cells[place] for place in wanted], index=index, name=self._named["text"], dtype=object)
        faults = {} if self._bad_rows.policy == "fail" else prose_faults(column, "assistant")
        if faults:
            for place, fault in faults.items():
                self._skip(int(index[place]), fault, column.iloc[place])
            kept = [place for place in range(len(wanted)) if place not in faults]
            wanted, index, column = [wanted[place] for place in kept], index[kept], column.iloc[kept]
        texts = prose(column, f"input: {self._source}", "assistant").tolist()
        for place, row, text in zip(wanted, index.tolist(), texts, strict=True):
            if type(text) is str and text and not text.isspace():
                yield place, text
            elif self._bad_rows.policy == "fail":
                raise InputError(f"{self._cell(row, 'text')}: the text is missing; every row needs one")
            else:
                self._skip(row, "the text is missing", "")

    def _skip(self, row: int, reason: str, cell: Any) -> None:
        """List a row that is left out, once: the file is read several times."""
        if row not in self._skipped:
            self._skipped.add(row)
            self._bad_rows.skip(f"input: {self._source}", row, self._named["text"], reason, cell)

    def _names(self, theories: Sequence[Any], numbers: Sequence[int]) -> list[str | None]:
        """Return the name of each row's theory; None for rows of others than the one asked for."""
        written = [cell if type(cell) is str else "" if _is_missing(cell) else str(cell) for cell in theories]
        names: dict[str, str | None] = {}
        for row, cell in zip(numbers, written, strict=True):
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

    def _cell(self, row: int, column: str) -> str:
        return f"input: {self._source}, row {row}, column '{self._named[column]}'"

    def _header(self) -> list[str]:
        if self._held is not None:
            return [str(name) for name in self._held.columns]
        if self._streams == "parquet":
            try:
                self._in_file = [str(name) for name in pq.read_schema(self.path).names]
            except (pa.ArrowException, OSError) as error:
                raise self._broken() from error
            return column_names(self._in_file, f"input: {self._source}")
        with DelimitedFile(self.path, "input") as table:
            return table.columns

    def _blocks(self) -> Iterator[tuple[Sequence[int], Sequence[Any], Sequence[Any] | None]]:
        """Give out the rows' numbers and the two columns, some rows at a time; the last is None where there is none."""
        named = [self._named["text"], *([self._named["theory"]] if self.has_theories else [])]
        if self._held is not None:
            blocks = self._held_blocks(self._held, named)
        else:
            blocks = self._parquet_blocks(named) if self._streams == "parquet" else self._delimited_blocks(named)
        for numbers, columns in blocks:
            yield numbers, columns[0], columns[1] if self.has_theories else None

    def _parquet_blocks(self, named: list[str]) -> Iterator[tuple[Sequence[int], list[list[Any]]]]:
        start = 1
        # The file's names may have blanks around them.
        in_file = dict(zip(self._header(), self._in_file, strict=True))
        named = [in_file[name] for name in named]
        try:
            # Buffered, or a row group's whole column would be held at once.
            with pq.ParquetFile(self.path, buffer_size=_READ_BUFFER) as file:
                for batch in file.iter_batches(batch_size=self._size, columns=list(dict.fromkeys(named))):
                    columns = [batch.column(name).to_pylist() for name in named]
                    yield range(start, start + len(batch)), columns
                    start += len(batch)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise InputError(f"input: {self._source} is not UTF-8 (byte {byte:#04x}); write it again") from error
        except (pa.ArrowException, OSError) as error:
            raise self._broken() from error

    def _delimited_blocks(self, named: list[str]) -> Iterator[tuple[Sequence[int], list[list[Any]]]]:
        with DelimitedFile(self.path, "input") as table:
            places = [table.columns.index(name) for name in named]
            while block := list(islice(table.rows, self._size)):
                yield [number for number, _ in block], [[row[place] for _, row in block] for place in places]

    def _held_blocks(self, held: pd.DataFrame, named: list[str]) -> Iterator[tuple[Sequence[int], list[list[Any]]]]:
        numbers = held.index.tolist() if held.index.name == ROW else list(range(1, len(held) + 1))
        for start in range(0, len(held), self._size):
            block = held.iloc[start : start + self._size]
            yield numbers[start : start + len(block)], [block[name].tolist() for name in named]

    def _broken(self) -> InputError:
        return InputError(f"input: {self._source} is not a readable table: no whole Parquet file")


def own_chunks(file: TextFile, share: Share, *, counted: bool = False) -> Iterator[Chunk]:
    """Give out the texts that a run is about; `counted` also counts all that there are. Errors as `chunks`."""
    for chunk in file.chunks():
        if share.is_whole and not counted:
            yield chunk
            continue
        keys = chunk.keys()
        if counted:
            share.count_rows(keys)
        own = chunk if share.shard is None else chunk.only(share.own(keys))
        if own.texts:
            yield own


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
    if not os.path.isfile(path):
        return 0, 0
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
