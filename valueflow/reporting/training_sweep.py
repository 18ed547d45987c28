"""The end of a sweep of `train.py`: one table over its jobs."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from valueflow.hives.display import show_metrics, show_trainings
from valueflow.reporting.figures import figures
from valueflow.reporting.sweep import SWEEP_FILE, SweepEnd, distinguishing_settings
from valueflow.run.outputs import write_csv

_COLUMNS = ("stage", "loss")


class TrainingSweepEnd(SweepEnd):
    """Hydra callback that sums up a sweep of trainings, or of measurements."""

    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        """Write `sweep.csv` and print a table of the trainings, and one for each measured encoder."""
        rows = [{"folder": job.name, **figures(summary)} for job, summary in summaries.items()]
        write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
        trained = {job: summary for job, summary in summaries.items() if summary["task"] == "train"}
        if trained:
            title = f"{len(summaries)} of {n_jobs} jobs"
            show_trainings(list(trained.values()), title, distinguishing_settings(list(trained), _COLUMNS))
        for summary in summaries.values():
            if summary["task"] == "test":
                show_metrics(summary)
        console.print(f"tables:    {folder / SWEEP_FILE} and one folder a job beside it", soft_wrap=True)
