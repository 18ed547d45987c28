"""Loggers: they record runs and sweeps where these are compared, from the beginning of a run to its end."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.run.config import built
from valueflow.run.progress_watch import progress_watched

if TYPE_CHECKING:
    from valueflow.run.task import Outcome

_log = logging.getLogger(__name__)

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Variables in which launchers of several processes say which of them a process is, 0 the first."""


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What loggers learn of a run when it begins.

    Attributes
    ----------
    command
        Name of the command.
    name
        Of the run: its overrides.
    config
        Settings by key, without those that have no part in the run.
    options
        The chosen option of each group in `config`, such as `judge: embedding`.
    folder
        Where the run writes.
    sweep_folder
        Of the sweep that it is a job of; None: of none.
    resumes
        Whether it goes on from what an interrupted run left in its folder, if there is anything.
    """

    command: str
    name: str
    config: Mapping[str, Any]
    options: Mapping[str, str]
    folder: Path
    sweep_folder: Path | None = None
    resumes: bool = False


@dataclass(frozen=True, kw_only=True)
class FinishedJob:
    """A job of a sweep that is finished: its folder within the sweep's, its overrides, its summary."""

    name: str
    overrides: tuple[str, ...]
    summary: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """A job of a sweep that failed, and why."""

    name: str
    overrides: tuple[str, ...]
    error: str


@dataclass(frozen=True, kw_only=True)
class SweepInfo:
    """What loggers learn of a sweep when it ends.

    Attributes
    ----------
    command
        Name of the command.
    folder
        Of the sweep.
    finished
        Jobs by folder.
    failed
        The others.
    exit_code
        What the command will exit with.
    page
        The page about it, where `report=true` has made one.
    """

    command: str
    folder: Path
    finished: Mapping[Path, FinishedJob]
    failed: Sequence[FailedJob]
    exit_code: int
    page: Path | None = None


class RunRecord:
    """A run in a logger. A logger overrides what it has a use for."""

    def curves(self) -> Any:
        """Return a Lightning logger that shows a training as it goes on; or None."""
        return None

    def progress(self, unit: str, done: int, failed: int, total: int) -> None:
        """Tell how many of the steps (windows, texts) of the current work are done, and how many of these failed."""

    def finish(self, outcome: "Outcome") -> Mapping[str, Any]:
        """Record what was found; the files are in the folder already. Return what `summary.json` says of the record."""
        return {}

    def fail(self, fault: str, exit_code: int) -> None:
        """Record that the run failed."""


class RunLogger(ABC):
    """Records runs; the config group `logger` chooses which ones do."""

    @abstractmethod
    def start(self, run: RunInfo) -> RunRecord:
        """Return the record of a run that begins."""

    def end_sweep(self, sweep: SweepInfo) -> Mapping[str, Any]:
        """Record a sweep that has ended, beside its jobs; return what `sweep.json` says of the record."""
        del sweep
        return {}


def built_loggers(node: Mapping[str, Any] | None) -> list[RunLogger]:
    """Build the loggers that the group `logger` names.

    Parameters
    ----------
    node
        Each option's logger lies in it under a name of its own, so that several can be chosen at once; one that a user
        describes at the top (`logger._target_`) stands beside them.

    Raises
    ------
    InputError
        A logger cannot be built, or could not record anything.
    """
    if node is None:
        return []
    named = {key: entry for key, entry in node.items() if isinstance(entry, Mapping) and "_target_" in entry}
    own = {key: entry for key, entry in node.items() if key not in named}
    found = [built(entry) for entry in (*([own] if own.get("_target_") else []), *named.values())]
    return [logger for logger in found if logger is not None]


class Recording:
    """A run in all of its loggers."""

    def __init__(self, loggers: Sequence[RunLogger]) -> None:
        self._loggers = loggers
        self._open: list[RunRecord] = []

    def start(self, run: RunInfo, *, trains: bool) -> list[Any] | None:
        """Begin the records; return the Lightning loggers of a training, None where there are none."""
        if trains and not _is_first_process():
            return None
        for logger in self._loggers:
            self._open.append(logger.start(run))
        curves = [record.curves() for record in self._open] if trains else []
        return [logger for logger in curves if logger is not None] or None

    def progress(self, unit: str, done: int, failed: int, total: int) -> None:
        """Pass progress on to the loggers."""
        for record in self._open:
            record.progress(unit, done, failed, total)

    def finish(self, outcome: "Outcome") -> dict[str, Any]:
        """End the records; return what the summary says of them."""
        said: dict[str, Any] = {}
        while self._open:
            said |= self._open[0].finish(outcome)
            del self._open[0]
        return {"loggers": said} if said else {}

    def fail(self, fault: str, exit_code: int) -> None:
        """End the records that are still open as failed; the fault is not to be hidden by one of a logger."""
        while self._open:
            try:
                self._open.pop(0).fail(fault, exit_code)
            except Exception:
                _log.exception("a logger could not record that the run failed")


@contextmanager
def recording(loggers: Sequence[RunLogger], fault: Callable[[BaseException], tuple[str, int]]) -> Iterator[Recording]:
    """Give a recording, which hears of progress while the block runs; an error ends it as failed.

    `fault` words an error, and says what the command exits with.
    """
    found = Recording(loggers)
    with progress_watched(found.progress):
        try:
            yield found
        except BaseException as error:
            found.fail(*fault(error))
            raise


def _is_first_process() -> bool:
    """Of the processes of a training one records; Lightning, torchrun and Slurm say in the environment which."""
    return all(os.environ.get(name) in (None, "", "0") for name in _RANKS)
