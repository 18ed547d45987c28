"""The end of a sweep: what its jobs have written becomes one table, and those that failed are named."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from valueflow.run.folders import by_number
from valueflow.run.outputs import write_csv
from valueflow.run.summary import ERROR_FILE, SUMMARY_FILE, read_record

if TYPE_CHECKING:
    from rich.console import Console

SWEEP_FILE = "sweep.csv"
"""The table over the jobs of a sweep, in its folder."""

EXIT_FAILED, EXIT_INPUT = 1, 2

_NOT_FLATTENED = ("failures", "versions", "settings", "query_sets", "refused_rows", "most_certain", "least_certain")

_log = logging.getLogger(__name__)


def _add_nothing(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> Iterable[str]:
    return ()


def _as_they_are(jobs: Mapping[Path, Mapping[str, Any]]) -> Mapping[Path, Mapping[str, Any]]:
    return jobs


@dataclass(frozen=True)
class SweepView:
    """How jobs of one kind are shown at the end of a sweep.

    Attributes
    ----------
    show
        Prints a table: summaries, title, and for each job the settings that differ from the others' and have no
        column of their own.
    columns
        Settings that have columns of their own in that table.
    add
        Writes what the sweep has beside `sweep.csv`, such as a picture, given summaries by folder, the settings as
        above, and the sweep's folder; returns lines that name it.
    kind
        Only summaries whose `task` is this; None: all.
    complete
        Computes what the finished jobs tell only together, given summaries by folder, and returns them with it.
    """

    show: Callable[[Sequence[Mapping[str, Any]], str, Sequence[str]], None]
    columns: tuple[str, ...]
    add: Callable[[Mapping[Path, Mapping[str, Any]], Sequence[str], Path], Iterable[str]] = _add_nothing
    kind: str | None = None
    complete: Callable[[Mapping[Path, Mapping[str, Any]]], Mapping[Path, Mapping[str, Any]]] = _as_they_are


def end_sweep(views: Sequence[SweepView], folder: Path) -> int:
    """Write `sweep.csv`, print a table of the finished jobs, and name those that failed.

    It reads what the jobs have written and needs nothing of the process they ran in, so it works after any launcher
    and after a sweep that was resumed.

    Returns
    -------
    int
        Exit code: 0; 2 where all failures are faults of the input; else 1.
    """
    from rich.console import Console  # here, so that --help need not wait for it

    console = Console(markup=False, highlight=False)
    jobs = sorted(
        (path for path in folder.iterdir() if (path / ".hydra").is_dir()), key=lambda job: by_number(job.name)
    )
    records = {job: read_record(job / SUMMARY_FILE) for job in jobs}
    summaries = {job: record for job, record in records.items() if record is not None}
    failures = {job: read_record(job / ERROR_FILE) or {} for job in jobs if job not in summaries}
    code = 0
    try:
        if summaries:
            _summarize(views, summaries, f"{len(summaries)} of {len(jobs)} jobs", folder, console)
    except Exception:
        _log.exception("the end of the sweep failed; the folders of its jobs are complete")
        code = EXIT_FAILED
    for job, failure in failures.items():
        line = f"failed: job {job.name} ({' '.join(_overrides(job))}): {failure.get('error', 'did not finish')}"
        console.print(line, soft_wrap=True)
    if failures and not code:
        code = EXIT_INPUT if all(failure.get("input") for failure in failures.values()) else EXIT_FAILED
    return code


def _summarize(
    views: Sequence[SweepView],
    summaries: Mapping[Path, Mapping[str, Any]],
    title: str,
    folder: Path,
    console: "Console",
) -> None:
    # Imported here: every command loads this module, few end a sweep.
    import pandas as pd

    by_view = []
    for view in views:
        own = {job: summary for job, summary in summaries.items() if view.kind in (None, summary.get("task"))}
        completed = view.complete(own) if own else {}
        summaries = {job: completed.get(job, summary) for job, summary in summaries.items()}
        by_view.append((view, completed))
    rows = [{"folder": job.name, **flattened(summary)} for job, summary in summaries.items()]
    write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
    for view, jobs in by_view:
        if jobs:
            others = distinguishing_settings(list(jobs), view.columns)
            view.show(list(jobs.values()), title, others)
            for line in view.add(jobs, others, folder):
                console.print(line, soft_wrap=True)
    console.print(f"table: {folder / SWEEP_FILE}, and one folder per job beside it", soft_wrap=True)


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


def flattened(summary: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a summary as one flat row of figures: `{"timings": {"total": 1}}` becomes `{"timings.total": 1}`.

    Entries of a list are named by their `name`, or else by their number from 1: `judges.phi-4.kendall_tau`.
    Lists of reasons, versions and settings stay in `summary.json`; they are no figures to compare.
    """
    row: dict[str, Any] = {}
    for key, entry in summary.items():
        if key in _NOT_FLATTENED:
            continue
        if isinstance(entry, Mapping):
            row |= flattened(entry, f"{prefix}{key}.")
        elif isinstance(entry, list) and all(isinstance(part, Mapping) for part in entry) and entry:
            for number, part in enumerate(entry, start=1):
                others = {own: figure for own, figure in part.items() if own != "name"}
                row |= flattened(others, f"{prefix}{key}.{part.get('name', number)}.")
        else:
            row[f"{prefix}{key}"] = entry
    return row


def _overrides(job: Path) -> list[str]:
    return list(OmegaConf.load(job / ".hydra" / "overrides.yaml"))
