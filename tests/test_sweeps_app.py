"""A sweep ends with its table and the names of what failed, whatever becomes of its folders, workers and jobs."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.command import ROOT, Finished, environment, succeeded
from tests.command import run as run_app
from valueflow.responses import load_responses


@pytest.fixture
def rankings(tmp_path: Path) -> Path:
    """Two responses that a judge ranks alike, three windows each."""
    rows = [
        {"row_idx": row, "target_text": f"response {row}", "ranking": "[2, 1, 3, 4]"}
        | {f"db_text_{anchor}": f"anchor {anchor}" for anchor in (1, 2, 3)}
        | {"db_score_1": 6, "db_score_2": 0, "db_score_3": -6}
        for row in (0, 1)
        for _ in range(3)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "rankings.csv", index=False)
    return tmp_path / "rankings.csv"


def sweep(rankings: Path, *arguments: str, fresh: bool = False, **env: str) -> Finished:
    work = rankings.parent
    settings = (f"rankings={rankings}", "progress=false", "hydra.sweep.dir=swept", "-m")
    return run_app(
        ROOT / "evaluate.py",
        *arguments,
        *settings,
        folder=work,
        env=environment(work / "cache", **env),
        fresh=fresh,
    )


def table(rankings: Path) -> pd.DataFrame:
    return pd.read_csv(rankings.parent / "swept" / "sweep.csv", dtype=str)


@pytest.mark.parametrize(
    ("layout", "folders"),
    [
        ("hydra.sweep.subdir=${value}/${hydra.job.num}", ["power/0", "face/1"]),
        ("hydra.sweep.subdir='${hydra.job.override_dirname}'", None),
        ("hydra.output_subdir=null", ["0", "1"]),
        ("hydra.output_subdir=settings", ["0", "1"]),
        ("hydra.job.chdir=true", ["0", "1"]),
    ],
)
@pytest.mark.slow
def test_every_layout_of_folders_has_its_table(rankings: Path, layout: str, folders: list[str] | None) -> None:
    done = succeeded(sweep(rankings, "value=power,face", layout))
    assert "2 of 2 jobs" in done.stdout
    assert table(rankings)["value"].tolist() == ["power", "face"]
    if folders is not None:
        assert table(rankings)["folder"].tolist() == folders
    failed = sweep(rankings, "value=power,face,powr", layout)
    assert failed.returncode == 2
    assert "2 of 3 jobs" in failed.stdout
    assert "(value=powr" in failed.stdout
    assert "did you mean 'power'" in failed.stdout


@pytest.mark.slow
def test_jobs_that_share_a_folder_are_told_apart(rankings: Path) -> None:
    done = sweep(rankings, "value=power,face", "hydra.sweep.subdir=one")
    assert done.returncode == 2
    assert "1 of 2 jobs" in done.stdout
    assert "is job 1's, too; give each job one of its own: hydra.sweep.subdir" in done.stdout


@pytest.mark.slow
def test_a_second_sweep_in_the_folder_counts_its_own_jobs(rankings: Path) -> None:
    succeeded(sweep(rankings, "value=power", "seed=1,2,3"))
    done = succeeded(sweep(rankings, "value=power", "seed=8,9"))
    assert "2 of 2 jobs" in done.stdout
    assert table(rankings)["seed"].fillna("").tolist() == ["", ""]
    assert table(rankings)["folder"].tolist() == ["0", "1"]
    again = succeeded(sweep(rankings, "value=power", "seed=8,9,3", "resume=true"))
    assert "3 of 3 jobs" in again.stdout


@pytest.mark.slow
def test_a_resumed_sweep_takes_over_jobs_of_the_one_before_another(rankings: Path) -> None:
    succeeded(sweep(rankings, "value=power,face", "hydra.sweep.subdir=${value}"))
    succeeded(sweep(rankings, "value=humility", "hydra.sweep.subdir=${value}"))
    done = succeeded(sweep(rankings, "value=power,face", "hydra.sweep.subdir=${value}", "resume=true"))
    assert "2 of 2 jobs" in done.stdout


@pytest.mark.slow
def test_an_interrupted_sweep_shows_what_is_finished(rankings: Path) -> None:
    (rankings.parent / "interrupting.py").write_text(
        "from valueflow.run import RunLogger, RunRecord\n\n\n"
        "class Record(RunRecord):\n"
        "    def __init__(self, stops):\n"
        "        self.stops = stops\n\n"
        "    def finish(self, outcome):\n"
        "        if self.stops:\n"
        "            raise KeyboardInterrupt\n"
        "        return {}\n\n\n"
        "class Logger(RunLogger):\n"
        "    def __init__(self, at):\n"
        "        self.at = at\n\n"
        "    def start(self, run):\n"
        "        return Record(f'value={self.at}' in run.name)\n"
    )
    logger = ("+logger._target_=interrupting.Logger", "+logger.at=face")
    done = sweep(rankings, "value=power,face,humility", *logger, fresh=True, PYTHONPATH=f"{ROOT}:{rankings.parent}")
    assert done.returncode == 130, done.stderr
    assert "1 of 3 jobs" in done.stdout
    assert "failed: job 1 (value=face" in done.stdout
    assert "failed: job 2 (value=humility" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in done.stderr
    assert table(rankings)["value"].tolist() == ["power"]


@pytest.mark.slow
def test_a_job_that_exits_is_a_failed_job(rankings: Path) -> None:
    (rankings.parent / "exiting.py").write_text(
        "import sys\n\nfrom valueflow.run import RunLogger\n\n\n"
        "class Logger(RunLogger):\n    def start(self, run):\n        sys.exit(3)\n"
    )
    logger = "+logger._target_=exiting.Logger"
    done = sweep(rankings, "value=power,face", logger, fresh=True, PYTHONPATH=f"{ROOT}:{rankings.parent}")
    assert done.returncode == 1
    assert done.stdout.count("failed: job") == 2
    assert "SystemExit" in done.stdout


KILLED = '''
import os
import signal

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher


class ForkingLauncher(Launcher):
    """Runs each job in a process of its own; one of them is killed, as by a system that is out of memory."""

    def __init__(self, killed):
        self.killed = killed

    def setup(self, *, hydra_context, task_function, config):
        self.given = {"hydra_context": hydra_context, "task_function": task_function, "config": config}

    def launch(self, job_overrides, initial_job_idx):
        codes = []
        for number, overrides in enumerate(job_overrides, start=initial_job_idx):
            child = os.fork()
            if not child:
                if number == self.killed:
                    os.kill(os.getpid(), signal.SIGKILL)
                launcher = BasicLauncher()
                launcher.setup(**self.given)
                launcher.launch([overrides], number)
                os._exit(0)
            codes.append(os.waitpid(child, 0)[1])
        if any(codes):
            raise RuntimeError("A worker process was killed.\\nIts memory was full.")
        return []


ConfigStore.instance().store(
    group="hydra/launcher",
    name="forking",
    node={"_target_": "hydra_plugins.forking.ForkingLauncher", "killed": None},
    provider="forking",
)
'''


@pytest.mark.slow
def test_a_killed_worker_does_not_take_the_table_with_it(rankings: Path) -> None:
    plugins = rankings.parent / "plugins" / "hydra_plugins"
    plugins.mkdir(parents=True)
    (plugins / "forking.py").write_text(KILLED)
    path = f"{ROOT}:{plugins.parent}"
    arguments = ("value=power,face,humility", "hydra/launcher=forking", "hydra.sweep.subdir=${value}/x")
    whole = sweep(rankings, *arguments, fresh=True, PYTHONPATH=path)
    assert "3 of 3 jobs" in succeeded(whole).stdout
    done = sweep(rankings, *arguments, "hydra.launcher.killed=1", fresh=True, PYTHONPATH=path)
    assert done.returncode == 1
    assert "2 of 3 jobs" in done.stdout
    assert "failed: job 1 (value=face" in done.stdout
    assert "error: RuntimeError: A worker process was killed." in done.stderr
    assert "Traceback" not in done.stderr
    assert table(rankings)["value"].tolist() == ["power", "humility"]


def test_responses_of_an_earlier_sweep_are_not_mixed_in(tmp_path: Path) -> None:
    for number, (sweep_id, response) in enumerate([("new", "a"), ("new", "b"), ("old", "c")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps({"sweep": {"id": sweep_id, "job": number}}))
        (folder / "responses.csv").write_text(f"query,dataset,response\nq,d,{response}\n")
    (tmp_path / "sweep.json").write_text('{"id": "new"}')
    assert load_responses(str(tmp_path), {})[0]["response"].tolist() == ["a", "b"]


@pytest.mark.slow
def test_bad_rows_are_listed_and_counted_by_every_job(rankings: Path) -> None:
    table = pd.read_csv(rankings).astype({"db_score_1": float})
    table.loc[0, "db_score_1"] = 11.0
    table.loc[3, "target_text"] = ""
    table.to_csv(rankings, index=False)
    settings = ("value=power,face", "judge_check=false")
    assert sweep(rankings, *settings).returncode == 2
    done = succeeded(sweep(rankings, *settings, "on_bad_row=clamp"))
    assert "2 of 2 jobs" in done.stdout
    for job in ("0", "1"):
        folder = rankings.parent / "swept" / job
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["bad_rows"]["skipped"] == summary["bad_rows"]["clamped"] == 1
        assert pd.read_csv(folder / "skipped.csv")[["row", "column"]].to_numpy().tolist() == [[4, "target_text"]]
    succeeded(sweep(rankings, *settings, "on_bad_row=skip"))
    assert len(pd.read_csv(rankings.parent / "swept" / "0" / "skipped.csv")) == 2
