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
from valueflow.responses.logs import inspect_log, is_lm_eval, lm_eval_responses
from valueflow.responses.published import published_files, with_name_columns
from valueflow.responses.thoughts import responses_alone
from valueflow.run import (
    ERROR_FILE,
    HUGGING_FACE,
    BadRows,
    InputError,
    as_texts,
    files_named,
    nearest,
    prose,
    read_table,
    rename_columns,
    row_number,
    shorten,
    text_column,
)

DEMO_FILE = Path(__file__).parent.parent / "assets" / "responses.csv"

_JOINT_PATTERN = re.escape(JOINT)

_log = logging.getLogger(__name__)


_REQUIRED = ("query", "response")


def load_responses(
    source: str | pd.DataFrame | None, columns: Mapping[str, str | None], bad_rows: BadRows | None = None
) -> tuple[pd.DataFrame, str]:
    """Read a table of responses and check it.

    Parameters
    ----------
    source
        What `read_table` takes, a log of Inspect, samples of lm-eval, a folder, a table, or None for the demo
        responses. Of a folder every `responses.csv` is read, at any depth but for hidden folders, those of a sweep in
        the order of its jobs; a column that only some of them have is empty in the others. Folders of failed runs, and
        jobs of an earlier sweep in the same folder, are left out, with a warning. A folder without one may hold files
        as the published code names them (`published_files`); their names then say what was steered to.
    columns
        Our column name -> the table's, for those that differ; None where a column of ours is not there, and one of that
        name is something else.
    bad_rows
        What becomes of rows without a response.

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
    known, bad_rows = (*IDENTITY, *FILTERS), bad_rows or BadRows()
    for ours in columns:
        if ours not in known:
            raise InputError(f"response_columns: unknown column '{ours}'; {nearest(ours, known)}")
    if isinstance(source, pd.DataFrame):
        if source.empty:
            raise InputError("responses: the table has no rows")
        return _checked(source.reset_index(drop=True), columns, "responses", bad_rows), "responses"
    if source is None:
        return _read(DEMO_FILE, columns, bad_rows), "demo"
    # Unlike Path's own, it also answers for names that no file system can hold.
    if source.startswith(HUGGING_FACE) or not os.path.isdir(source):
        return _some(_read(source, columns, bad_rows), source), source
    files = files_named(Path(source), RESPONSES_FILE)
    if not files:
        files = published_files(Path(source))
        if files:
            _log.info("responses: %d files in %s are named as the published code does", len(files), source)
    if not files:
        raise InputError(
            f"responses: the folder {source} holds no file named {RESPONSES_FILE}, and none named as "
            "MODEL_DATASETS_FORMAT_VALUE_INTENSITY.csv, at no depth"
        )
    # Where a run has failed, what lies in its folder is an earlier run's.
    whole = [file for file in files if not (file.parent / ERROR_FILE).exists()]
    if len(whole) < len(files):
        _log.warning(
            "responses: %d of %d runs in %s have failed; left out", len(files) - len(whole), len(files), source
        )
    if not whole:
        raise InputError(f"responses: every run in the folder {source} has failed")
    parts = [_read(file, columns, bad_rows) for file in whole]
    return _some(_unsteered_once(parts, source), source), source


def _unsteered_once(parts: list[pd.DataFrame], source: str) -> pd.DataFrame:
    """Join the tables of a folder; what several jobs of a sweep say unsteered, at each intensity anew, counts once."""
    frame = pd.concat(parts, ignore_index=True).fillna("")
    known = [column for column in (*IDENTITY, *FILTERS) if column in frame]
    if not {"steering", "intensity"} <= {*known}:
        return frame
    # A response that one job gives twice is two.
    place = np.concatenate([part.groupby(list(IDENTITY), sort=False).cumcount() for part in parts])
    is_unsteered = (frame["steering"].str.strip() != "") & (frame["intensity"].str.strip() == "")
    again = (is_unsteered & frame[known].assign(place=place).duplicated()).to_numpy()
    if again.any():
        _log.info(
            "responses: %s unsteered responses in %s repeat those of an earlier job and count once",
            *(f"{int(again.sum()):,}", source),
        )
    return frame[~again].reset_index(drop=True)


def _some(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Refuse a table of which nothing is left."""
    if frame.empty:
        raise InputError(f"responses: {source} holds no row that can be used")
    return frame


