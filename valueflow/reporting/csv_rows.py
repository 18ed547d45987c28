"""`logger=csv`: finished runs as the rows of a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from filelock import FileLock

from valueflow.reporting.runs import group_of, redacted
from valueflow.run import Outcome, RunInfo, RunLogger, RunRecord, flattened, write_csv

RUNS_FILE = "runs.csv"


@dataclass(frozen=True)
class CsvLogger(RunLogger):
    """Adds one row per run to `runs.csv`, in the sweep's folder or, for a single run, in its own."""

    def start(self, run: RunInfo) -> RunRecord:
        """Return the row of a run, which is written once it is finished."""
        return _Row(run)


@dataclass(frozen=True)
class _Row(RunRecord):
    run: RunInfo

    def finish(self, outcome: Outcome) -> Mapping[str, Any]:
        """Add the row; jobs of a sweep that run at once wait for each other."""
        path = (self.run.sweep_folder or self.run.folder) / RUNS_FILE
        group = group_of(self.run.sweep_folder) if self.run.sweep_folder else ""
        row = pd.DataFrame([{"name": redacted(self.run.name), "group": group, **flattened(outcome.summary)}])
        with FileLock(path.with_name(f".{RUNS_FILE}.lock")):
            if path.exists():
                # Runs may differ in their figures; a row keeps its own columns whatever came before.
                row = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False), row], ignore_index=True)
            write_csv(row, path)
        return {}
