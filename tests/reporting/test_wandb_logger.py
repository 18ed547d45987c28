"""Weights & Biases for real, offline: what runs hold from their beginning to their end, and that a key is nowhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.command import ROOT, environment, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import Call, FaultServer, Reply, completion, permutation
from tests.reporting.wandb_records import OfflineRun, read_runs
from valueflow.reporting import WandbLogger
from valueflow.run import InputError

SECRET = "5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4"
SERVER_SECRET = "sk-of-the-server-1f2e3d4c"


def alone(folder: Path, **more: str) -> dict[str, str]:
    """No key, no mode, no settings of the person who runs the tests."""
    home = folder / "home"
    places = {f"WANDB_{name}_DIR": str(home / name) for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")}
    own = {"NETRC": str(home / "netrc"), "HOME": str(home), **places}
    return environment(folder / "cache", **own, **more)


def offline(app: str, work: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in an interpreter of its own: wandb has a service process of its own."""
    work.mkdir(exist_ok=True)
    logged = ("logger=[csv,wandb]", "logger.mode=offline")
    env = alone(work.parent, **more)
    return run_app(ROOT / app, *logged, *arguments, folder=work, env=env, fresh=True, timeout=900)


def write_rankings(path: Path) -> Path:
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
    ).to_csv(path, index=False)
    return path


# ---- From steering to scores: two sweeps, one of them with a job that fails


