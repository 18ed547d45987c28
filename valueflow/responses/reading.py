"""Reading responses: a file, a table, or all files of a folder."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.responses.columns import FILTERS, IDENTITY, JOINT, RESPONSES_FILE
from valueflow.responses.thoughts import responses_alone
from valueflow.run import (
    ERROR_FILE,
    InputError,
    as_texts,
    files_named,
    nearest,
    read_table,
    rename_columns,
    shorten,
    text_column,
)

DEMO_FILE = Path(__file__).parent.parent / "assets" / "responses.csv"

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
        The rows in order; the columns of `IDENTITY` and, where present, `FILTERS` as strings, others as read. Responses
        are without the thoughts that a reasoning model wrote before them; that there were some is warned of.
    str
        What messages and summaries call the source.

    Raises
    ------
    InputError
        A file cannot be read, a folder holds none, a column is missing, a response is missing, blank or nothing but
        thoughts, or a row has not as many intensities as values.
    """
    known = (*IDENTITY, *FILTERS)
    for ours in columns:
        if ours not in known:
            raise InputError(f"response_columns: unknown column '{ours}'; {nearest(ours, known)}")
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
    frame["response"] = _without_thoughts(text_column(frame, "response", where), where)
    for column in ("query", "dataset", *FILTERS):
        if column in frame:
            frame[column] = as_texts(frame[column], where)
    if "value" in frame and "intensity" in frame:
        _check_joined(frame["value"], frame["intensity"], where)
    return frame


def _without_thoughts(texts: npt.NDArray[np.object_], where: str) -> npt.NDArray[np.object_]:
    """Leave a model's thoughts out of responses, and refuse those of which nothing is left."""
    alone = responses_alone(texts.tolist())
    if rows := np.flatnonzero(alone.faults != "").tolist():
        more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
        raise InputError(
            f"{where}, row {rows[0] + 1}, column 'response': {alone.faults[rows[0]]}{more}; leave the row out, or have "
            "the model answer again with more tokens"
        )
    if alone.n_with_thoughts:
        _log.warning(
            "%s: %s of %s responses come with a model's thoughts, which are left out",
            *(where, f"{alone.n_with_thoughts:,}", f"{len(texts):,}"),
        )
    return alone.texts


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
