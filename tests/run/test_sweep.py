"""The end of a sweep, on folders as its jobs leave them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from valueflow.run import SweepView, distinguishing_settings, end_sweep


def show(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    print(title, [summary["name"] for summary in summaries], list(others))


def breaks(*_: object) -> None:
    raise RuntimeError("no space left")


NAMES = (SweepView(show, ("k",)),)


def job(sweep: Path, number: str, overrides: list[str], **records: dict[str, object]) -> Path:
    folder = sweep / number
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))
    for name, record in records.items():
        (folder / f"{name}.json").write_text(json.dumps(record))
    return folder


def test_finished_jobs_become_a_table_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("10", "2", "0"):
        job(tmp_path, number, [f"k={number}", f"m={number}"], summary={"name": number, "deep": {"er": int(number)}})
    (tmp_path / "not_a_job").mkdir()
    assert end_sweep(NAMES, tmp_path) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "3 of 3 jobs ['0', '2', '10'] ['m=0', 'm=2', 'm=10']",
        f"table: {tmp_path / 'sweep.csv'}, and one folder per job beside it",
    ]
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert list(table.columns) == ["folder", "name", "deep.er"]
    assert table["deep.er"].tolist() == [0, 2, 10]


def test_failed_jobs_are_named_and_decide_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path, "0", [], summary={"name": "a"})
    job(tmp_path, "1", ["k=1", "m=[0]"], error={"error": "k is too [small]", "input": True})
    assert end_sweep(NAMES, tmp_path) == 2
    assert "failed: job 1 (k=1 m=[0]): k is too [small]" in capsys.readouterr().out.splitlines()
    job(tmp_path, "2", ["k=2"])
    assert end_sweep(NAMES, tmp_path) == 1
    assert "failed: job 2 (k=2): did not finish" in capsys.readouterr().out.splitlines()


def test_a_sweep_without_a_finished_job_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path, "0", ["k=1"], error={"error": "k is too small", "input": True})
    assert end_sweep((SweepView(breaks, ()),), tmp_path) == 2
    assert capsys.readouterr().out == "failed: job 0 (k=1): k is too small\n"
    assert not (tmp_path / "sweep.csv").exists()


def test_an_end_that_breaks_is_no_success_and_still_names_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    job(tmp_path, "0", [], summary={"name": "a"})
    job(tmp_path, "1", ["k=1"], error={"error": "k is too small", "input": True})
    assert end_sweep((SweepView(breaks, ()),), tmp_path) == 1
    assert "failed: job 1" in capsys.readouterr().out
    assert "no space left" in caplog.text


def test_each_kind_of_job_has_its_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path, "0", [], summary={"name": "a", "task": "steering"})
    job(tmp_path, "1", [], summary={"name": "b", "task": "survey"})

    def add(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
        return [f"{folder.name} {[folder.name for folder in jobs]} {list(others)}"]

    views = (
        SweepView(show, (), add, kind="survey"),
        SweepView(show, (), kind="steering"),
        SweepView(breaks, (), kind="?"),
    )
    assert end_sweep(views, tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "2 of 2 jobs ['b'] ['']",
        f"{tmp_path.name} ['1'] ['']",
        "2 of 2 jobs ['a'] ['']",
    ]


def test_settings_that_all_jobs_share_or_that_have_columns_are_not_repeated(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "0", ["value=power", "k=4", "steered_by=prompt"]),
        job(tmp_path, "1", ["value=power", "k=4", "steered_by=none"]),
        job(tmp_path, "2", ["value=face", "k=4", "steered_by=none", "m=2"]),
    ]
    own = distinguishing_settings(jobs, ["value"])
    assert own == ["steered_by=prompt", "steered_by=none", "steered_by=none m=2"]
    assert distinguishing_settings(jobs, ["value", "steered_by"]) == ["", "", "m=2"]
    assert distinguishing_settings(jobs, [])[0] == "value=power steered_by=prompt"
    assert distinguishing_settings(jobs[:1], []) == [""]
