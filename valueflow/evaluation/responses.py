"""Responses to score: reading, filtering, and what identifies one."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run.errors import InputError, nearest
from valueflow.run.tables import as_texts, read_table, rename_columns, text_column
from valueflow.theory import Theory, normalise_name

DEMO_FILE = Path(__file__).parent.parent / "assets" / "responses.csv"

IDENTITY = ("query", "dataset", "response")
"""The columns every response has; together they are what a response is."""

FILTERS = ("theory", "value", "intensity", "model")


def load_responses(source: str | pd.DataFrame | None, columns: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Read a table of responses and check its texts.

    Parameters
    ----------
    source
        Path of a CSV or Parquet file, a table, or None for the demo responses.
    columns
        Our column name -> the table's, for those that differ.

    Returns
    -------
    pandas.DataFrame
        The rows in order, `query`, `dataset` and `response` as strings; other columns as read.
    str
        What messages and summaries call the source.

    Raises
    ------
    InputError
        The file cannot be read, a column is missing, or a response is missing or blank.
    """
    known = (*IDENTITY, *FILTERS)
    for ours in columns:
        if ours not in known:
            raise InputError(f"response_columns: '{ours}' is no column of ours; {nearest(ours, known)}")
    if isinstance(source, pd.DataFrame):
        frame, where = source.reset_index(drop=True), "responses"
        if frame.empty:
            raise InputError("responses: the table has no rows")
    else:
        path = DEMO_FILE if source is None else Path(source)
        frame, where = read_table(path, "responses"), str(path)
    frame = rename_columns(frame, columns, IDENTITY, where)
    frame["response"] = text_column(frame, "response", where)
    for column in ("query", "dataset"):
        frame[column] = as_texts(frame[column], where)
    return frame, "demo" if source is None else where


def filter_responses(
    frame: pd.DataFrame, where: str, theory: Theory, value: str, intensity: int | None, model: str | None
) -> pd.DataFrame:
    """Keep the responses a run is about; a column that is not there filters nothing.

    Raises
    ------
    InputError
        None is left; the message says what the deciding column holds.
    """
    kept = frame
    wanted: dict[str, tuple[object, pd.Series]] = {}
    if "theory" in frame:
        wanted["theory"] = (theory.name, frame["theory"].map(lambda name: _same_theory(str(name), theory)))
    if "value" in frame:
        wanted["value"] = (value, frame["value"].map(lambda name: theory.find(str(name)) == value))
    if "intensity" in frame and intensity is not None:
        wanted["intensity"] = (intensity, pd.to_numeric(frame["intensity"], errors="coerce") == intensity)
    if "model" in frame and model is not None:
        wanted["model"] = (model, frame["model"].astype(str) == model)
    for column, (setting, matches) in wanted.items():
        left = kept[matches.loc[kept.index].astype(bool)]
        if left.empty:
            held = sorted(str(entry) for entry in kept[column].astype(str).unique())
            raise InputError(f"{where}: no response has {column} '{setting}'; {nearest(str(setting), held[:40])}")
        kept = left
    return kept.reset_index(drop=True)


def response_keys(frame: pd.DataFrame, seed: int) -> npt.NDArray[np.uint64]:
    """Hash what identifies each response, and the seed, into 64 bits.

    All draws for a response derive from its key: they do not depend on its row, on the other
    rows, or on how they are batched. Equal responses to equal queries share a key, hence a score.
    """
    # pandas takes a 16-byte key for its hash; any seed is digested into one.
    key = hashlib.blake2b(str(seed).encode(), digest_size=8).hexdigest()
    keys = pd.util.hash_pandas_object(frame[list(IDENTITY)].astype(object), index=False, hash_key=key, categorize=False)
    return np.asarray(keys, dtype=np.uint64)


def _same_theory(name: str, theory: Theory) -> bool:
    return normalise_name(name) in {normalise_name(theory.name), normalise_name(theory.name + "s")}
