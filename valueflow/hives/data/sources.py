"""What `data.train` and its like may name: training tables, VIDB anchors, ValueEval arguments, free names of values."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from valueflow.hives.data.anchor_rows import anchor_rows
from valueflow.hives.data.named_rows import UNMAPPED_ROWS, has_free_names, named_rows
from valueflow.hives.data.table import TrainingTable, checked_frame, training_table
from valueflow.hives.data.valueeval import VALUEEVAL_SUFFIX, valueeval_rows
from valueflow.hives.settings import DEFAULT_RULES, LabelRules
from valueflow.run import InputError, nearest, read_table
from valueflow.theory import find_theory
from valueflow.vidb import DEMO, HUGGING_FACE, load_vidb

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceRows:
    """The checked rows of a source, and how much of it has no row, by reason.

    `names` lists what its free names of values were taken for; None: it has no free names. `has_column` is whether they
    stand in the column that was asked for (`data.names`).
    """

    rows: pd.DataFrame
    left_out: dict[str, int] = field(default_factory=dict)
    names: pd.DataFrame | None = None
    has_column: bool = False


def load_table(
    sources: Sequence[str], theory: str | None = None, *, rules: LabelRules = DEFAULT_RULES
) -> TrainingTable:
    """Read training data of any kind into one table; arguments and errors as in `load_rows`."""
    return training_table([source.rows for source in load_rows(sources, theory, rules=rules)])


def load_rows(
    sources: Sequence[str], theory: str | None = None, *, rules: LabelRules = DEFAULT_RULES
) -> list[SourceRows]:
    """Read training data of any kind, all of it or the rows of one theory; what is left out is logged.

    Each source is one of

    - a CSV or Parquet file with the columns of a training table;
    - VIDB anchors: `demo`, a folder of `VALUE_THEORY_flag_aggregated.csv` files, a CSV or Parquet file with
      `final_rating`, `theory` and `value`, or `hf://NAME`;
    - the arguments file of Touché-ValueEval (`.tsv`), its labels file beside it under the same name with `labels` in
      the place of `arguments`;
    - texts labeled with free names of values: a table that has the column `rules.names`, or `situation` and `vrd`
      as ValuePrism and ValueKaleidoscope have.

    Raises
    ------
    InputError
        A source is missing or cannot be used, with file, row and column; or no row is of the theory.
    """
    if not sources:
        raise InputError("data.train is not set; give a file, a folder of anchors, a ValueEval file, or demo")
    loaded = _of_theory([_load(source, rules) for source in sources], theory)
    for name, source in zip(sources, loaded, strict=True):
        for reason, count in source.left_out.items():
            _log.warning("%s: %s %s are left out", name, f"{count:,}", reason)
    return loaded


def _of_theory(loaded: list[SourceRows], theory: str | None) -> list[SourceRows]:
    """Leave out the rows of other theories."""
    if theory is None:
        return loaded
    known = find_theory(theory)
    name = theory.strip() if known is None else known.name
    kept = []
    for source in loaded:
        is_own = (source.rows["theory"].str.casefold() == name.casefold()).to_numpy()
        others = {"rows of other theories": int((~is_own).sum())} if not is_own.all() else {}
        rows = source.rows[is_own].reset_index(drop=True)
        kept.append(replace(source, rows=rows, left_out=source.left_out | others))
    if not any(len(source.rows) for source in kept):
        there = sorted({name for source in loaded for name in source.rows["theory"]})
        raise InputError(f"data.theory={theory}: no row is of this theory; {nearest(theory, there)}")
    return kept


def check_names(loaded: Sequence[SourceRows], rules: LabelRules) -> None:
    """Raise InputError where a column of free names is asked for that no source has."""
    if rules.names is not None and not any(source.has_column for source in loaded):
        there = sorted({str(column) for source in loaded for column in source.rows})
        raise InputError(f"data.names={rules.names}: no table has this column; {nearest(rules.names, there)}")


def left_out_by_reason(loaded: Sequence[SourceRows]) -> dict[str, int]:
    """Return what of several sources has no row, by reason."""
    return dict(sum((Counter(source.left_out) for source in loaded), Counter[str]()))


def _load(source: str, rules: LabelRules) -> SourceRows:
    if source.lower().endswith(VALUEEVAL_SUFFIX):
        rows, left_out = valueeval_rows(Path(source), rules.several_values)
        return SourceRows(checked_frame(rows, source), left_out)
    is_vidb = source == DEMO or source.startswith(HUGGING_FACE) or os.path.isdir(source)
    table = None if is_vidb else read_table(source, "data")
    if table is None or ("final_rating" in table and "direction" not in table):
        return SourceRows(checked_frame(anchor_rows(load_vidb(source)), source))
    if has_free_names(table, rules.names):
        named = named_rows(table, rules.names, rules.name_similarity, source)
        left_out = {UNMAPPED_ROWS: named.unmapped} if named.unmapped else {}
        return SourceRows(checked_frame(named.rows, source), left_out, named.names, rules.names in table)
    return SourceRows(checked_frame(table, source))
