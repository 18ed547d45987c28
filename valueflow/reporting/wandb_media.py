"""What a run of Weights & Biases shows: tables, histograms, pictures and charts."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.reporting.runs import redacted, scored
from valueflow.run import SWEEP_FILE, Outcome, SweepInfo, distinguishing_settings

if TYPE_CHECKING:
    import pandas as pd

_SCALE = (-10.0, 10.0)
_BINS = 40
_OWN_COLUMNS = ("theory", "value", "intensity")

_log = logging.getLogger(__name__)


def tables(outcome: Outcome) -> dict[str, Any]:
    """Return the tables of an outcome by name; of longer ones than W&B shows the beginning, which is said."""
    return {f"tables/{title}": _table(title, table) for title, table in outcome.tables().items()}


def histograms(outcome: Outcome) -> dict[str, Any]:
    """Return the distributions of scores and ratings in [-10, 10] by name."""
    import numpy as np
    import wandb

    return {
        f"histogram/{name}": wandb.Histogram(np_histogram=np.histogram(numbers, bins=_BINS, range=_SCALE))
        for name, numbers in scored(outcome)
    }


def pictures(folder: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the pictures in a folder, those of some names or all; an SVG only where there is no PNG of it."""
    import wandb

    files = sorted(folder.glob("*.[ps][nv]g")) if names is None else [folder / name for name in names]
    found = {}
    for file in (file for file in files if file.is_file()):
        key = f"pictures/{file.stem}"
        if file.suffix == ".png":
            found[key] = wandb.Image(str(file))
        elif file.suffix == ".svg" and not file.with_suffix(".png").is_file():
            found[key] = wandb.Html(file.read_text(encoding="utf-8"), inject=False, data_is_not_path=True)
    return found


def page(sweep: SweepInfo) -> dict[str, Any]:
    """Return the page about a sweep, where there is one, without secrets: errors of failed jobs may quote a URL."""
    import wandb

    if sweep.page is None:
        return {}
    html = redacted(sweep.page.read_text(encoding="utf-8"))
    return {"report": wandb.Html(html, inject=False, data_is_not_path=True)}


def sweep_tables(sweep: SweepInfo) -> dict[str, Any]:
    """Return the joint table of a sweep's jobs, and one of those that failed."""
    import pandas as pd
    import wandb

    found = {}
    if (sweep.folder / SWEEP_FILE).is_file():
        found["tables/jobs"] = _table("jobs", pd.read_csv(sweep.folder / SWEEP_FILE))
    if sweep.failed:
        rows = [redacted([job.name, " ".join(job.overrides), job.error]) for job in sweep.failed]
        found["tables/failed_jobs"] = wandb.Table(columns=["folder", "overrides", "error"], data=rows)
    return found


def sweep_charts(sweep: SweepInfo) -> dict[str, Any]:
    """Return dose-response as a chart of W&B's own, where the jobs have two intensities or more."""
    import wandb

    from valueflow.evaluation import dose_response_means

    jobs = {folder: job for folder, job in sweep.finished.items() if job.summary.get("task") == "score"}
    if not jobs:
        return {}
    others = distinguishing_settings([job.overrides for job in jobs.values()], _OWN_COLUMNS)
    means = dose_response_means({folder: job.summary for folder, job in jobs.items()}, others)
    if means.empty or means["intensity"].nunique() < 2:
        return {}
    table = wandb.Table(dataframe=means.sort_values(["theory", "label", "intensity"]), allow_mixed_types=True)
    return {
        "dose_response": wandb.plot.line(
            table, x="intensity", y="mean", stroke="label", title="Mean score by steering intensity"
        )
    }


def _table(title: str, table: "pd.DataFrame") -> Any:
    import wandb

    most = wandb.Table.MAX_ARTIFACT_ROWS
    if len(table) > most:
        _log.warning("W&B shows the first %s of %s rows of %s; the file has all", f"{most:,}", f"{len(table):,}", title)
    return wandb.Table(dataframe=table.head(most), allow_mixed_types=True)
