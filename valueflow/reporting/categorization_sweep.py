"""The end of a sweep of `categorize.py`: one table over its jobs."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from valueflow.categorization.display import show_categorizations
from valueflow.reporting.figures import figures
from valueflow.reporting.sweep import SWEEP_FILE, SweepEnd, distinguishing_settings
from valueflow.run.outputs import write_csv


class CategorizationSweepEnd(SweepEnd):
    """Hydra callback that sums up a sweep of categorisations."""

    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        """Write `sweep.csv` and print one row a run."""
        rows = [{"folder": job.name, **figures(summary)} for job, summary in summaries.items()]
        write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
        title = f"{len(summaries)} of {n_jobs} jobs"
        show_categorizations(list(summaries.values()), title, distinguishing_settings(list(summaries), ("theory",)))
        console.print(f"training tables: one folder a job in {folder}; table: {folder / SWEEP_FILE}", soft_wrap=True)
