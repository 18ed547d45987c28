"""Columns of tables: given our names, and checked cell by cell."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run.errors import InputError, nearest, shorten
from valueflow.run.tables.cells import Speaker, as_texts, prose
from valueflow.run.tables.cells import row_number as number_in_file

_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:,\d{3})+\s*")


def row_number(frame: "pd.DataFrame | pd.Series[Any]", place: int) -> int:
    """Return the number in its file of a row of a table or column, given its place from 0."""
    return number_in_file(frame.index, place)


def rename_columns(
    frame: pd.DataFrame, mapping: Mapping[str, str | None], required: Sequence[str], where: str
) -> pd.DataFrame:
    """Give a table our column names.

    Parameters
    ----------
    frame
        The table as read.
    mapping
        Our name -> the name in the file; where the two agree the entry changes nothing. None: the table has no such
        column, and one of that name is something else.
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
    absent = [ours for ours, theirs in mapping.items() if theirs is None]
    given = {ours: theirs for ours, theirs in mapping.items() if theirs is not None}
    renamed = {ours: theirs for ours, theirs in given.items() if ours != theirs}
    for ours in required:
        if ours in absent:
            raise InputError(f"{where}: column '{ours}' is needed, so {ours}=null cannot be; {nearest(ours, present)}")
    for ours in (*required, *renamed):
        theirs = given.get(ours, ours)
        if theirs not in present:
            raise InputError(f"{where}: column '{theirs}' is missing; {nearest(theirs, present)}")
    # Taken from the table as it was: names may be traded, and one column may serve as two of ours.
    taken = {ours: frame[theirs] for ours, theirs in renamed.items()}
    unmoved = {ours for ours in (*required, *given) if given.get(ours, ours) == ours}
    moved = {*renamed.values(), *(ours for ours in absent if ours in present)} - unmoved
    return frame.drop(columns=sorted(moved)).assign(**taken)


def text_column(
    frame: pd.DataFrame, column: str, where: str, speaker: Speaker = "assistant"
) -> npt.NDArray[np.object_]:
    """Return a column of texts, none of them missing or blank.

    Parameters
    ----------
    frame, column
        The table and the name of the column.
    where
        The file, for messages.
    speaker
        Whose last text counts where a cell is a list of chat messages.

    Raises
    ------
    InputError
        A text is missing, or a cell is a list, a struct, bytes or a number.
    """
    texts = as_texts(prose(frame[column], where, speaker), where)
    missing = np.array([not text.strip() for text in texts])
    if missing.any():
        rows = np.flatnonzero(missing)
        raise InputError(
            f"{where}, row {row_number(frame, int(rows[0]))}, column '{column}': the text is missing"
            f"{_and_more(len(rows))}; every row needs one"
        )
    return texts


def number_column(
    frame: pd.DataFrame, column: str, where: str, *, lowest: float, highest: float
) -> npt.NDArray[np.float64]:
    """Return a column of finite numbers within [lowest, highest]; `where` names the file in the error.

    Commas are read as decimal points where they can be nothing else.
    """
    numbers = as_numbers(frame[column])
    with np.errstate(invalid="ignore"):
        bad = ~((numbers >= lowest) & (numbers <= highest))
    if bad.any():
        rows = np.flatnonzero(bad)
        found = str(frame[column].iloc[rows[0]])
        cure = "; write decimals with a point" if _DECIMAL_COMMA.fullmatch(found) else ""
        raise InputError(
            f"{where}, row {row_number(frame, int(rows[0]))}, column '{column}': '{shorten(found)}' is not a number in "
            f"[{lowest:g}, {highest:g}]{_and_more(len(rows))}{cure}"
        )
    return numbers


def as_numbers(column: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """Return a column as numbers, (N,); NaN where a cell is none: empty, a word, a boolean, a list.

    `7,5` is 7.5 where no cell of the column has a decimal point, and not all commas may stand between thousands.
    """
    if not pd.api.types.is_numeric_dtype(column):
        column = with_decimal_points(column)
    if column.dtype == object:
        numbers = str | int | float | np.number
        may_be = [isinstance(cell, numbers) and not isinstance(cell, bool) for cell in column.tolist()]
        column = column.where(np.array(may_be, dtype=bool))
    elif column.dtype == bool:
        return np.full(len(column), np.nan)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def with_decimal_points(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column whose decimal commas are points, if they are certain to be that."""
    cells = column.tolist()
    texts = [cell for cell in cells if isinstance(cell, str)]
    with_comma = [text for text in texts if "," in text and _DECIMAL_COMMA.fullmatch(text)]
    if not with_comma or all(map(_THOUSANDS.fullmatch, with_comma)):
        return column
    if any("." in text for text in texts) or any(isinstance(cell, float) and cell % 1 > 0 for cell in cells):
        return column
    replaced = [
        cell.replace(",", ".") if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells
    ]
    return pd.Series(replaced, index=column.index, name=column.name, dtype=object)


def _and_more(count: int) -> str:
    return f" (and in {count - 1} more rows)" if count > 1 else ""
