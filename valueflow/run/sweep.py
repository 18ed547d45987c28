"""The end of a sweep: what its jobs have written becomes one table, and those that failed are named."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.run.launching import Sweep, SweepJob
from valueflow.run.outputs import write_csv, write_json
from valueflow.run.recording import FailedJob, FinishedJob, SweepInfo, built_loggers
from valueflow.run.summary import ERROR_FILE, LEFT_UNDONE, SUMMARY_FILE, SWEEP_RECORD, read_record

if TYPE_CHECKING:
    from rich.console import Console

SWEEP_FILE = "sweep.csv"
"""The table over the jobs of a sweep, in its folder."""

EXIT_FAILED, EXIT_INPUT = 1, 2

_NOT_FLATTENED = (
    "failures",
    "versions",
    "settings",
    "query_sets",
    "refused_rows",
    "most_certain",
    "least_certain",
    "sweep",
    "loggers",
)

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
    files
        Patterns of the files that `add` may write. Those of an earlier sweep in the same folder are removed first.
    one
        Prints all that is known of a single run, given its summary; None: `show` does.
    """

    show: Callable[[Sequence[Mapping[str, Any]], str, Sequence[str]], None]
    columns: tuple[str, ...]
    add: Callable[[Mapping[Path, Mapping[str, Any]], Sequence[str], Path], Iterable[str]] = _add_nothing
    kind: str | None = None
    complete: Callable[[Mapping[Path, Mapping[str, Any]]], Mapping[Path, Mapping[str, Any]]] = _as_they_are
    files: tuple[str, ...] = ()
    one: Callable[[Mapping[str, Any]], None] | None = None


def end_sweep(
    views: Sequence[SweepView],
    sweep: Sweep,
    least: int = 0,
    report: Callable[[Path], Path | None] | None = None,
) -> int:
    """Write `sweep.csv`, print a table of the finished jobs, and name those that failed or left something undone.

    Every job that was launched is accounted for. What the jobs found is read from what they have written, so this works
    after any launcher, after a sweep that was resumed, and after one that was interrupted.

    Parameters
    ----------
    views, sweep
        How such sweeps are shown, and the one that has ended.
    least
        Exit code where no job has failed: not 0 where the sweep itself ended by an error.
    report
        Makes a page about a folder, and returns where it is or, where it failed, None.

    Returns
    -------
    int
        Exit code: `least`; 2 where all failures are faults of the input, and no job left something undone; else 1.
    """
    from rich.console import Console  # here, so that --help need not wait for it

    console = Console(markup=False, highlight=False)
    sweep.find_folders()
    finished: list[tuple[SweepJob, Path, dict[str, Any]]] = []
    failures: list[tuple[SweepJob, dict[str, Any]]] = []
    for job in sweep.jobs:
        record = _record_of(job, sweep)
        if record is None or "error" in record or job.folder is None:
            failures.append((job, record or {"error": "did not finish"}))
        else:
            finished.append((job, job.folder, record))
    code = least
    if failures:
        code = EXIT_INPUT if all(failure.get("input") for _, failure in failures) else EXIT_FAILED
    undone = [(job, summary) for job, _, summary in finished if LEFT_UNDONE in summary]
    if undone:
        code = EXIT_FAILED
    summaries: Mapping[Path, Mapping[str, Any]] = {path: summary for _, path, summary in finished}
    try:
        _remove_earlier(sweep.folder)
        if finished:
            title = f"{len(finished)} of {len(sweep.jobs)} jobs"
            summaries = _summarize(views, finished, title, sweep, console)
    except Exception:
        _log.exception("the end of the sweep failed; the folders of its jobs are complete")
        code = EXIT_FAILED
    for job, failure in failures:
        line = f"failed: job {_name(job, sweep.folder)} ({' '.join(job.overrides)}): {failure['error']}"
        console.print(line, soft_wrap=True)
    for job, summary in undone:
        line = f"left undone: job {_name(job, sweep.folder)} ({' '.join(job.overrides)}): {summary[LEFT_UNDONE]}"
        console.print(line, soft_wrap=True)
    # Before loggers are told: they show the page, too.
    page, interrupted = None, None
    try:
        page = None if report is None else report(sweep.folder)
    except KeyboardInterrupt as stop:
        interrupted = stop
    if report is not None and page is None:
        code = max(code, EXIT_FAILED)
    try:
        _record(sweep, finished, summaries, failures, code, page)
    except Exception:
        _log.exception("a logger could not record the sweep; the folders of its jobs are complete")
        code = EXIT_FAILED
    if interrupted is not None:
        raise interrupted
    return code


