"""The task mechanism, on a command of three lines: what it completes, checks, removes, writes and records."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra.core.config_store import ConfigStore

from valueflow import evaluate_responses
from valueflow.run import InputError, Outcome, PositiveInt, Run, Settings, SweepView, Task, run_command


class Count(Settings):
    k: PositiveInt
    seed: int
    files: list[str]


@dataclass(frozen=True, kw_only=True)
class Counted(Outcome):
    named: tuple[str, ...]

    def outputs(self) -> Mapping[str, Any]:
        table = pd.DataFrame({"n": [1, 2]})
        kinds = {
            "table.csv": table,
            "empty.csv": table.iloc[:0],
            "picture.svg": lambda path: path.write_text("<svg/>"),
            "folder": lambda path: (path.mkdir(), (path / "in.txt").write_text("new")),
            "model.bin": None,
        }
        return {name: kinds[name] for name in self.named}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        return {}

    def show(self) -> None:
        print("shown")


def count(settings: Count, run: Run) -> Counted:
    with run.stage("count"):
        if settings.k == 13:
            raise InputError("k=13: give another")
    if "model.bin" in settings.files:
        run.start_writing()
        (run.required_folder("models") / "model.bin").write_text("weights")
    return Counted(named=tuple(settings.files), summary={"k": settings.k})


TASK = Task(
    name="count",
    settings=Count,
    run=count,
    outputs=("table.csv", "empty.csv", "picture.svg", "folder", "model*"),
    sweep=(SweepView(lambda *_: None, ()),),
)


def call(folder: Path | None, *files: str, k: Any = 1) -> Counted:
    return TASK.call({"k": k, "seed": 3, "files": list(files)}, folder)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_gets_what_the_outcome_names_and_the_summary(tmp_path: Path) -> None:
    outcome = call(tmp_path / "new", "table.csv", "empty.csv", "picture.svg", "folder")
    assert names(tmp_path / "new") == ["folder", "picture.svg", "summary.json", "table.csv"]
    written = json.loads((tmp_path / "new" / "summary.json").read_text())
    assert written == outcome.summary
    assert list(written) == ["k", "seed", "versions", "started", "timings"]
    assert written["seed"] == 3
    assert set(written["timings"]) == {"count", "total"}
    assert written["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_outputs_of_an_earlier_run_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    call(tmp_path, "table.csv", "folder", "picture.svg", "model.bin")
    (tmp_path / "folder" / "old.txt").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "error.json").write_text("{}")
    call(tmp_path, "folder", "model.bin")
    assert names(tmp_path) == ["folder", "model.bin", "notes.txt", "summary.json"]
    assert names(tmp_path / "folder") == ["in.txt"]
    call(tmp_path)
    assert names(tmp_path) == ["notes.txt", "summary.json"]


def test_evaluations_in_one_folder_leave_no_old_rankings(tmp_path: Path) -> None:
    (tmp_path / "saved.csv").write_text(
        "row_idx,target_text,ranking,db_text_1,db_score_1,db_text_2,db_score_2\n"
        '0,one,"[2, 1, 3]",a,-5,b,5\n1,two,"[1, 2, 3]",a,-5,b,5\n'
    )
    (tmp_path / "rankings.csv").write_text("of an earlier run")
    evaluate_responses(value="power", rankings=tmp_path / "saved.csv", output_dir=tmp_path)
    assert names(tmp_path) == ["saved.csv", "scores.csv", "summary.json"]


def test_an_input_in_the_same_folder_is_no_earlier_output(tmp_path: Path) -> None:
    saved = (
        "row_idx,target_text,ranking,db_text_1,db_score_1,db_text_2,db_score_2\n"
        '0,one,"[2, 1, 3]",a,-5,b,5\n1,two,"[1, 2, 3]",a,-5,b,5\n'
    )
    (tmp_path / "rankings.csv").write_text(saved)
    evaluate_responses(value="power", rankings=tmp_path / "rankings.csv", output_dir=tmp_path)
    assert names(tmp_path) == ["rankings.csv", "scores.csv", "summary.json"]
    assert (tmp_path / "rankings.csv").read_text() == saved


@pytest.mark.parametrize(("k", "message"), [(0, "k=0: input should be"), (13, "k=13: give"), ("???", "'k' is not set")])
def test_a_run_that_fails_leaves_the_earlier_one_alone(tmp_path: Path, k: Any, message: str) -> None:
    call(tmp_path, "table.csv")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=message):
        call(tmp_path, "picture.svg", k=k)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_whose_report_fails_does_not_look_finished(tmp_path: Path) -> None:
    call(tmp_path, "table.csv")

    def report(outcome: Counted) -> None:
        assert (tmp_path / "table.csv").exists()
        assert not (tmp_path / "summary.json").exists()
        raise OSError("the logger is not there")

    with pytest.raises(OSError, match="logger"):
        TASK.execute({"k": 1, "seed": 3, "files": ["table.csv"]}, tmp_path, report=report)
    assert names(tmp_path) == ["table.csv"]


def test_without_a_folder_nothing_is_written_and_tasks_that_need_one_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(None, "table.csv").summary["k"] == 1
    with pytest.raises(InputError, match="'output_dir' is not set; models need a folder"):
        call(None, "model.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["k=1", "value=power", "value=", "--cfg", "job"], ["no_such_key=1"]])
def test_a_command_puts_the_process_back_as_it_was(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    argv = ["evaluate.py", *arguments]
    monkeypatch.setattr(sys, "argv", argv)
    with suppress(SystemExit):
        run_command("evaluate", lambda: TASK)
    assert sys.argv is argv
    assert sys.argv == ["evaluate.py", *arguments]
    assert "HYDRA_FULL_ERROR" not in os.environ
    assert "__deepcopy__" not in vars(ConfigStore)
    assert list(tmp_path.iterdir()) == []