def speak(call: Call) -> Reply:
    return completion(f"I would sleep on it, said number {call.digest[:8]}.")


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sweep that steers, and one that scores what was said; the latter has a job for a value that there is not."""
    work = tmp_path_factory.mktemp("study") / "work"
    with FaultServer(speak) as server:
        model = ("llm=openai", "llm.model=fault", f"llm.base_url={server.url}", "llm.api_key_env=MY_KEY", "limit=4")
        steered = ("value=power", "intensity=-2,2", "hydra.sweep.dir=steered", "-m")
        secrets = {"MY_KEY": SERVER_SECRET, "WANDB_API_KEY": SECRET, "WANDB_X_STATS_SAMPLING_INTERVAL": "0.1"}
        succeeded(offline("steer.py", work, *steered, *model, **secrets))
    judge = ("judge=llm", "llm=openai", "llm.model=fault", "m=1", "report=true")
    scored = (
        "value=power,powr",
        "intensity=-2,2",
        "responses=steered",
        "judge_check=false",
        "hydra.sweep.dir=scored",
    )
    with FaultServer(permutation) as server:
        done = offline("evaluate.py", work, *scored, *judge, f"llm.base_url={server.url}", "-m", **secrets)
    assert done.returncode == 2, done.stdout + done.stderr
    return work


def run_of(folder: Path) -> OfflineRun:
    (found,) = read_runs(folder)
    return found


@pytest.mark.slow
def test_a_job_is_a_run_with_name_group_job_type_and_tags(studied: Path) -> None:
    group = f"{studied.name}_scored"
    for job, intensity in ((0, -2), (1, 2)):
        run = run_of(studied / "scored" / str(job)).run
        assert (run.project, run.run_group, run.job_type) == ("valueflow", group, "evaluate")
        assert set(run.tags) == {"pvq", "power", "fault", "llm"}
        assert f"intensity={intensity}" in run.display_name
        assert "logger" not in run.display_name
    steered = run_of(studied / "steered" / "0").run
    assert steered.job_type == "steer"
    assert set(steered.tags) == {"pvq", "power", "fault"}


@pytest.mark.slow
def test_both_loggers_have_every_job(studied: Path) -> None:
    assert len(pd.read_csv(studied / "steered" / "runs.csv")) == 2
    assert len(pd.read_csv(studied / "scored" / "runs.csv")) == 2


@pytest.mark.slow
def test_the_config_has_chosen_options_and_nothing_that_did_not_run(studied: Path) -> None:
    config = run_of(studied / "scored" / "1").config
    assert config["theory"] == "pvq"
    assert (config["judge"], config["llm"]) == ("llm", "openai")
    assert config["sampling"] == "bucket"
    assert config["options"]["judge"]["max_tokens"] == 50
    assert config["options"]["llm"]["model"] == "fault"
    assert config["value"] == "power"
    assert config["intensity"] == 2
    assert config["versions"]["python"]
    # No saved rankings, no calibration; newton takes no steps of lr.
    for key in ("rankings", "calibration", "lr", "cache", "progress", "logger", "resume"):
        assert key not in config, key
        assert key not in config["options"], key
    steered = run_of(studied / "steered" / "1").config
    assert steered["llm"] == "openai"
    assert steered["options"]["llm"]["model"] == "fault"
    assert steered["steering"] == "anchor"
    for key in ("opinionqa", "preset", "vidb", "values"):
        assert key not in steered, key
        assert key not in steered["options"], key


@pytest.mark.slow
def test_a_run_begins_before_the_work_and_shows_its_progress(studied: Path) -> None:
    found = run_of(studied / "steered" / "0")
    first = found.order.index("history")
    assert found.order.index("run") < first < found.order.index("artifact")
    assert found.history[0]["progress/responses"] == 0
    shares = [row["progress/share"] for row in found.history if "progress/share" in row]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert found.history[len(shares) - 1]["progress/failed"] == 0
    # System metrics; the interval of the samples is set to a tenth of a second here.
    assert found.stats > 0


@pytest.mark.slow
def test_a_run_has_figures_histogram_tables_and_the_log_of_windows(studied: Path) -> None:
    folder = studied / "scored" / "0"
    found, summary = run_of(folder), summary_in(folder)
    assert found.exit_code == 0
    # As it was when the run ended: the end of a sweep may pool what its jobs tell of a judge, in the sweep's run.
    row = pd.read_csv(studied / "scored" / "runs.csv").iloc[0]
    assert found.summary["mean"] == pytest.approx(row["mean"])
    assert found.summary["n"] == summary["n"] == 4
    assert found.summary["reliability.kendall_tau"] == pytest.approx(row["reliability.kendall_tau"])
    content = next(row for row in found.history if "histogram/score.values" in row)
    scores = pd.read_csv(folder / "scores.csv", keep_default_na=False)
    assert sum(content["histogram/score.values"]) == scores["power_score"].notna().sum() == 4
    assert (content["histogram/score.bins"][0], content["histogram/score.bins"][-1]) == (-10, 10)
    logged = table(folder, "scores")
    assert logged["columns"] == list(scores.columns)
    rows = pd.DataFrame(logged["data"], columns=logged["columns"])
    assert rows["response"].tolist() == scores["response"].tolist()
    assert rows["power_score"].mean() == pytest.approx(row["mean_of_scores"])
    windows, rankings = table(folder, "windows"), pd.read_csv(folder / "rankings.csv")
    assert windows["columns"] == list(rankings.columns)
    assert [row[windows["columns"].index("ranking")] for row in windows["data"]] == rankings["ranking"].tolist()


def table(folder: Path, name: str) -> dict[str, Any]:
    (file,) = folder.glob(f"wandb/offline-run-*/files/media/table/**/{name}_*.table.json")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


@pytest.mark.slow
def test_a_job_that_fails_is_a_run_that_failed(studied: Path) -> None:
    failed = run_of(studied / "scored" / "2")
    assert failed.exit_code == 2
    assert "value 'powr' is not in theory 'pvq'" in failed.summary["error"]
    assert "mean" not in failed.summary


@pytest.mark.slow
def test_artifacts_lead_from_steering_to_scores(studied: Path) -> None:
    steered = run_of(studied / "steered")
    made = {run_of(studied / "steered" / str(job)).run.run_id for job in (0, 1)}
    for job in (0, 1):
        own = run_of(studied / "steered" / str(job))
        assert made_by(own) == {f"responses-{own.run.run_id}": ("responses", False)}
        assert summary_in(studied / "steered" / str(job))["loggers"]["wandb"]["run"] in made
    joint = steered.artifacts[f"responses-{steered.run.run_id}"]
    files = {entry.path: entry.digest for entry in joint.manifest.contents}
    assert set(files) == {"0/responses.csv", "1/responses.csv"}
    found = run_of(studied / "scored" / "0")
    assert found.config["inputs"] == [joint.name]
    taken = found.artifacts.pop(joint.name)
    assert taken.use_after_commit
    assert {entry.path: entry.digest for entry in taken.manifest.contents} == files
    assert taken.digest == joint.digest
    assert made_by(found) == {
        f"scores-{found.run.run_id}": ("scores", False),
        f"rankings-{found.run.run_id}": ("rankings", False),
    }


def made_by(run: OfflineRun) -> dict[str, tuple[str, bool]]:
    """Return type, and whether it is taken, of each artifact but those that W&B makes of tables."""
    found = {artifact.name: (artifact.type, artifact.use_after_commit) for artifact in run.artifacts.values()}
    return {name: about for name, about in found.items() if about[0] != "run_table"}


@pytest.mark.slow
def test_a_sweep_is_a_run_with_the_joint_table_dose_response_and_picture(studied: Path) -> None:
    folder = studied / "scored"
    found = run_of(folder)
    assert found.run.job_type == "sweep"
    assert found.run.run_group == found.run.display_name == f"{studied.name}_scored"
    assert found.exit_code == 2
    assert (found.summary["jobs"], found.summary["finished"], found.summary["failed"]) == (4, 2, 2)
    joint, jobs = pd.read_csv(folder / "sweep.csv"), table(folder, "jobs")
    assert jobs["columns"] == list(joint.columns)
    assert [row[jobs["columns"].index("mean")] for row in jobs["data"]] == pytest.approx(joint["mean"].tolist())
    failures = table(folder, "failed_jobs")
    assert [row[0] for row in failures["data"]] == ["2", "3"]
    assert all("powr" in row[1] and "is not in theory" in row[2] for row in failures["data"])
    doses = table(folder, "dose_response_table")
    rows = [dict(zip(doses["columns"], row, strict=True)) for row in doses["data"]]
    assert [(row["label"], row["intensity"]) for row in rows] == [("power", -2), ("power", 2)]
    assert [row["mean"] for row in rows] == pytest.approx(joint["mean"].tolist())
    (chart,) = (entry for key, entry in found.config.items() if key.endswith("visualize.dose_response"))
    assert chart["panel_config"]["panelDefId"] == "wandb/line/v0"
    assert any("pictures/dose_response.path" in row for row in found.history)
    (page,) = (row["report.path"] for row in found.history if "report.path" in row)
    (shown,) = folder.glob(f"wandb/offline-run-*/files/{page}")
    assert shown.read_text() == (folder / "report.html").read_text()
    assert made_by(found) == {f"scores-{found.run.run_id}": ("scores", False)}


@pytest.mark.slow
def test_nothing_secret_is_recorded(studied: Path) -> None:
    files = [path for path in studied.rglob("wandb/**/*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    for path in [*files, *studied.rglob("summary.json"), *studied.rglob("runs.csv")]:
        content = path.read_bytes()
        assert SECRET.encode() not in content, path
        if "wandb" in path.parts:
            assert SERVER_SECRET.encode() not in content, path


# ---- Single runs


@pytest.mark.slow
def test_a_single_run_that_fails_leaves_the_record_of_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    rankings = write_rankings(tmp_path / "rankings.csv")
    done = offline("evaluate.py", work, "value=powr", f"rankings={rankings}", "hydra.run.dir=out")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert run_of(work / "out").exit_code == 2
    assert not (work / "out" / "summary.json").exists()


@pytest.mark.slow
def test_a_fault_of_the_program_ends_the_run_with_1(tmp_path: Path) -> None:
    methods = "    rankings_per_window = 1\n\n    def describe(self):\n        return {}\n\n"
    broken = "    def rank(self, *_, **__):\n        raise OSError('gone')\n"
    (tmp_path / "breaking.py").write_text(f"class Judge:\n{methods}{broken}")
    judge = (
        "judge._target_=breaking.Judge",
        "~judge.encoder",
        "~judge.batch_size",
        "~judge.max_anchors",
        "~judge.seed",
        "~judge.head",
    )
    arguments = ("value=power", "intensity=2", *judge, "hydra.run.dir=out")
    done = offline("evaluate.py", tmp_path / "work", *arguments, PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert done.returncode == 1, done.stderr
    found = run_of(tmp_path / "work" / "out")
    assert found.exit_code == 1
    assert found.summary["error"] == "OSError: gone"


@pytest.mark.slow
def test_a_training_has_curves_metrics_and_its_model_in_one_run(tiny: Path, table_file: Path, tmp_path: Path) -> None:
    backbone = (
        "backbone=any",
        f"backbone.model={tiny}",
        "trainer=cpu",
        f"data.train={table_file}",
        "data.held_out=0.3",
    )
    steps = (
        "stage.batch_size=16",
        "stage.anchors_per_batch=4",
        "stage.positives_per_anchor=2",
        "max_steps=12",
        "validate_every=6",
    )
    succeeded(offline("train.py", tmp_path / "work", *backbone, *steps, "hydra.run.dir=out"))
    found = run_of(tmp_path / "work" / "out")
    assert found.run.job_type == "train"
    for curve in ("train/loss", "held_out/ranking_accuracy", "gradient_norm", "learning_rate"):
        assert any(curve in row for row in found.history), curve
    assert {"after.overall.ranking_accuracy"} <= found.summary.keys()
    assert found.metrics["train/*"] == "trainer/global_step"
    assert f"model-{found.run.run_id}" in found.artifacts
    names = {entry.path for entry in found.artifacts[f"model-{found.run.run_id}"].manifest.contents}
    assert "model/README.md" in names


@pytest.mark.slow
def test_online_without_a_key_is_refused_in_one_line_before_anything_is_scored(tmp_path: Path) -> None:
    work = tmp_path / "work"
    done = offline(
        "evaluate.py", work, "value=power", f"rankings={write_rankings(tmp_path / 'r.csv')}", "logger.mode=online"
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: logger=wandb finds no key; set WANDB_API_KEY")
    assert list(work.iterdir()) == []


def test_online_without_a_key_cannot_be_built(tmp_path: Path) -> None:
    """In a process of its own: wandb remembers the credentials of a process."""
    script = (
        "from valueflow.reporting import WandbLogger\n"
        "from valueflow.run.errors import InputError\n"
        "try:\n    WandbLogger()\nexcept InputError as error:\n    print(error)\n"
    )
    env = alone(tmp_path, PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
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