def _read(source: str | Path, columns: Mapping[str, str | None], bad_rows: BadRows) -> pd.DataFrame:
    """Read a source, or a file of a folder (a path), whose name may say what was steered to."""
    frame = None if str(source).startswith(HUGGING_FACE) else inspect_log(Path(source), "responses")
    if frame is None:
        frame = read_table(source, "responses")
        if is_lm_eval(frame) and not {*_REQUIRED} <= {*frame.columns}:
            frame = lm_eval_responses(frame, str(source))
        elif isinstance(source, Path):
            frame = with_name_columns(frame, source.name)
    return _checked(frame, columns, str(source), bad_rows)


def _checked(frame: pd.DataFrame, columns: Mapping[str, str | None], where: str, bad_rows: BadRows) -> pd.DataFrame:
    frame = rename_columns(frame, columns, _REQUIRED, where)
    frame = bad_rows.left(frame, where, texts=["response"], prose={"response": "assistant", "query": "user"})
    frame, responses = _without_thoughts(frame, where, bad_rows)
    texts = {"response": responses, "query": _queries(frame["query"], where)}
    for column in ("dataset", *FILTERS):
        if column in frame:
            texts[column] = as_texts(frame[column], where)
    frame = frame.assign(dataset="")
    for column, cells in texts.items():
        frame[column] = cells
    if "value" in frame and "intensity" in frame:
        _check_joined(frame, where)
    return frame.reset_index(drop=True)


def _without_thoughts(
    frame: pd.DataFrame, where: str, bad_rows: BadRows
) -> tuple[pd.DataFrame, npt.NDArray[np.object_]]:
    """Leave a model's thoughts out of responses; rows of which nothing is left are refused, or skipped."""
    alone = responses_alone(text_column(frame, "response", where).tolist())
    rows = np.flatnonzero(alone.faults != "").tolist()
    if rows and bad_rows.policy == "fail":
        more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
        raise InputError(
            f"{where}, row {row_number(frame, rows[0])}, column 'response': {alone.faults[rows[0]]}{more}; leave the "
            "row out (on_bad_row=skip), or have the model answer again with more tokens"
        )
    for row in rows:
        bad_rows.skip(where, row_number(frame, row), "response", alone.faults[row], frame["response"].iloc[row])
    if alone.n_with_thoughts:
        _log.warning(
            "%s: %s of %s responses come with a model's thoughts, which are left out",
            *(where, f"{alone.n_with_thoughts:,}", f"{len(frame):,}"),
        )
    kept = alone.faults == ""
    return frame[kept], alone.texts[kept]


def _queries(column: "pd.Series[str]", where: str) -> npt.NDArray[np.object_]:
    """Return the queries, which may be missing; of a list of chat messages the user's last text."""
    return as_texts(prose(column, where, "user"), where)


def _check_joined(frame: pd.DataFrame, where: str) -> None:
    """Refuse rows that name several values and not an intensity for each, or the other way round."""
    values, intensities = frame["value"], frame["intensity"]
    filled = (values.str.strip() != "") & (intensities.str.strip() != "")
    differs = filled & (values.str.count(_JOINT_PATTERN) != intensities.str.count(_JOINT_PATTERN))
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise InputError(
            f"{where}, row {row_number(frame, row)}: value '{shorten(values.iloc[row])}' and intensity "
            f"'{shorten(intensities.iloc[row])}' differ in length; give each value its intensity, joined by {JOINT}"
        )
