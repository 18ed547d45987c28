"""Finished runs and failed jobs, read from folders of runs and sweeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.run import (
    ERROR_FILE,
    SUMMARY_FILE,
    InputError,
    check_folder,
    files_named,
    read_record,
)

SCORE = "score"
"""The `task` of evaluations; older ones do not say theirs."""

_OF_EVALUATIONS = {"theory", "value", "label", "intensity", "n", "scored", "mean"}


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run or a job of a sweep: its folder, the folder that the user named, and its `summary.json`."""

    folder: Path
    given: str
    summary: Mapping[str, Any]

    @property
    def task(self) -> str:
        """What was done."""
        named = self.summary.get("task")
        return str(named) if named else SCORE if self.summary.keys() >= _OF_EVALUATIONS else "other"


@dataclass(frozen=True)
class Found:
    """What folders hold.

    Attributes
    ----------
    runs
        Finished runs, in the order of folders and jobs.
    failed
        Folders of failed jobs, each with what went wrong.
    """

    runs: Sequence[FinishedRun]
    failed: Sequence[tuple[Path, str]]

    def of(self, *tasks: str) -> list[FinishedRun]:
        """Return the runs of some tasks."""
        return [run for run in self.runs if run.task in tasks]


def find_runs(folders: Sequence[str]) -> Found:
    """Find what has finished and what has failed in folders, at any depth.

    Raises
    ------
    InputError
        A folder does not exist, holds no finished run and no failed job, or is given twice.
    """
    runs: list[FinishedRun] = []
    failed: list[tuple[Path, str]] = []
    seen: dict[Path, str] = {}
    for given in folders:
        check_folder(given, "folders", "folders of finished runs and sweeps")
        files = files_named(Path(given), SUMMARY_FILE, ERROR_FILE)
        if not files:
            raise InputError(f"folders: {given} holds no finished run: no {SUMMARY_FILE} there, at no depth")
        for file in files:
            where = file.parent.resolve()
            if seen.setdefault(where, given) is not given:
                raise InputError(f"{file.parent} is given twice, in {seen[where]} and in {given}")
            record = read_record(file)
            if file.name == ERROR_FILE:
                failed.append((file.parent, str((record or {}).get("error", "did not finish"))))
            elif record is None:
                failed.append((file.parent, f"its {SUMMARY_FILE} is not a whole JSON object"))
            else:
                runs.append(FinishedRun(file.parent, given, record))
    return Found(runs, failed)


def read_result(file: Path, columns: Sequence[str] | None = None, most: int | None = None) -> pd.DataFrame:
    """Read a table that a run has written, or its first rows, its cells as text; empty where it is not there.

    Raises
    ------
    InputError
        It is no table, or has not the columns that are asked for.
    """
    if not file.is_file():
        return pd.DataFrame()
    try:
        return pd.read_csv(file, usecols=columns, nrows=most, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file}: not a table as a run writes it ({reason}); run it again") from error
