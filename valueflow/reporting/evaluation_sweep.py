"""The end of a sweep of evaluations: one table and one picture."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from valueflow.evaluation.display import show_evaluation
from valueflow.reporting.figures import figures
from valueflow.reporting.sweep import SWEEP_FILE, SweepEnd, distinguishing_settings
from valueflow.run.outputs import write_csv

PICTURE = "dose_response"


class EvaluationSweepEnd(SweepEnd):
    """Sums up with `sweep.csv`, the table on the screen and the dose-response picture."""

    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        """Write `sweep.csv` and the picture, print the table."""
        rows = [{"folder": job.name, **figures(summary)} for job, summary in summaries.items()]
        write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
        others = distinguishing_settings(list(summaries), ("theory", "value", "intensity"))
        show_evaluation(list(summaries.values()), title=f"{len(summaries)} of {n_jobs} jobs", others=others)
        for path in _draw(summaries, others, folder / PICTURE):
            console.print(f"picture: {path}", soft_wrap=True)
        console.print(f"tables:  {folder / SWEEP_FILE} and one folder a job beside it", soft_wrap=True)


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
