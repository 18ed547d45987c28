"""Responses to score: reading, filtering, and what identifies one."""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run.draws import row_keys
from valueflow.run.errors import InputError, nearest, shorten
from valueflow.run.folders import files_named
from valueflow.run.summary import ERROR_FILE
from valueflow.run.tables import as_texts, read_table, rename_columns, text_column
from valueflow.theory import Theory, normalise_name

DEMO_FILE = Path(__file__).parent.parent / "assets" / "responses.csv"

IDENTITY = ("query", "dataset", "response")
"""The columns every response has; together they are what a response is."""

FILTERS = ("theory", "value", "intensity", "steering", "model")
"""Columns that say how a response came about."""

RESPONSES_FILE = "responses.csv"
"""What a file of responses is called in a folder."""

JOINT = "|"
"""Stands between the values that a response was steered to at once, and between their intensities."""

_JOINT_PATTERN = re.escape(JOINT)

_log = logging.getLogger(__name__)


def load_responses(source: str | pd.DataFrame | None, columns: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Read a table of responses and check it.

    Parameters
    ----------
    source
        Path of a CSV or Parquet file, a folder, a table, or None for the demo responses. Of a folder every
        `responses.csv` is read, at any depth but for hidden folders, those of a sweep in the order of its jobs; a
        column that only some of them have is empty in the others. Folders of failed runs are left out, with a warning.
    columns
        Our column name -> the table's, for those that differ.

    Returns
    -------
    pandas.DataFrame
        The rows in order; the columns of `IDENTITY` and, where present, `FILTERS` as strings, others as read.
    str
        What messages and summaries call the source.

    Raises
    ------
    InputError
        A file cannot be read, a folder holds none, a column is missing, a response is missing or blank, or a row has
        not as many intensities as values.
    """
    known = (*IDENTITY, *FILTERS)
    for ours in columns:
        if ours not in known:
            raise InputError(f"response_columns: '{ours}' is no column of ours; {nearest(ours, known)}")
    if isinstance(source, pd.DataFrame):
        if source.empty:
            raise InputError("responses: the table has no rows")
        return _checked(source.reset_index(drop=True), columns, "responses"), "responses"
    if source is None:
        return _read(DEMO_FILE, columns), "demo"
    if not os.path.isdir(source):  # unlike Path's own, it also answers for names that no file system can hold
        return _read(Path(source), columns), source
    files = files_named(Path(source), RESPONSES_FILE)
    if not files:
        raise InputError(f"responses: the folder {source} holds no file named {RESPONSES_FILE}, at no depth")
    # Where a run has failed, what lies in its folder is an earlier run's.
    whole = [file for file in files if not (file.parent / ERROR_FILE).exists()]
    if len(whole) < len(files):
        _log.warning(
            "responses: %d of %d runs in %s have failed; left out", len(files) - len(whole), len(files), source
        )
    if not whole:
        raise InputError(f"responses: every run in the folder {source} has failed")
    return pd.concat([_read(file, columns) for file in whole], ignore_index=True).fillna(""), source


def _read(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    return _checked(read_table(path, "responses"), columns, str(path))


def _checked(frame: pd.DataFrame, columns: Mapping[str, str], where: str) -> pd.DataFrame:
    frame = rename_columns(frame, columns, IDENTITY, where)
    frame["response"] = text_column(frame, "response", where)
    for column in ("query", "dataset", *FILTERS):
        if column in frame:
            frame[column] = as_texts(frame[column], where)
    if "value" in frame and "intensity" in frame:
        _check_joined(frame["value"], frame["intensity"], where)
    return frame


def _check_joined(values: pd.Series, intensities: pd.Series, where: str) -> None:
    """Refuse rows that name several values and not an intensity for each, or the other way round."""
    filled = (values.str.strip() != "") & (intensities.str.strip() != "")
    differs = filled & (values.str.count(_JOINT_PATTERN) != intensities.str.count(_JOINT_PATTERN))
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise InputError(
            f"{where}, row {row + 1}: value '{shorten(values[row])}' and intensity '{shorten(intensities[row])}' "
            f"differ in length; give each value its intensity, joined by {JOINT}"
        )


def filter_responses(
    frame: pd.DataFrame,
    where: str,
    theory: Theory,
    value: str,
    *,
    intensity: int | None = None,
    model: str | None = None,
    steered_by: str | None = None,
    values: Sequence[str] | None = None,
    intensities: Sequence[int] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Keep the responses a run is about: those steered this way, of this model, to this theory, value and intensity.

    The columns filter in that order. One that is not there, or has no entry in any of the rows that are left, filters
    nothing. A response steered to several values at once (`benevolence|universalism`) is a response to each of them;
    its intensity (`2|-1`) on one is the entry at the same place.

    Parameters
    ----------
    frame
        As `load_responses` gives it.
    where
        The source, for messages.
    theory, value
        The theory, and the id of the value.
    intensity, model, steered_by
        Entries of the columns `intensity`, `model` and `steering`; None takes all.
    values, intensities
        Ids of all values that a response was steered to, and its intensity on each, in their order; None takes all.

    Returns
    -------
    pandas.DataFrame
        The rows that are left, numbered anew.
    list of str
        Which of the last three settings are given but found nothing to filter by: they are labels only.

    Raises
    ------
    InputError
        None is left; the message says what the deciding column holds.
    """

    @cache
    def named(cell: str) -> list[str | None]:
        return [theory.find(name) for name in cell.split(JOINT)]

    @cache
    def on_value(values: str, intensities: str) -> str:
        """Return the entry of an `intensity` cell that belongs to the value."""
        names, entries = named(values), intensities.split(JOINT)
        return entries[names.index(value)] if len(names) == len(entries) else ""

    if values is not None:
        frame = _steered_to(frame, where, [named(cell) == list(values) for cell in _cells(frame, "value")], values)
    if intensities is not None:
        wanted_cell = JOINT.join(map(str, intensities))
        fitting = [cell.replace(" ", "") == wanted_cell for cell in _cells(frame, "intensity")]
        frame = _steered_to(frame, where, fitting, intensities)
    filters: tuple[tuple[str, str, object, Callable[[str], bool]], ...] = (
        ("steered_by", "steering", steered_by, lambda cell: cell == steered_by),
        ("model", "model", model, lambda cell: cell == model),
        ("theory", "theory", theory.name, lambda cell: _same_theory(cell, theory)),
        ("value", "value", value, lambda cell: value in named(cell)),
        ("intensity", "intensity", intensity, lambda cell: pd.to_numeric(cell, errors="coerce") == intensity),
    )
    kept, idle = frame, []
    for setting, column, wanted, fits in filters:
        if wanted is None:
            continue
        cells = _cells(kept, column)
        if not any(cell.strip() for cell in cells):
            idle.append(setting)
            continue
        if column == "intensity" and "value" not in idle:
            cells = [on_value(*pair) for pair in zip(kept["value"].tolist(), cells, strict=True)]
        matches = {cell: fits(cell) for cell in set(cells)}  # there are far fewer cells than rows
        left = kept[[matches[cell] for cell in cells]]
        if left.empty:
            held = sorted({entry for cell in matches for entry in cell.split(JOINT) if entry.strip()})
            raise InputError(f"{where}: no response has {column} '{wanted}'; {nearest(str(wanted), held[:40])}")
        kept = left
    return kept.reset_index(drop=True), [setting for setting in idle if setting not in ("theory", "value")]


def _cells(frame: pd.DataFrame, column: str) -> list[str]:
    return frame[column].tolist() if column in frame else [""] * len(frame)


def _steered_to(frame: pd.DataFrame, where: str, fitting: list[bool], wanted: Sequence[object]) -> pd.DataFrame:
    """Keep the rows that fit, of those steered to several values at once."""
    if not any(fitting):
        held = sorted({cell for column in ("value", "intensity") for cell in _cells(frame, column) if JOINT in cell})
        raise InputError(
            f"{where}: no response was steered to exactly {JOINT.join(map(str, wanted))}; of several values at once it "
            f"holds: {', '.join(held[:20]) or 'none'}"
        )
    return frame[fitting]


def response_keys(frame: pd.DataFrame, seed: int) -> npt.NDArray[np.uint64]:
    """Hash what identifies each response, and the seed, into 64 bits.

    All draws for a response derive from its key: they do not depend on its row, on the other
    rows, or on how they are batched. Equal responses to equal queries share a key, hence a score.
    """
    return row_keys(frame[list(IDENTITY)], seed)


def _same_theory(name: str, theory: Theory) -> bool:
    return normalise_name(name) in {normalise_name(theory.name), normalise_name(theory.name + "s")}
