"""The end of a sweep of `build_vidb.py`: one table over its jobs, one folder with all their databases."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from valueflow.reporting.figures import figures
from valueflow.reporting.sweep import SWEEP_FILE, SweepEnd, distinguishing_settings
from valueflow.run.outputs import replacing, write_csv

_VIDB_FOLDER = "vidb"


class ConstructionSweepEnd(SweepEnd):
    """Hydra callback that sums up a sweep of databases."""

    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        """Write `sweep.csv`, bring the databases together and print one row a run."""
        # Imported here: every app loads this package, and only this one's room needs scipy.stats.
        from valueflow.construction.display import show_constructions

        rows = [{"folder": job.name, **figures(summary)} for job, summary in summaries.items()]
        write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
        title = f"{len(summaries)} of {n_jobs} jobs"
        told = list(summaries.values())
        show_constructions(told, title, distinguishing_settings(list(summaries), ("theory", "value")))
        files = [file for job in summaries for file in sorted((job / _VIDB_FOLDER).glob("*_flag_aggregated.csv"))]
        if files and len({file.name for file in files}) == len(files):
            for file in files:
                with replacing(folder / _VIDB_FOLDER / file.name) as temporary:
                    shutil.copyfile(file, temporary)
            console.print(f"all databases: {folder / _VIDB_FOLDER}", soft_wrap=True)
        elif files:
            console.print(f"a value stands in several jobs: the databases stay in their folders in {folder}")
        console.print(f"table: {folder / SWEEP_FILE}", soft_wrap=True)
