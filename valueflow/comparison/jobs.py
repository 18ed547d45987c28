"""Finished evaluations as a comparison needs them, read from their folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from valueflow.evaluation import SCORES_FILE, asked_intensity
from valueflow.responses import PRICE, shown_targets
from valueflow.run import (
    ERROR_FILE,
    SUMMARY_FILE,
    InputError,
    check_folder,
    files_named,
    plain,
    read_record,
    read_table,
    row_number,
    shorten,
)

_IDENTITY = ("query", "dataset", "response")
_OF_EVALUATIONS = {"theory", "value", "label", "intensity", "n", "scored", "mean"}
_NEW = ("mean_se", "beta_shift", "anchors")
_SAME_SETTINGS = ("judge", "settings", "seed", "vidb", "rankings", "calibration")


@dataclass(frozen=True)
class Condition:
    """How the responses of a job came about.

    Attributes
    ----------
    run
        The folder that the user named; empty where the other attributes tell all jobs of a value apart.
    model, steered_by
        Empty where the evaluation did not choose by them.
    targets
        Values and intensities that responses were steered to at once, as `benevolence+2 power-1`; else empty.
    intensity
        Of steering; None: not steered, or all intensities.
    """

    run: str
    model: str
    steered_by: str
    targets: str
    intensity: int | None


@dataclass(frozen=True, eq=False)
class Job:
    """A finished evaluation.

    Attributes
    ----------
    folder
        Where it lies.
    theory, value, label
        What was measured.
    condition
        Of what responses.
    summary
        Its `summary.json`.
    scores
        One row per response, ordered by its texts: `query`, `dataset`, `response`, `score`, `influence` (on the mean),
        and what it has of `PRICE`.
    """

    folder: Path
    theory: str
    value: str
    label: str
    condition: Condition
    summary: Mapping[str, Any]
    scores: pd.DataFrame

    @property
    def measured(self) -> tuple[str, str]:
        """Theory and value."""
        return self.theory, self.value

    @property
    def level(self) -> int:
        """Intensity that the responses were steered to on this value; 0 where they were not steered."""
        if self.condition.intensity is not None:
            return self.condition.intensity
        return asked_intensity({**self.summary, "intensity": None, "value": self.value, "label": self.label}) or 0

    def figure(self, *keys: str) -> float:
        """Return a figure of the summary, 0 where it has none."""
        entry: Any = self.summary
        for key in keys:
            entry = entry.get(key) if isinstance(entry, Mapping) else None
        return 0.0 if entry is None else float(entry)


@dataclass(frozen=True)
class Jobs:
    """The jobs of all folders, and why others are not compared: one line for each."""

    compared: list[Job]
    left_out: list[str]


def read_jobs(folders: Sequence[str]) -> Jobs:
    """Read the finished evaluations in folders of runs or sweeps, at any depth.

    Raises
    ------
    InputError
        A folder does not exist or holds no finished evaluation, a job lacks what a comparison needs, a job is given
        twice, or a value is scored twice under the same settings.
    """
    jobs: list[Job] = []
    left_out: list[str] = []
    seen: dict[Path, str] = {}
    for folder in folders:
        for record, where in _evaluations(folder, left_out):
            if where.resolve() in seen:
                raise InputError(f"{where} is given twice, in {seen[where.resolve()]} and in {folder}")
            seen[where.resolve()] = folder
            reason = _why_not(record)
            if reason:
                left_out.append(f"{where}: not compared: {reason}")
            else:
                jobs.append(_job(record, where, folder))
    return Jobs(_told_apart(jobs), left_out)


def _evaluations(folder: str, left_out: list[str]) -> list[tuple[Mapping[str, Any], Path]]:
    check_folder(folder, "folders", "folders of finished evaluations")
    path = Path(folder)
    found: list[tuple[Mapping[str, Any], Path]] = []
    files = files_named(path, SUMMARY_FILE, ERROR_FILE)
    for file in files:
        if file.name == ERROR_FILE:
            continue
        record = read_record(file)
        if record is not None and record.keys() >= _OF_EVALUATIONS and (file.parent / SCORES_FILE).is_file():
            found.append((record, file.parent))
        else:
            left_out.append(f"{file.parent}: left out: no evaluation")
    failed = [file.parent for file in files if file.name == ERROR_FILE]
    if not found:
        more = f" ({len(failed)} failed)" if failed else f" ({_what_lies_there(path)})"
        raise InputError(f"folders: {folder} holds no finished run of evaluate.py, at no depth{more}")
    left_out += [f"{where}: left out: the job failed" for where in failed]
    return found


def _what_lies_there(path: Path) -> str:
    unfinished = files_named(path, SCORES_FILE)
    return f"{unfinished[0].parent} has scores and no {SUMMARY_FILE}" if unfinished else f"no {SUMMARY_FILE} there"


def _why_not(record: Mapping[str, Any]) -> str | None:
    """Return why a job has no mean to compare; None if it has one."""
    check = record.get("judge_check")
    if isinstance(check, Mapping) and check.get("passed") is False and record["mean"] is None:
        return "the judge is not shown to order the anchors"
    return "no response has a score" if record["mean"] is None else None


def _job(record: Mapping[str, Any], where: Path, folder: str) -> Job:
    value = str(record["value"])
    file = where / SCORES_FILE
    table = read_table(file, "scores")
    for column in (*_IDENTITY, f"{value}_score", "mean_influence"):
        if column not in table:
            raise InputError(
                f"{file}: column '{column}' is missing: written by an older version; score it again, its rankings "
                "are enough: evaluate.py ... rankings=FILE"
            )
    for key in _NEW:
        if key not in record:
            raise InputError(f"{where / SUMMARY_FILE}: '{key}' is missing: written by an older version; score it again")
    scores = table[list(_IDENTITY)].assign(
        score=_numbers(table[f"{value}_score"], file),
        influence=_numbers(table["mean_influence"], file),
        **{name: _numbers(table[name], file) for name in PRICE if name in table},
    )
    intensity = record["intensity"]
    return Job(
        folder=where,
        theory=str(record["theory"]),
        value=value,
        label=str(record["label"]),
        condition=Condition(
            run=folder.rstrip("/") or folder,
            model=str(record.get("model") or ""),
            steered_by=str(record.get("steered_by") or ""),
            targets=shown_targets(record),
            intensity=None if intensity is None else int(intensity),
        ),
        summary=record,
        # Sums are taken in this order, so that the order of the rows changes not even the last digit.
        scores=scores.sort_values([*_IDENTITY, "score", "influence"], ignore_index=True),
    )


def _numbers(column: pd.Series, file: Path) -> "pd.Series[float]":
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    bad = (numbers.isna() & (column != "")) | np.isinf(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        found = shorten(str(column.iloc[row]))
        raise InputError(f"{file}, row {row_number(column, row)}, column '{column.name}': '{found}' is no number")
    return numbers


def _told_apart(jobs: list[Job]) -> list[Job]:
    """Drop the names of the folders where they are not needed to tell jobs apart; refuse jobs that nothing does."""
    groups: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault((*job.measured, replace(job.condition, run="")), []).append(job)
    for group in groups.values():
        for later in range(1, len(group)):
            for earlier in range(later):
                _check_differ(group[earlier], group[later])
    if all(len(group) == 1 for group in groups.values()):
        return [replace(job, condition=replace(job.condition, run="")) for job in jobs]
    return jobs


def _check_differ(one: Job, other: Job) -> None:
    what = f"{one.theory}/{one.label}{_at(one.condition)}"
    if one.condition.run == other.condition.run:
        raise InputError(
            f"{what} is scored twice in {one.condition.run}: in {one.folder} and in {other.folder}; to compare the "
            "two, give their own folders instead"
        )
    same_settings = all(plain(one.summary.get(key)) == plain(other.summary.get(key)) for key in _SAME_SETTINGS)
    if same_settings and one.scores[list(_IDENTITY)].equals(other.scores[list(_IDENTITY)]):
        raise InputError(
            f"{what} is scored twice under the same settings: in {one.folder} and in {other.folder}; give one of them"
        )


def _at(condition: Condition) -> str:
    parts = [condition.targets or ("" if condition.intensity is None else f"{condition.intensity:+d}")]
    parts += [condition.model, condition.steered_by]
    shown = ", ".join(part for part in parts if part)
    return f" ({shown})" if shown else ""
