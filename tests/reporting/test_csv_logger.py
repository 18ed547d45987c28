"""One row a run in runs.csv."""

import csv
import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from valueflow.reporting import CsvLogger
from valueflow.run import Outcome, RunInfo


@dataclass(frozen=True, kw_only=True)
class Finished(Outcome):
    """An outcome with nothing but a summary."""

    def outputs(self) -> Mapping[str, Any]:
        return {}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        return {}

    def show(self) -> None: ...


def log(folder: Path, name: str = "value=power", sweep: Path | None = None, **summary: object) -> None:
    run = RunInfo(command="evaluate", name=name, config={"k": 6}, options={}, folder=folder, sweep_folder=sweep)
    CsvLogger().start(run).finish(Finished(summary=summary))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_a_single_run_has_its_row_beside_its_summary(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "12-00-00"
    folder.mkdir(parents=True)
    log(folder, mean=1.5, timings={"total": 2}, versions={"python": "3"})
    assert rows(folder / "runs.csv") == [{"name": "value=power", "group": "", "mean": "1.5", "timings.total": "2"}]
    assert not (folder.parent / "runs.csv").exists()


def test_the_jobs_of_a_sweep_share_one_file_with_one_header(tmp_path: Path) -> None:
    sweep = tmp_path / "2026-01-31" / "12-00-00"
    for job in range(3):
        (sweep / str(job)).mkdir(parents=True)
        log(sweep / str(job), name=f"intensity={job}", sweep=sweep, mean=job)
    assert [(row["name"], row["group"], row["mean"]) for row in rows(sweep / "runs.csv")] == [
        (f"intensity={job}", "2026-01-31_12-00-00", str(job)) for job in range(3)
    ]
    assert (sweep / "runs.csv").read_text(encoding="utf-8").count("name,group,mean") == 1
    assert not list(sweep.glob("*/runs.csv"))


def test_hostile_names_do_not_break_the_file(tmp_path: Path) -> None:
    names = ['a,"b"', "line\nbreak", "bare\rreturn", "{[", "ünïcode \u2028"]
    for name in names:
        log(tmp_path, name=name, mean=0)
    assert [row["name"] for row in rows(tmp_path / "runs.csv")] == names


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"mean": 1, "n": 2}, {"n": 20, "mean": 10}),
        ({"mean": 1, "n": 2}, {"judge": {"encoder": "minilm"}, "mean": 10, "n": 20}),
        ({"judge": {"encoder": "minilm"}, "mean": 1, "n": 2}, {"mean": 10, "n": 20}),
    ],
)
def test_a_figure_stands_under_its_own_name_whatever_runs_came_before(
    tmp_path: Path, first: dict[str, object], second: dict[str, object]
) -> None:
    """In a sweep over judges, or over `rankings`, summaries need not have the same figures."""
    log(tmp_path, **first)
    log(tmp_path, **second)
    assert [(row["mean"], row["n"]) for row in rows(tmp_path / "runs.csv")] == [("1", "2"), ("10", "20")]


@pytest.mark.slow
def test_jobs_that_run_at_once_lose_no_row(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()

    def log_many(worker: int) -> None:
        for number in range(25):
            log(sweep / str(worker), name=f"{worker}-{number}", sweep=sweep, mean=number, note="x" * 2000)

    workers = [multiprocessing.get_context("fork").Process(target=log_many, args=(worker,)) for worker in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    names = [row["name"] for row in rows(sweep / "runs.csv")]
    assert sorted(names) == sorted(f"{worker}-{number}" for worker in range(6) for number in range(25))
