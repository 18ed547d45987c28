"""The task mechanism: from settings to a finished folder, for the command line and for Python alike.

A room describes its command as a `Task`. What every command does is done here, once: completing and checking settings,
running, removing an earlier run's outputs, writing files, and the summary with versions, seed and timings.
"""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from valueflow.run.bad_rows import SKIPPED_FILE, BadRows
from valueflow.run.config import compose_settings, require_set
from valueflow.run.errors import InputError, UnfinishedError
from valueflow.run.outputs import write_csv, write_json
from valueflow.run.settings import Settings, SettingsByTask
from valueflow.run.shards import ANSWERS_FILE, DIVISION_KEYS, Share, share_of, sharing
from valueflow.run.summary import ERROR_FILE, LEFT_UNDONE, SUMMARY_FILE, Timings, named_paths, versions
from valueflow.run.sweep import SweepView

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Outcome(ABC):
    """What a task's function returns; each room has its own subclass.

    Attributes
    ----------
    summary
        Figures, counts and settings of the run. The mechanism adds seed, versions, start and timings.
        Where the results are complete and something that was to be done with them failed, as an upload, the entry
        `LEFT_UNDONE` says so in one line. Everything is written and recorded all the same, and then the command fails
        with this line. With `resume=true` the run is not taken for finished: its function does what is left.
    """

    summary: dict[str, Any]

    @property
    def is_main(self) -> bool:
        """Whether this process writes and shows the outcome; of several that compute one together, one does."""
        return True

    @abstractmethod
    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return what the run leaves in its folder beside `summary.json`, by name.

        A table is written as CSV, unless it has no rows; a function writes a file or folder to the path it is given;
        None means that it is in place already.
        """

    @abstractmethod
    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name that loggers record."""

    @abstractmethod
    def show(self) -> None:
        """Print the outcome for a person."""


@dataclass(frozen=True)
class Run:
    """What a task's function gets besides its settings.

    Attributes
    ----------
    folder
        Where files go; None where a Python caller wants none.
    resume
        Whether to continue from what an interrupted run left in the folder.
    curves
        A Lightning logger for losses and metrics as they come, or None.
    timings
        Seconds by stage.
    bad_rows
        What becomes of rows of the input that cannot be used (`on_bad_row`), and those skipped so far.
    share
        Which rows the run is about: all, or those of a shard.
    """

    folder: Path | None = None
    resume: bool = False
    curves: Any = None
    timings: Timings = field(default_factory=Timings)
    bad_rows: BadRows = field(default_factory=BadRows)
    share: Share = field(default_factory=Share)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the time of a block to a stage of the run."""
        return self.timings.stage(name)

    def required_folder(self, what: str) -> Path:
        """Return the folder, for tasks that write while they run.

        Raises
        ------
        InputError
            There is none; `what` says what needs it.
        """
        if self.folder is None:
            raise InputError(f"'output_dir' is not set; {what} need a folder")
        return self.folder

    def start_writing(self) -> None:
        """Remove an earlier summary, so that a run which is interrupted from here on does not look finished."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / SUMMARY_FILE).unlink(missing_ok=True)


SettingsT = TypeVar("SettingsT", bound=Settings)
OutcomeT = TypeVar("OutcomeT", bound=Outcome)


