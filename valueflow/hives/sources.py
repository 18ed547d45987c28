"""What `data.train` and its like may name: training tables, VIDB anchors, ValueEval arguments."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from valueflow.hives.anchor_rows import anchor_rows
from valueflow.hives.table import TrainingTable, checked_frame, training_table
from valueflow.hives.valueeval import VALUEEVAL_SUFFIX, valueeval_rows
from valueflow.run.errors import InputError
from valueflow.run.tables import read_table
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb
from valueflow.vidb.loading import DEMO, HUGGING_FACE


def load_table(sources: Sequence[str]) -> TrainingTable:
    """Read training data of any kind into one table.

    Parameters
    ----------
    sources
        Each is one of:

        - a CSV or Parquet file with the columns of a training table;
        - VIDB anchors: `demo`, a folder of `VALUE_THEORY_flag_aggregated.csv` files, a CSV or Parquet file with
          `final_rating`, `theory` and `value`, or `hf://NAME`;
        - the arguments file of Touché-ValueEval (`.tsv`), its labels file beside it under the same name with `labels` in
          the place of `arguments`.

    Raises
    ------
    InputError
        A source is missing or cannot be used; with file, row and column.
    """
    return training_table(load_frames(sources))


def load_frames(sources: Sequence[str]) -> list[pd.DataFrame]:
    """Read each source into a checked frame with the columns of a training table."""
    if not sources:
        raise InputError("data.train is not set; give a file, a folder of anchors, a ValueEval file, or demo")
    return [_load(source) for source in sources]


def _load(source: str) -> pd.DataFrame:
    if source.lower().endswith(VALUEEVAL_SUFFIX):
        return checked_frame(valueeval_rows(Path(source)), source)
    is_vidb = source == DEMO or source.startswith(HUGGING_FACE) or os.path.isdir(source)
    table = None if is_vidb else read_table(Path(source), "data")
    if table is None or ("final_rating" in table and "direction" not in table):
        # Which theory is asked about decides nothing but the spelling of names that several theories share.
        return checked_frame(anchor_rows(load_vidb(source, load_theory("pvq"))), source)
    return checked_frame(table, source)
