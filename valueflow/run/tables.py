"""Tables that users give: CSV, Parquet or a DataFrame, checked column by column."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run.errors import InputError, nearest, shorten

PARQUET_SUFFIXES = (".parquet", ".pq")


def read_table(path: Path, what: str) -> pd.DataFrame:
    """Read a CSV or Parquet file, every CSV cell as text.

    Parameters
    ----------
    path
        The file; `.parquet` and `.pq` are read as Parquet, all else as CSV in UTF-8.
    what
        What the file is called in messages, such as `responses`.

    Returns
    -------
    pandas.DataFrame
        CSV columns hold strings ("NA" and "null" are texts like any other; an empty cell is an
        empty string), Parquet columns keep their types.

    Raises
    ------
    InputError
        The file is missing, empty, a folder, not UTF-8, or not a table.
    """
    check_there(path, what)
    with reading_faults(path, what):
        if path.suffix.lower() in PARQUET_SUFFIXES:
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False, compression=None
            )
    if frame.empty:
        raise InputError(f"{what}: {path} has no rows below its header")
    return frame


def check_there(path: Path, what: str) -> None:
    """Stop where a path is no file with content; `what` names it in the error."""
    # These two, unlike Path's own, also answer for names that no file system can hold.
    if os.path.isdir(path):
        raise InputError(f"{what}: {path} is a folder; give a CSV or Parquet file")
    if not os.path.exists(path):
        raise InputError(f"{what}: {shorten(str(path), 200)} does not exist{_neighbours(path)}")
    if path.stat().st_size == 0:
        raise InputError(f"{what}: {path} is empty")


@contextmanager
def reading_faults(path: Path, what: str) -> Iterator[None]:
    """Word what reading a table can raise as an InputError."""
    try:
        with warnings.catch_warnings():
            # A row with more cells than the header would otherwise lose them with only a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what}: {path} is not UTF-8 (byte {error.object[error.start]:#04x} at position {error.start} "
            "of a block); save it as UTF-8"
        ) from error
    except PermissionError as error:
        raise InputError(f"{what}: {path} may not be read (permission denied)") from error
    except (pd.errors.ParserWarning, pd.errors.ParserError, pd.errors.EmptyDataError, OSError, ValueError) as error:
        raise InputError(f"{what}: {path} is not a readable table: {error}") from error


def rename_columns(
    frame: pd.DataFrame, mapping: Mapping[str, str], required: Sequence[str], where: str
) -> pd.DataFrame:
    """Give a table our column names.

    Parameters
    ----------
    frame
        The table as read.
    mapping
        Our name -> the name in the file; where the two agree the entry changes nothing.
    required
        Our names that must be there.
    where
        The file, for messages.

    Raises
    ------
    InputError
        A column that is required, or that another name was given for, is missing; the message names
        the nearest ones.
    """
    present = [str(column) for column in frame.columns]
    if len(set(present)) < len(present):
        twice = next(column for column in present if present.count(column) > 1)
        raise InputError(f"{where}: column '{twice}' appears twice")
    renamed = [ours for ours, theirs in mapping.items() if ours != theirs]
    for ours in (*required, *renamed):
        theirs = mapping.get(ours, ours)
        if theirs not in present:
            raise InputError(f"{where}: column '{theirs}' is missing; {nearest(theirs, present)}")
    # Taken from the table as it was: names may be traded, and one column may serve as two of ours.
    taken = {ours: frame[mapping[ours]] for ours in renamed}
    unmoved = {ours for ours in (*required, *mapping) if mapping.get(ours, ours) == ours}
    moved = {mapping[ours] for ours in renamed} - unmoved
    return frame.drop(columns=sorted(moved)).assign(**taken)


def text_column(frame: pd.DataFrame, column: str, where: str) -> npt.NDArray[np.object_]:
    """Return a column of texts, none of them missing or blank; `where` names the file in the error."""
    texts = as_texts(frame[column], where)
    missing = np.array([not text.strip() for text in texts])
    if missing.any():
        rows = np.flatnonzero(missing)
        raise InputError(
            f"{where}, row {rows[0] + 1}, column '{column}': the text is missing{_and_more(len(rows))}; "
            "every row needs one"
        )
    return texts


def as_texts(column: pd.Series, where: str) -> npt.NDArray[np.object_]:
    """Return a column as texts, missing ones empty.

    Raises
    ------
    InputError
        A text holds half a character (a lone surrogate), which no UTF-8 file can.
    """
    present = column.notna().to_numpy()
    values = column.to_numpy(dtype=object)
    texts = np.array([str(value) if here else "" for value, here in zip(values, present, strict=True)], dtype=object)
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        row = next(row for row, text in enumerate(texts) if any("\ud800" <= letter <= "\udfff" for letter in text))
        raise InputError(f"{where}, row {row + 1}, column '{column.name}': half a character; mend it first") from None
    return texts


def number_column(
    frame: pd.DataFrame, column: str, where: str, *, lowest: float, highest: float
) -> npt.NDArray[np.float64]:
    """Return a column of finite numbers within [lowest, highest]; `where` names the file in the error."""
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~((numbers >= lowest) & (numbers <= highest))
    if bad.any():
        rows = np.flatnonzero(bad)
        found = shorten(str(frame[column].iloc[rows[0]]))
        raise InputError(
            f"{where}, row {rows[0] + 1}, column '{column}': '{found}' is not a number in "
            f"[{lowest:g}, {highest:g}]{_and_more(len(rows))}"
        )
    return numbers


def _and_more(count: int) -> str:
    return f" (and in {count - 1} more rows)" if count > 1 else ""


def _neighbours(path: Path) -> str:
    if not os.path.isdir(path.parent):
        return f" (nor does its folder {path.parent})"
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    return f"; {nearest(path.name, names[:40])}" if names else ""