def _record_of(job: SweepJob, sweep: Sweep) -> dict[str, Any] | None:
    """Return the summary of a job, or what it says of its failure; None where it has left neither."""
    if job.folder is None:
        return None
    for name in (SUMMARY_FILE, ERROR_FILE):
        record = read_record(job.folder / name)
        if record is None:
            continue
        tag = record.get("sweep") or {}
        if tag.get("id") == sweep.id and tag.get("job") == job.number:
            return record
        if tag.get("id") == sweep.id:
            return {
                "error": f"its folder {job.folder} is job {tag.get('job')}'s, too; give each job one of its own: "
                "hydra.sweep.subdir",
                "input": True,
            }
    return None


def _name(job: SweepJob, folder: Path) -> str:
    """Name a job by its folder within the sweep's, or by its number where that is not known."""
    if job.folder is None:
        return str(job.number)
    return str(job.folder.relative_to(folder) if job.folder.is_relative_to(folder) else job.folder)


def _record(
    sweep: Sweep,
    finished: Sequence[tuple[SweepJob, Path, Mapping[str, Any]]],
    summaries: Mapping[Path, Mapping[str, Any]],
    failures: Sequence[tuple[SweepJob, Mapping[str, Any]]],
    code: int,
    page: Path | None,
) -> None:
    """Have loggers record the sweep; `sweep.json` says where."""
    info = SweepInfo(
        command=sweep.command,
        folder=sweep.folder,
        finished={
            path: FinishedJob(name=_name(job, sweep.folder), overrides=job.overrides, summary=summaries[path])
            for job, path, _ in finished
        },
        failed=[
            FailedJob(name=_name(job, sweep.folder), overrides=job.overrides, error=str(failure["error"]))
            for job, failure in failures
        ],
        exit_code=code,
        page=page,
    )
    said: dict[str, Any] = {}
    for logger in built_loggers(sweep.logger):
        said |= logger.end_sweep(info)
    record = read_record(sweep.folder / SWEEP_RECORD) or {}
    if record.get("loggers", {}) != said:
        write_json({**record, "loggers": said}, sweep.folder / SWEEP_RECORD)


def _remove_earlier(folder: Path) -> None:
    """Remove what the end of an earlier sweep in the folder has written."""
    for name in {SWEEP_FILE, *(read_record(folder / SWEEP_RECORD) or {}).get("files", [])}:
        (folder / str(name)).unlink(missing_ok=True)


def _summarize(
    views: Sequence[SweepView],
    finished: Sequence[tuple[SweepJob, Path, Mapping[str, Any]]],
    title: str,
    sweep: Sweep,
    console: "Console",
) -> dict[Path, Mapping[str, Any]]:
    # Imported here: every command loads this module, few end a sweep.
    import pandas as pd

    folder = sweep.folder
    summaries: dict[Path, Mapping[str, Any]] = {path: summary for _, path, summary in finished}
    overrides = {path: job.overrides for job, path, _ in finished}
    names = {path: _name(job, folder) for job, path, _ in finished}
    by_view = []
    for view in views:
        own = {job: summary for job, summary in summaries.items() if view.kind in (None, summary.get("task"))}
        # A search has chosen by what each job found by itself.
        completed = view.complete(own) if own and not sweep.searches else own
        summaries = {job: completed.get(job, summary) for job, summary in summaries.items()}
        by_view.append((view, completed))
    rows = [{"folder": names[job], **flattened(summary)} for job, summary in summaries.items()]
    write_csv(pd.DataFrame(rows), folder / SWEEP_FILE)
    before = _stamps(views, folder)
    for view, jobs in by_view:
        if jobs:
            others = distinguishing_settings([overrides[job] for job in jobs], view.columns)
            view.show(list(jobs.values()), title, others)
            for line in view.add(jobs, others, folder):
                console.print(line, soft_wrap=True)
    written = [path for path, stamp in _stamps(views, folder).items() if before.get(path) != stamp]
    record = read_record(folder / SWEEP_RECORD) or {}
    write_json(
        {**record, "files": [SWEEP_FILE, *(str(path.relative_to(folder)) for path in written)]}, folder / SWEEP_RECORD
    )
    console.print(f"table: {folder / SWEEP_FILE}, and one folder per job beside it", soft_wrap=True)
    return summaries


def _stamps(views: Sequence[SweepView], folder: Path) -> dict[Path, int]:
    """Return when each file that a view may have written was changed."""
    patterns = [pattern for view in views for pattern in view.files]
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in sorted(folder.glob(pattern))}


def distinguishing_settings(overrides: Sequence[Sequence[str]], own_columns: Sequence[str]) -> list[str]:
    """Return for each job its overrides that differ between jobs, but for those with columns of their own.

    Parameters
    ----------
    overrides
        Of each job; one job at least.
    own_columns
        Keys whose values the table shows in columns of their own.
    """
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
