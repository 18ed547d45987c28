"""Anchors, ValueEval files and free names written as a training table, to look at or to edit."""

from collections.abc import Sequence

import pandas as pd

from valueflow.hives.data.sources import SourceRows, check_names, left_out_by_reason, load_rows
from valueflow.hives.data.table import training_table
from valueflow.hives.data.value_names import BY_DEFINITION, BY_NAME, BY_TABLE, UNMAPPED
from valueflow.hives.outcome import ConvertedTable
from valueflow.hives.settings import TrainSettings
from valueflow.run import Run
from valueflow.theory import level_columns


def convert_sources(settings: TrainSettings, run: Run) -> ConvertedTable:
    """Read `data.train` and return it as one training table; errors as in `load_rows`."""
    sources = settings.data.train or []
    with run.stage("convert"):
        loaded = load_rows(sources, settings.data.theory, rules=settings.data.label_rules)
        check_names(loaded, settings.data.label_rules)
        frames = [source.rows for source in loaded]
        table = pd.concat(frames, ignore_index=True).fillna("")
        levels = level_columns(table)
        rest = [column for column in table if column not in ("text", "theory", "direction", *levels)]
        table = table[["text", "theory", *levels, "direction", *rest]]
    names = _names(loaded)
    summary = {
        "task": "convert",
        "data": {
            "sources": sources,
            "rows": len(table),
            "texts": len(training_table(frames)),
            "left_out": left_out_by_reason(loaded),
            "theories": {str(name): int(n) for name, n in table["theory"].value_counts().sort_index().items()},
            "directions": {str(name): int(n) for name, n in table["direction"].value_counts().sort_index().items()},
        }
        | ({"names": _counts_by_way(names)} if names is not None else {}),
    }
    return ConvertedTable(table=table, names=names, summary=summary)


def _names(loaded: Sequence[SourceRows]) -> pd.DataFrame | None:
    """Return what the free names of all sources were taken for; None where there are none."""
    listed = [source.names for source in loaded if source.names is not None]
    if not listed:
        return None
    # A name means the same in every source; only its rows add up.
    names = pd.concat(listed, ignore_index=True)
    keys = [column for column in names if column != "rows"]
    added = names.groupby(keys, sort=False, dropna=False)["rows"].sum().reset_index()
    return added.sort_values(["rows", "name"], ascending=[False, True], kind="stable", ignore_index=True)


def _counts_by_way(names: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the distinct names and their rows by how they were mapped."""
    once = names.drop_duplicates("name")
    return {
        way: {"names": int((once["how"] == way).sum()), "rows": int(once.loc[once["how"] == way, "rows"].sum())}
        for way in (BY_TABLE, BY_NAME, BY_DEFINITION, UNMAPPED)
    }
