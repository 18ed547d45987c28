"""Weights & Biases for real, offline: what a run holds, and that a key is nowhere in it."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from valueflow.reporting import WandbLogger
from valueflow.run import InputError

ROOT = Path(__file__).parents[2]
SECRET = "5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4"


def environment(tmp_path: Path, **extra: str) -> dict[str, str]:
    """No key, no mode, no settings of the person who runs the tests."""
    kept = {key: entry for key, entry in os.environ.items() if not key.startswith("WANDB_")}
    places = {f"WANDB_{name}_DIR": str(tmp_path / "home" / name) for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")}
    return kept | places | {"NETRC": str(tmp_path / "home" / "netrc"), "HOME": str(tmp_path / "home")} | extra


def evaluate(tmp_path: Path, *overrides: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    rankings = tmp_path / "rankings.csv"
    pd.DataFrame(
        {
            "row_idx": [0, 1, 2],
            "target_text": ["one", "two", "three"],
            "ranking": ["[2, 1, 3]", "[1, 3, 2]", "[3, 2, 1]"],
            "db_text_1": "low",
            "db_score_1": [-5, -4, -3],
            "db_text_2": "high",
            "db_score_2": [5, 4, 3],
        }
    ).to_csv(rankings, index=False)
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, str(ROOT / "evaluate.py"), "value=power", f"rankings={rankings}", "logger=wandb", *overrides],
        cwd=work,
        env=environment(tmp_path, **extra),
        capture_output=True,
        text=True,
        check=False,
    )


def records(path: Path) -> list[object]:
    """Read wandb's transaction log: LevelDB's log format under a header of seven bytes, protobuf inside."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    found, message, place = [], b"", 7
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        if kind == 0:
            break
        message += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            found.append(Record.FromString(message))
            message = b""
    return found


@pytest.mark.slow
def test_an_offline_sweep_has_a_run_a_job_with_name_group_figures_and_scores(tmp_path: Path) -> None:
    done = evaluate(tmp_path, "logger.mode=offline", "estimator=map,window_guarded", "judge_check=false", "-m")
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "work" / "multirun").glob("*/*")
    for job, estimator in enumerate(("map", "window_guarded")):
        folder = sweep / str(job)
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        (log,) = folder.glob("wandb/offline-run-*/run-*.wandb")
        found = records(log)
        (run,) = (record.run for record in found if record.WhichOneof("record_type") == "run")  # type: ignore[attr-defined]
        assert run.run_group == f"{sweep.parent.name}_{sweep.name}"
        assert f"estimator={estimator}" in run.display_name
        assert run.project == "valueflow"
        settings = {update.key: json.loads(update.value_json) for update in run.config.update}
        assert settings["estimator"] == estimator
        assert settings["theory"] == "pvq"
        figures = {
            ".".join([update.key, *update.nested_key] if update.key else update.nested_key): json.loads(
                update.value_json
            )
            for record in found
            if record.WhichOneof("record_type") == "summary"  # type: ignore[attr-defined]
            for update in record.summary.update  # type: ignore[attr-defined]
        }
        assert figures["mean"] == pytest.approx(summary["mean"])
        assert figures["n"] == 3
        assert figures["reliability.kendall_tau"] == pytest.approx(summary["reliability"]["kendall_tau"])
        (table,) = folder.glob("wandb/offline-run-*/files/media/table/scores*.table.json")
        logged = json.loads(table.read_text(encoding="utf-8"))
        scores = pd.read_csv(folder / "scores.csv", keep_default_na=False)
        assert logged["columns"] == list(scores.columns)
        assert [row[logged["columns"].index("response")] for row in logged["data"]] == ["one", "two", "three"]
        assert [row[logged["columns"].index("power_score")] for row in logged["data"]] == pytest.approx(
            scores["power_score"].tolist()
        )


@pytest.mark.slow
def test_a_key_in_the_environment_is_written_nowhere(tmp_path: Path) -> None:
    done = evaluate(tmp_path, "logger.mode=offline", WANDB_API_KEY=SECRET)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_online_without_a_key_is_refused_in_one_line_before_anything_is_scored(tmp_path: Path) -> None:
    done = evaluate(tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: logger=wandb finds no key; set WANDB_API_KEY")
    assert list((tmp_path / "work").iterdir()) == []


def test_online_without_a_key_cannot_be_built(tmp_path: Path) -> None:
    """In a process of its own: wandb remembers the credentials of a process."""
    script = (
        "from valueflow.reporting import WandbLogger\n"
        "from valueflow.run.errors import InputError\n"
        "try:\n    WandbLogger()\nexcept InputError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("logger=wandb finds no key; set WANDB_API_KEY"), done.stderr


def test_other_modes_need_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for mode in ("offline", "disabled"):
        monkeypatch.delenv("WANDB_MODE", raising=False)
        assert WandbLogger(mode=mode).mode == mode
        monkeypatch.setenv("WANDB_MODE", mode)
        assert WandbLogger().mode is None
    with pytest.raises(InputError, match="logger.mode='onlin' is none of online, offline, disabled"):
        WandbLogger(mode="onlin")


def test_an_older_word_for_offline_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    WandbLogger()
    WandbLogger(mode="dryrun")
    monkeypatch.setenv("WANDB_MODE", "")
    with pytest.raises(InputError, match="is none of online, offline, disabled"):
        WandbLogger(mode="dry")
