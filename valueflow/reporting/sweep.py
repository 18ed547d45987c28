"""The end of a sweep: one table over its jobs, one picture, and which jobs failed."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from valueflow.evaluation.display import show_evaluation
from valueflow.reporting.figures import figures
from valueflow.run.app import ERROR_FILE, EXIT_FAILED, EXIT_INPUT
from valueflow.run.outputs import write_csv
from valueflow.run.summary import SUMMARY_FILE, read_record

SWEEP_FILE = "sweep.csv"
PICTURE = "dose_response"

_log = logging.getLogger(__name__)


class EvaluationSweepEnd(Callback):  # type: ignore[misc]
    """Hydra callback that sums a sweep of evaluations up from the folders of its jobs.

    It reads what the jobs have written and asks nothing of the process they ran in, so it works
    after any launcher and after a sweep that was resumed.
    """

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write `sweep.csv` and the dose-response picture, print the table, name the failed jobs.

        Raises
        ------
        SystemExit
            A job failed: code 2 where all failures are faults of the input, else 1.
        """
        folder = Path(config.hydra.sweep.dir)
        console = Console(markup=False, highlight=False)
        jobs = sorted((path for path in folder.iterdir() if (path / ".hydra").is_dir()), key=_job_number)
        records = {job: read_record(job / SUMMARY_FILE) for job in jobs}
        summaries = {job: record for job, record in records.items() if record is not None}
        failures = {job: read_record(job / ERROR_FILE) or {} for job in jobs if job not in summaries}
        try:
            if summaries:
                _sum_up(summaries, len(jobs), folder, console)
        except Exception:
            # Hydra would turn it into a warning and exit as if all were well.
            _log.exception("the end of the sweep failed; the folders of its jobs are complete")
            raise SystemExit(EXIT_FAILED) from None
        finally:
            for job, failure in failures.items():
                overrides = " ".join(OmegaConf.load(job / ".hydra" / "overrides.yaml"))
                line = f"failed: job {job.name} ({overrides}): {failure.get('error', 'did not finish')}"
                console.print(line, soft_wrap=True)
        if failures:
            raise SystemExit(EXIT_INPUT if all(failure.get("input") for failure in failures.values()) else EXIT_FAILED)


def _sum_up(summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
    rows = [{"folder": job.name, **figures(summary)} for job, summary in summaries.items()]
    write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
    others = _distinguishing_settings(list(summaries))
    show_evaluation(list(summaries.values()), title=f"{len(summaries)} of {n_jobs} jobs", others=others)
    for path in _draw(summaries, others, folder / PICTURE):
        console.print(f"picture: {path}", soft_wrap=True)
    console.print(f"tables:  {folder / SWEEP_FILE} and one folder a job beside it", soft_wrap=True)


def _distinguishing_settings(jobs: list[Path]) -> list[str]:
    """Return for each job its overrides that differ between jobs, but for those with columns of their own."""
    overrides = [list(OmegaConf.load(job / ".hydra" / "overrides.yaml")) for job in jobs]
    common = set.intersection(*(set(own) for own in overrides))
    own_columns = ("theory=", "value=", "intensity=")
    return [
        " ".join(override for override in own if override not in common and not override.startswith(own_columns))
        for own in overrides
    ]


def _draw(summaries: dict[Path, dict[str, Any]], others: list[str], stem: Path) -> list[Path]:
    # One line a value and setting: runs that differ in more than intensity are not points of one curve.
    lines = {
        job: " ".join([summary["label"], other]).strip()
        for (job, summary), other in zip(summaries.items(), others, strict=True)
    }
    steered = {job: summary for job, summary in summaries.items() if summary["intensity"] is not None}
    figures_drawn = ("theory", "intensity", "mean", "mean_low", "mean_high")
    means = pd.DataFrame(
        [{key: summary[key] for key in figures_drawn} | {"label": lines[job]} for job, summary in steered.items()]
    )
    if means.empty or means["intensity"].nunique() < 2:
        return []
    points = [
        pd.DataFrame(
            {
                "theory": summary["theory"],
                "label": lines[job],
                "intensity": summary["intensity"],
                "score": pd.read_csv(job / "scores.csv", usecols=[f"{summary['value']}_score"]).iloc[:, 0],
            }
        )
        for job, summary in steered.items()
    ]
    # Imported here: every run loads this module, few end a sweep that has something to draw.
    from valueflow.reporting.dose_response import draw_dose_response

    return draw_dose_response(means, pd.concat(points, ignore_index=True), stem)


def _job_number(folder: Path) -> tuple[int, str]:
    return (int(folder.name), "") if folder.name.isdigit() else (-1, folder.name)
