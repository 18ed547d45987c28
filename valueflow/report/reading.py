"""Finished runs and failed jobs, read from folders of runs and sweeps."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from valueflow.run import (
    ERROR_FILE,
    SUMMARY_FILE,
    InputError,
    check_folder,
    files_named,
    is_hidden,
    read_record,
)

SCORE = "score"
"""The `task` of evaluations; older ones do not say theirs."""

_HYDRA_FOLDER = ".hydra"
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

    @property
    def is_regression(self) -> bool:
        """Whether texts were read one by one, so that there are no windows."""
        return (self.summary.get("settings") or {}).get("estimator") == "regression"

    def config(self, name: str) -> Mapping[str, Any]:
        """Return a file of Hydra's record of the run, such as `config.yaml`; empty where there is none to read."""
        file = self.folder / _HYDRA_FOLDER / name
        try:
            content = OmegaConf.to_container(OmegaConf.load(file)) if file.is_file() else {}
        except (YAMLError, OmegaConfBaseException, OSError, ValueError):
            return {}
        return content if isinstance(content, Mapping) else {}  # type: ignore[return-value]


@dataclass(frozen=True)
class Found:
    """What folders hold.

    Attributes
    ----------
    runs
        Finished runs, in the order of folders and jobs.
    failed
        Folders of failed jobs, each with what went wrong.
    unfinished
        Folders of jobs that began, and have neither finished nor failed.
    earlier
        Number of jobs that are passed over because a later sweep ran in the same folder.
    """

    runs: Sequence[FinishedRun]
    failed: Sequence[tuple[Path, str]]
    unfinished: Sequence[Path] = ()
    earlier: int = 0

    def of(self, *tasks: str) -> list[FinishedRun]:
        """Return the runs of some tasks."""
        return [run for run in self.runs if run.task in tasks]


def find_runs(folders: Sequence[str], own: Path | None) -> Found:
    """Find what has finished, what has failed and what has done neither in folders, at any depth.

    Parameters
    ----------
    folders
        As given.
    own
        Folder of the run that asks, which is not counted as unfinished.

    Raises
    ------
    InputError
        A folder does not exist, holds no finished run and no failed job, or is given twice.
    """
    runs: list[FinishedRun] = []
    failed: list[tuple[Path, str]] = []
    unfinished: list[Path] = []
    earlier = 0
    seen: dict[Path, str] = {}
    for place, given in enumerate(folders):
        if given in folders[:place]:
            raise InputError(f"folders: {given} is given twice; give it once")
        check_folder(given, "folders", "folders of finished runs and sweeps")
        files = files_named(Path(given), SUMMARY_FILE, ERROR_FILE)
        begun = _begun(Path(given), own)
        here = {file.parent for file in files}
        unfinished += [folder for folder, is_done in begun.items() if not is_done]
        earlier += sum(is_done and folder not in here for folder, is_done in begun.items())
        if not files:
            raise InputError(
                f"folders: {given} holds no finished run: there is no {SUMMARY_FILE} in it or in any folder below it"
            )
        inside = {folder: folder.resolve() for folder in here}
        for file in files:
            where = inside[file.parent]
            if where in seen:
                raise InputError(f"folders: {file.parent} is given twice, in {seen[where]} and in {given}")
            record = read_record(file)
            if file.name == ERROR_FILE:
                failed.append((file.parent, str((record or {}).get("error", "did not finish"))))
            elif record is None:
                failed.append((file.parent, f"its {SUMMARY_FILE} is not a whole JSON object"))
            else:
                runs.append(FinishedRun(file.parent, given, record))
        seen |= dict.fromkeys(inside.values(), given)
    return Found(runs, failed, unfinished, earlier)


def _begun(folder: Path, own: Path | None) -> dict[Path, bool]:
    """Return the folders of all runs and jobs at any depth, and whether each has finished or failed."""
    begun = {}
    for inside, folders, files in os.walk(folder):
        is_done = bool({SUMMARY_FILE, ERROR_FILE} & {*files})
        if is_done or (_HYDRA_FOLDER in folders and (own is None or Path(inside).resolve() != own.resolve())):
            begun[Path(inside)] = is_done
        folders[:] = sorted(name for name in folders if not is_hidden(name))
    return begun


def read_result(file: Path, columns: Sequence[str] | None = None, most: int | None = None) -> pd.DataFrame:
    """Read a table that a run has written, or its first rows, its cells as text; empty where it is not there.

    Raises
    ------
    InputError
        It is not a table, or lacks a column that is asked for.
    """
    if not file.is_file():
        return pd.DataFrame()
    try:
        return pd.read_csv(
            file, usecols=None if columns is None else list(columns), nrows=most, dtype=str, keep_default_na=False
        )
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file}: not a table as a run writes it ({reason}); run it again") from error
