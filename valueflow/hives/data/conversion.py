"""Anchors and ValueEval files written as a training table, to look at or to edit."""

import pandas as pd

from valueflow.hives.data.sources import left_out_by_reason, load_rows
from valueflow.hives.data.table import training_table
from valueflow.hives.outcome import ConvertedTable
from valueflow.hives.settings import TrainSettings
from valueflow.run import Run
from valueflow.theory import level_columns


def convert_sources(settings: TrainSettings, run: Run) -> ConvertedTable:
    """Read `data.train` and return it as one training table; errors as in `load_rows`."""
    sources = settings.data.train or []
    with run.stage("convert"):
        loaded = load_rows(sources, settings.data.theory)
        frames = [source.rows for source in loaded]
        table = pd.concat(frames, ignore_index=True).fillna("")
        levels = level_columns(table)
        rest = [column for column in table if column not in ("text", "theory", "direction", *levels)]
        table = table[["text", "theory", *levels, "direction", *rest]]
    summary = {
        "task": "convert",
        "data": {
            "sources": sources,
            "rows": len(table),
            "texts": len(training_table(frames)),
            "left_out": left_out_by_reason(loaded),
            "theories": {str(name): int(n) for name, n in table["theory"].value_counts().sort_index().items()},
            "directions": {str(name): int(n) for name, n in table["direction"].value_counts().sort_index().items()},
        },
    }
    return ConvertedTable(table=table, summary=summary)
