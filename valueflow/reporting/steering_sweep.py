"""The end of a sweep of `steer.py`: one table over its jobs."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from valueflow.reporting.figures import figures
from valueflow.reporting.sweep import SWEEP_FILE, SweepEnd, distinguishing_settings
from valueflow.run.outputs import write_csv
from valueflow.steering.display import show_steering, show_surveys

_COLUMNS_OF_STEERING = ("theory", "value", "values", "intensity", "intensities", "steering")
_COLUMNS_OF_SURVEYS = ("preset", "theory", "llm")


class SteeringSweepEnd(SweepEnd):
    """Hydra callback that sums up a sweep of steered runs, of surveys, or of both."""

    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        """Write `sweep.csv` and print a table of the steered runs and one of the surveys."""
        rows = [{"folder": job.name, **figures(summary)} for job, summary in summaries.items()]
        write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
        surveys = {job: summary for job, summary in summaries.items() if summary["task"] == "opinionqa"}
        steered = {job: summary for job, summary in summaries.items() if job not in surveys}
        title = f"{len(summaries)} of {n_jobs} jobs"
        if steered:
            show_steering(list(steered.values()), title, distinguishing_settings(list(steered), _COLUMNS_OF_STEERING))
            console.print(
                f"responses: one folder a job; python evaluate.py responses={folder} value=...", soft_wrap=True
            )
        if surveys:
            show_surveys(list(surveys.values()), title, distinguishing_settings(list(surveys), _COLUMNS_OF_SURVEYS))
        console.print(f"tables:    {folder / SWEEP_FILE} and one folder a job beside it", soft_wrap=True)
