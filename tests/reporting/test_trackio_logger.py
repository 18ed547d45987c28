"""Runs of Trackio, read back by Trackio itself."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.command import ROOT, Finished, environment, succeeded, summary_in
from tests.command import run as run_app
from tests.reporting.test_wandb_logger import write_rankings
from valueflow.reporting import TrackioLogger
from valueflow.run import InputError


@pytest.fixture
def tracked() -> Path:
    """Return Trackio's folder, which all tests share; each has a project of its own there."""
    pytest.importorskip("trackio", reason="the extra trackio is not installed")
    return Path(os.environ["TRACKIO_DIR"])


def runs_in(project: str) -> dict[str, Any]:
    """Return the runs of a project by name, as Trackio reads them: settings, logs in order, alerts."""
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    return {
        run.name: {
            "config": run.config,
            "logs": SQLiteStorage.get_logs(project, run.name, run_id=run.id),
            "alerts": run.alerts(),
        }
        for run in trackio.Api().runs(project)
    }


def logged(run: dict[str, Any]) -> dict[str, Any]:
    """Return the last entry of each metric of a run."""
    return {key: entry for log in run["logs"] for key, entry in log.items()}


def run(app: str, work: Path, project: str, *arguments: str, fresh: bool = False) -> Finished:
    work.mkdir(exist_ok=True)
    env = environment(work.parent / "cache", MY_API_KEY="a-secret-of-mine")
    to = ("logger=trackio", f"logger.project={project}")
    return run_app(ROOT / app, *to, *arguments, folder=work, env=env, fresh=fresh)


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valueflow.reporting.trackio_runs.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"package trackio is not installed; pip install 'valueflow\[trackio\]'"):
        TrackioLogger()


@pytest.mark.slow
def test_a_sweep_leaves_a_run_per_job_and_one_of_its_own(tracked: Path, tmp_path: Path) -> None:
    rankings = write_rankings(tmp_path / "rankings.csv")
    swept = (f"rankings={rankings}", "judge_check=false", "value=power,face", "hydra.sweep.dir=swept", "-m")
    # Trackio speaks when a process ends, too.
    done = succeeded(run("evaluate.py", tmp_path / "work", "study", *swept, fresh=True))
    assert "Trackio" not in done.stdout
    assert "trackio" not in done.stderr.lower()
    runs = runs_in("study")
    jobs = {run["config"]["value"]: run for run in runs.values() if run["config"].get("value")}
    assert set(jobs) == {"power", "face"}
    for folder in ("0", "1"):
        summary = summary_in(tmp_path / "work" / "swept" / folder)
        found = logged(jobs[summary["value"]])
        assert found["mean"] == pytest.approx(summary["mean"])
        assert found["exit_code"] == 0
        scores = pd.read_csv(tmp_path / "work" / "swept" / folder / "scores.csv")
        assert sum(found["histogram/score"]["values"]) == len(scores)
    (sweep,) = [run for run in runs.values() if run["config"].get("sweep")]
    rows = logged(sweep)["tables/jobs"]["_value"]
    joint = pd.read_csv(tmp_path / "work" / "swept" / "sweep.csv", dtype=str, keep_default_na=False)
    assert [row["mean"] for row in rows] == joint["mean"].tolist()
    assert logged(sweep)["jobs"] == 2
    assert logged(sweep)["failed"] == 0


@pytest.mark.slow
def test_a_run_that_fails_has_an_alert_and_its_exit_code_and_no_secret(tracked: Path, tmp_path: Path) -> None:
    missing = tmp_path / "a-secret-of-mine.csv"
    done = run("evaluate.py", tmp_path / "work", "failed", "value=power", f"rankings={missing}", "judge_check=false")
    assert done.returncode == 2
    (failed,) = runs_in("failed").values()
    assert logged(failed)["exit_code"] == 2
    (alert,) = failed["alerts"]
    assert alert["level"] == "error"
    assert "***.csv" in alert["text"]
    assert list(tracked.glob("failed*"))
    for file in tracked.rglob("*"):
        assert not file.is_file() or b"a-secret-of-mine" not in file.read_bytes()


@pytest.mark.slow
def test_a_training_has_its_curves(tracked: Path, tiny: Path, table_file: Path, tmp_path: Path) -> None:
    backbone = ("backbone=any", f"backbone.model={tiny}", "trainer=cpu", f"data.train={table_file}")
    steps = ("stage.batch_size=16", "stage.anchors_per_batch=4", "stage.positives_per_anchor=2", "max_steps=20")
    held_out = ("data.held_out=0.3", "validate_every=10", "hydra.run.dir=out")
    succeeded(run("train.py", tmp_path / "work", "trained", *backbone, *steps, *held_out))
    (training,) = runs_in("trained").values()
    curve = pd.read_csv(tmp_path / "work" / "out" / "curve.csv").set_index("step")
    losses = {log["step"] + 1: log["train/loss"] for log in training["logs"] if "train/loss" in log}
    assert losses
    for step, loss in losses.items():
        assert loss == pytest.approx(curve.loc[step, "train/loss"], rel=1e-5)
    assert sum("held_out/ranking_accuracy" in log for log in training["logs"]) == 2


@pytest.mark.slow
def test_a_server_without_a_token_is_one_line(tracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9")
    rankings = write_rankings(tmp_path / "rankings.csv")
    done = run("evaluate.py", tmp_path / "work", "sent", "value=power", f"rankings={rankings}", "judge_check=false")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "logger=trackio cannot begin a run" in line
    assert "write token" in line
