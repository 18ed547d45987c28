"""Anchors and ValueEval files written as a training table, to look at or to edit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.hives.display import show_conversion
from valueflow.hives.settings import TrainSettings
from valueflow.hives.sources import left_out, load_rows
from valueflow.hives.table import level_columns, training_table
from valueflow.run import SUMMARY_FILE, Timings, versions, write_csv, write_json

TABLE_FILE = "training.csv"


@dataclass(frozen=True)
class ConvertedTable:
    """A training table.

    Attributes
    ----------
    table
        One row a text and path.
    summary
        Counts, sources, versions, timings.
    """

    table: pd.DataFrame
    summary: dict[str, Any]

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers; the texts are many, so there is none."""
        return {}

    def show(self) -> None:
        """Print the counts for a person."""
        show_conversion(self.summary)

    def write(self, folder: Path) -> None:
        """Write `training.csv` and `summary.json`."""
        write_csv(self.table, folder / TABLE_FILE)
        write_json(self.summary, folder / SUMMARY_FILE)


def convert_sources(settings: TrainSettings) -> ConvertedTable:
    """Read `data.train` and return it as one training table.

    Raises
    ------
    InputError
        A source is missing or cannot be used; with file, row and column.
    """
    started = datetime.now(UTC)
    timings = Timings()
    sources = settings.data.train or []
    with timings.stage("convert"):
        loaded = load_rows(sources)
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
            "left_out": left_out(loaded),
            "theories": {str(name): int(n) for name, n in table["theory"].value_counts().sort_index().items()},
            "directions": {str(name): int(n) for name, n in table["direction"].value_counts().sort_index().items()},
        },
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "timings": timings.as_dict(),
    }
    return ConvertedTable(table, summary)
