"""The end of a sweep: what its jobs have written is summed up, and those that failed are named."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from valueflow.run.app import EXIT_FAILED, EXIT_INPUT
from valueflow.run.folders import by_number
from valueflow.run.summary import ERROR_FILE, SUMMARY_FILE, read_record

SWEEP_FILE = "sweep.csv"
"""The table over the jobs of a sweep, in its folder."""

_log = logging.getLogger(__name__)


class SweepEnd(Callback, ABC):  # type: ignore[misc]
    """Hydra callback that sums a sweep up from the folders of its jobs; a subclass for each app.

    It reads what the jobs have written and asks nothing of the process they ran in, so it works
    after any launcher and after a sweep that was resumed.
    """

    @abstractmethod
    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        """Write and print what the sweep came to.

        Parameters
        ----------
        summaries
            Folder of each finished job, by number -> its summary; never empty.
        n_jobs
            Jobs of the sweep, failed ones too.
        folder
            The sweep's own folder.
        console
            Prints texts as they are, without markup.
        """

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Sum up, and name the failed jobs.

        Raises
        ------
        SystemExit
            A job failed: code 2 where all failures are faults of the input, else 1.
        """
        folder = Path(config.hydra.sweep.dir)
        console = Console(markup=False, highlight=False)
        jobs = [path for path in folder.iterdir() if (path / ".hydra").is_dir()]
        jobs.sort(key=lambda job: by_number(job.name))
        records = {job: read_record(job / SUMMARY_FILE) for job in jobs}
        summaries = {job: record for job, record in records.items() if record is not None}
        failures = {job: read_record(job / ERROR_FILE) or {} for job in jobs if job not in summaries}
        try:
            if summaries:
                self.sum_up(summaries, len(jobs), folder, console)
        except Exception:
            # Hydra would turn it into a warning and exit as if all were well.
            _log.exception("the end of the sweep failed; the folders of its jobs are complete")
            raise SystemExit(EXIT_FAILED) from None
        finally:
            for job, failure in failures.items():
                line = f"failed: job {job.name} ({' '.join(_overrides(job))}): {failure.get('error', 'did not finish')}"
                console.print(line, soft_wrap=True)
        if failures:
            raise SystemExit(EXIT_INPUT if all(failure.get("input") for failure in failures.values()) else EXIT_FAILED)


def distinguishing_settings(jobs: Sequence[Path], own_columns: Sequence[str]) -> list[str]:
    """Return for each job its overrides that differ between jobs, but for those with columns of their own.

    Parameters
    ----------
    jobs
        Folders of the jobs; one at least.
    own_columns
        Keys whose values the table shows in columns of their own.
    """
    overrides = [_overrides(job) for job in jobs]
    common = set.intersection(*(set(own) for own in overrides))
    shown = tuple(f"{key}=" for key in own_columns)
    return [
        " ".join(override for override in own if override not in common and not override.startswith(shown))
        for own in overrides
    ]


def _overrides(job: Path) -> list[str]:
    return list(OmegaConf.load(job / ".hydra" / "overrides.yaml"))
