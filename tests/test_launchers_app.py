"""Sweeps by launchers that run jobs at once: the same tables, failed and killed jobs by name, resuming."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.command import ROOT, Finished, environment, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.test_sweeps_app import rankings as rankings  # a fixture
from tests.test_sweeps_app import sweep as plain_sweep

PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


LAUNCHERS = [
    pytest.param(
        name,
        marks=[pytest.mark.slow, pytest.mark.skipif(not is_installed(module), reason=f"{module} is not installed")],
    )
    for name, module in PLUGINS.items()
]

KILLING = """
import os
import signal
import time
from pathlib import Path

from valueflow.run import RunLogger, RunRecord


class Record(RunRecord):
    def finish(self, outcome):
        return {}

    def fail(self, fault, exit_code):
        pass


class Logger(RunLogger):
    def __init__(self, at):
        self.at = at

    def start(self, run):
        if f"value={self.at}" in run.name and Path(__file__).with_name("armed").exists():
            while not (run.folder.parent / "0" / "summary.json").exists():
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        return Record()
"""


def sweep(rankings: Path, folder: str, *arguments: str, launcher: str = "basic", path: str = str(ROOT)) -> Finished:
    work = rankings.parent
    return run_app(
        ROOT / "evaluate.py",
        *arguments,
        *(f"rankings={rankings}", "progress=false", f"hydra.sweep.dir={folder}", f"hydra/launcher={launcher}", "-m"),
        folder=work,
        env=environment(work / "cache", PYTHONPATH=path),
        fresh=True,
    )


def table(rankings: Path, folder: str) -> pd.DataFrame:
    found = pd.read_csv(rankings.parent / folder / "sweep.csv", dtype=str)
    return found[[name for name in found if not name.startswith(("timings", "started", "fingerprint"))]]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_jobs_at_once_leave_what_a_plain_sweep_leaves(rankings: Path, launcher: str) -> None:
    values = "value=power,face,humility,tradition"
    plain = succeeded(sweep(rankings, "plain", values))
    done = succeeded(sweep(rankings, "at_once", values, launcher=launcher))
    assert "4 of 4 jobs" in done.stdout
    pd.testing.assert_frame_equal(table(rankings, "plain"), table(rankings, "at_once"))
    for job in range(4):
        files = [rankings.parent / name / str(job) / "scores.csv" for name in ("plain", "at_once")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert plain.returncode == 0
    for name, own in (("plain", "basic"), ("at_once", launcher)):
        failed = sweep(rankings, name, "value=power,powr,face", launcher=own)
        assert failed.returncode == 2, failed.stderr
        assert "2 of 3 jobs" in failed.stdout
        assert "failed: job 1 (value=powr" in failed.stdout
        assert "did you mean 'power'" in failed.stdout
        assert "Traceback" not in failed.stderr
    started = [summary_in(rankings.parent / "at_once" / str(job))["started"] for job in (0, 2)]
    again = succeeded(sweep(rankings, "at_once", "value=power,humility,face", "resume=true", launcher=launcher))
    assert "3 of 3 jobs" in again.stdout
    assert [summary_in(rankings.parent / "at_once" / str(job))["started"] for job in (0, 2)] == started


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_killed_worker_leaves_the_table_of_the_rest_and_its_name(rankings: Path, launcher: str) -> None:
    work = rankings.parent
    (work / "killing.py").write_text(KILLING)
    (work / "armed").touch()
    arguments = ("value=power,face,humility", "+logger._target_=killing.Logger", "+logger.at=face")
    more = ("hydra.launcher.n_jobs=2",) if launcher == "joblib" else ()
    done = sweep(rankings, "killed", *arguments, *more, launcher=launcher, path=f"{ROOT}:{work}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed: job 1 (value=face" in done.stdout
    assert "did not finish" in done.stdout
    assert "Traceback" not in done.stderr
    assert "power" in table(rankings, "killed")["value"].tolist()
    started = summary_in(work / "killed" / "0")["started"]
    (work / "armed").unlink()
    again = sweep(rankings, "killed", *arguments, "resume=true", launcher=launcher, path=f"{ROOT}:{work}")
    assert "3 of 3 jobs" in succeeded(again).stdout
    assert summary_in(work / "killed" / "0")["started"] == started


MISSING: list[Any] = [
    ("hydra/launcher=joblib", "joblib", PLUGINS["joblib"]),
    ("hydra/launcher=submitit_local", "submitit", PLUGINS["submitit_local"]),
    ("hydra/launcher=submitit_slurm", "submitit", PLUGINS["submitit_local"]),
    ("hydra/launcher=slurm", "submitit", PLUGINS["submitit_local"]),
    ("hydra/launcher=ray", "ray", PLUGINS["ray"]),
]


@pytest.mark.parametrize(("override", "extra", "module"), MISSING)
def test_without_its_plugin_the_extra_is_named(tmp_path: Path, override: str, extra: str, module: str) -> None:
    if is_installed(module):
        pytest.skip(f"{module} is installed")
    work = tmp_path / "work"
    work.mkdir()
    done = run_app(
        ROOT / "evaluate.py", "value=power", override, "-m", folder=work, env=environment(tmp_path / "cache")
    )
    refused(done, work, f"pip install 'valueflow[{extra}]'")


@pytest.mark.skipif(not is_installed(PLUGINS["submitit_local"]), reason="hydra-submitit-launcher is not installed")
def test_the_ready_options_for_slurm_are_submitit_s(tmp_path: Path) -> None:
    given = (
        "value=power",
        "hydra/launcher=slurm",
        "hydra.launcher.partition=gpu",
        "--cfg",
        "hydra",
        "-p",
        "hydra.launcher",
    )
    done = succeeded(run_app(ROOT / "evaluate.py", *given, folder=tmp_path, env=environment(tmp_path / "cache")))
    launcher = yaml.safe_load(done.stdout)
    assert launcher["_target_"] == "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
    assert (launcher["partition"], launcher["max_num_timeout"], launcher["mem_gb"]) == ("gpu", 3, 32)


@pytest.mark.slow
def test_jobs_that_slurm_queues_again_keep_what_is_finished(rankings: Path) -> None:
    def written(**env: str) -> list[int]:
        succeeded(plain_sweep(rankings, "value=power,face", **env))
        return [(rankings.parent / "swept" / job / "scores.csv").stat().st_mtime_ns for job in ("0", "1")]

    first = written()
    assert written(SLURM_RESTART_COUNT="1") == first
    assert written(SLURM_RESTART_COUNT="0") != first
