"""The end of a sweep, on folders as its jobs leave them."""

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from valueflow.reporting import SweepEnd
from valueflow.reporting.sweep import distinguishing_settings


class Names(SweepEnd):
    """What another app could have at the end of its sweeps."""

    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        names = [f"{job.name}={summary['name']}" for job, summary in summaries.items()]
        console.print(f"{folder.name}: {n_jobs} [jobs] {names}")


class Breaks(SweepEnd):
    def sum_up(self, summaries: dict[Path, dict[str, Any]], n_jobs: int, folder: Path, console: Console) -> None:
        raise RuntimeError("no space left")


def job(sweep: Path, number: str, overrides: list[str], **records: dict[str, object]) -> Path:
    folder = sweep / number
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))
    for name, record in records.items():
        (folder / f"{name}.json").write_text(json.dumps(record))
    return folder


def end(sweep: Path, callback: SweepEnd) -> int:
    """Return the code that the process would exit with."""
    try:
        callback.on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(sweep)}}}))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else -1
    return 0


def test_an_app_sums_its_finished_jobs_up_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("10", "2", "0"):
        job(tmp_path, number, [], summary={"name": number})
    (tmp_path / "not_a_job").mkdir()
    assert end(tmp_path, Names()) == 0
    assert capsys.readouterr().out == f"{tmp_path.name}: 3 [jobs] ['0=0', '2=2', '10=10']\n"


def test_failed_jobs_are_named_and_decide_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path, "0", [], summary={"name": "a"})
    job(tmp_path, "1", ["k=1", "m=0"], error={"error": "k is too small", "input": True})
    assert end(tmp_path, Names()) == 2
    assert "failed: job 1 (k=1 m=0): k is too small" in capsys.readouterr().out.splitlines()
    job(tmp_path, "2", ["k=2"])
    assert end(tmp_path, Names()) == 1
    assert "failed: job 2 (k=2): did not finish" in capsys.readouterr().out.splitlines()


def test_a_sweep_without_a_finished_job_is_not_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path, "0", ["k=1"], error={"error": "k is too small", "input": True})
    assert end(tmp_path, Breaks()) == 2
    assert capsys.readouterr().out == "failed: job 0 (k=1): k is too small\n"


def test_an_end_that_breaks_is_no_success_and_still_names_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    job(tmp_path, "0", [], summary={"name": "a"})
    job(tmp_path, "1", ["k=1"], error={"error": "k is too small", "input": True})
    assert end(tmp_path, Breaks()) == 1
    assert "failed: job 1" in capsys.readouterr().out
    assert "no space left" in caplog.text


def test_an_end_says_what_it_sums_up() -> None:
    with pytest.raises(TypeError, match="abstract"):
        SweepEnd()


def test_settings_that_all_jobs_share_or_that_have_columns_tell_no_jobs_apart(tmp_path: Path) -> None:
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