@dataclass(frozen=True)
class Task(Generic[SettingsT, OutcomeT]):
    """A command.

    Attributes
    ----------
    name
        Of the command and of its primary YAML in `configs`.
    settings
        Typed settings, or those of each task of the command; the YAML holds their defaults and describes each.
    run
        From settings to an outcome.
    outputs
        Names or glob patterns of all files and folders that a run may leave beside `summary.json`. Those that an
        earlier run left in the same folder are removed before new ones are written.
    sweep
        How the jobs of a sweep are shown together; one view for each kind of summary.
    trains
        Whether runs are trainings: a single one can continue in the folder of an interrupted one, and loggers show
        its curves.
    divides
        Whether the rows can be divided among runs: its YAML then has the keys `shard` and `merge`.
    """

    name: str
    settings: type[SettingsT] | SettingsByTask
    run: Callable[[SettingsT, Run], OutcomeT]
    outputs: tuple[str, ...]
    sweep: tuple[SweepView, ...]
    trains: bool = False
    divides: bool = False

    def call(
        self,
        given: Mapping[str, Any],
        output_dir: str | Path | None = None,
        *,
        resume: bool = False,
        curves: Any = None,
    ) -> OutcomeT:
        """Run for a Python caller: settings that are not given have the defaults of the command line.

        Raises
        ------
        InputError
            Something given cannot be used; one line says what, where, and what would be right.
        UnfinishedError
            The outcome is in the folder, and what was to be done with it failed.
        """
        plain = {key: _plain_paths(entry) for key, entry in given.items()}
        division = {key: plain.pop(key, None) for key in DIVISION_KEYS} if self.divides else {}
        if self.settings.model_fields.keys() - plain.keys():
            plain = compose_settings(self.name, plain)
        folder = None if output_dir is None else Path(output_dir)
        outcome = self.execute(plain, folder, resume=resume, begin=lambda settings: curves, division=division)
        if LEFT_UNDONE in outcome.summary:
            raise UnfinishedError(outcome.summary[LEFT_UNDONE])
        return outcome

    def execute(
        self,
        given: Mapping[str, Any],
        folder: Path | None,
        *,
        resume: bool = False,
        begin: Callable[[SettingsT], Any] = lambda settings: None,
        division: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        report: Callable[[OutcomeT], Mapping[str, Any]] = lambda outcome: {},
    ) -> OutcomeT:
        """Check complete settings, run, and write everything to the folder.

        Parameters
        ----------
        given
            All settings by key.
        folder
            None writes nothing.
        resume
            See `Run`.
        begin
            Called once the settings are checked and before the work; returns what shows curves (see `Run`).
        division
            `shard` or `merge` as given (`share_of`).
        extra
            Entries for the summary file alone, such as the job's fingerprint.
        report
            Called once the tables are written and before the summary is, which marks the run as finished: shows the
            outcome, records it with loggers; returns further entries for the summary file.
        """
        require_set(given)
        settings = cast("SettingsT", self.settings.checked(given))
        started = datetime.now(UTC)
        share = share_of(self.name, given, folder, division or {})
        bad_rows = BadRows(getattr(settings, "on_bad_row", "fail"))
        run = Run(folder, resume, begin(settings), bad_rows=bad_rows, share=share)
        with sharing(share):
            outcome = self.run(settings, run)
        if not outcome.is_main:
            return outcome
        seed = {"seed": settings.seed} if hasattr(settings, "seed") else {}
        envelope = {
            **outcome.summary,
            **run.bad_rows.figures(),
            **share.figures(),
            # An outcome that the seed had no part in says so itself.
            **(seed if "seed" not in outcome.summary else {}),
            "versions": versions(),
            "started": started.isoformat(timespec="seconds"),
            "timings": run.timings.as_dict(),
        }
        outcome = replace(outcome, summary=envelope)
        if folder is not None:
            run.start_writing()
            kept = [*named_paths(given), *([share.answers] if share.answers is not None else [])]
            self._write_files(outcome, folder, {path.resolve() for path in kept})
            if run.bad_rows.skipped:
                write_csv(run.bad_rows.table(), folder / SKIPPED_FILE)
        run.bad_rows.warn()
        told = report(outcome)
        if folder is not None:
            write_json({**outcome.summary, **told, **(extra or {})}, folder / SUMMARY_FILE)
        return outcome

    def _write_files(self, outcome: OutcomeT, folder: Path, kept: set[Path]) -> None:
        """Write an outcome's files in place of an earlier run's; what is to be kept, such as inputs, stays."""
        outputs = outcome.outputs()
        patterns = (ERROR_FILE, SKIPPED_FILE, ANSWERS_FILE, *self.outputs)
        for path in {path for pattern in patterns for path in folder.glob(pattern)}:
            if outputs.get(path.name, "new") is not None and path.resolve() not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, output in outputs.items():
            if callable(output):
                output(folder / name)
            elif output is not None and not output.empty:
                write_csv(output, folder / name)


def _plain_paths(entry: Any) -> Any:
    """Turn paths into texts, also those in a list."""
    if isinstance(entry, list | tuple):
        return [_plain_paths(part) for part in entry]
    return os.fspath(entry) if isinstance(entry, os.PathLike) else entry
