"""What loggers are told: when, of which settings, and how a run ended."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf

from tests.command import ROOT, Finished, environment, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.run.capturing import HEARD
from valueflow.reporting import CsvLogger
from valueflow.run import RUN_KEYS, InputError, built_loggers

CAPTURING = "+logger._target_=tests.run.capturing.Capturing"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def rankings(tmp_path: Path) -> Path:
    rows = [
        {"row_idx": 0, "target_text": "one", "ranking": "[2, 1, 3]"},
        {"row_idx": 1, "target_text": "two", "ranking": "[1, 2, 3]"},
    ]
    path = tmp_path / "rankings.csv"
    pd.DataFrame(rows).assign(db_text_1="a", db_score_1=5, db_text_2="b", db_score_2=-5).to_csv(path, index=False)
    return path


def run(work: Path, *arguments: str, app: str = "evaluate.py") -> Finished:
    return run_app(ROOT / app, *arguments, folder=work, env=environment(work.parent / "cache"))


def heard(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / HEARD).read_text(encoding="utf-8").splitlines()]


def test_a_logger_hears_of_the_beginning_and_of_the_files_before_the_summary(work: Path, rankings: Path) -> None:
    succeeded(run(work, "value=power", f"rankings={rankings}", CAPTURING, "hydra.run.dir=out"))
    start, finish = heard(work / "out")
    assert (start["event"], start["command"], finish["event"]) == ("start", "evaluate", "finish")
    assert f"rankings={rankings}" in start["name"]
    assert "value=power" in start["name"]
    assert "scores.csv" in finish["files"]
    assert "summary.json" not in finish["files"]
    assert summary_in(work / "out")["loggers"] == {"capturing": {"n": 2}}


@pytest.mark.parametrize(
    ("app", "arguments", "there", "absent"),
    [
        (
            "evaluate.py",
            ["value=power", "rankings={rankings}"],
            {"theory", "value", "rankings", "estimator", "judge_check"},
            {"judge", "sampling", "llm", "prompt", "vidb", "m", "lr", "calibration", "logger", "resume"},
        ),
        (
            "train.py",
            ["task=convert", "data.train=demo"],
            {"task", "data"},
            {"stage", "backbone", "trainer", "optimizer", "loss", "epochs", "seed"},
        ),
    ],
)
def test_settings_that_have_no_part_in_a_run_are_not_told(
    work: Path, rankings: Path, app: str, arguments: list[str], there: set[str], absent: set[str]
) -> None:
    given = [argument.replace("{rankings}", str(rankings)) for argument in arguments]
    succeeded(run(work, *given, CAPTURING, "hydra.run.dir=out", app=app))
    told = heard(work / "out")[0]
    assert there <= told["config"].keys()
    assert not absent & told["config"].keys()
    assert told["options"].keys() <= told["config"].keys()


@pytest.mark.parametrize(
    ("overrides", "has_part"),
    [
        ([], set()),
        (["judge=llm"], {"llm", "prompt"}),
        (["judge=logprob"], {"llm"}),
        (["judge=panel", "judge.members=[embedding,embedding]"], {"prompt"}),
        (["judge=llm", "rankings=saved.csv"], set()),
    ],
)
def test_an_option_has_a_part_where_another_refers_to_it(overrides: list[str], has_part: set[str], work: Path) -> None:
    from hydra import compose, initialize_config_dir

    from valueflow.evaluation import EvaluationSettings
    from valueflow.run.used_settings import used_settings

    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("evaluate", overrides=["value=power", *overrides])
    given: Any = OmegaConf.to_container(config, resolve=True)
    given = {key: entry for key, entry in given.items() if key not in RUN_KEYS}
    used = used_settings(config, EvaluationSettings.checked(given))
    assert used.keys() & {"llm", "prompt"} == has_part
    assert ("judge" in used) == ("rankings=saved.csv" not in overrides)


_OF_STAGE_2 = {"id_temperature", "individual_weight", "anchor_weight", "members_per_id"}


@pytest.mark.parametrize(
    ("overrides", "loss", "of_stage_2"),
    [
        ([], "hmce", set()),
        (["loss=hce"], "hce", set()),
        (["stage=inter"], "hmce", _OF_STAGE_2),
        (["stage=inter", "loss=hmc"], "hmc", _OF_STAGE_2),
    ],
)
def test_the_loss_that_a_training_minimizes_is_told_also_where_nobody_names_it(
    overrides: list[str], loss: str, of_stage_2: set[str]
) -> None:
    used, settings = used_and_checked("data.train=demo", *overrides)
    assert used["loss"] == loss
    assert used["stage"].keys() & _OF_STAGE_2 == of_stage_2
    assert used["stage"].keys() - _OF_STAGE_2 == settings.stage.model_dump().keys() - _OF_STAGE_2
    assert not used.keys() & {"teacher", "llm", "cache"}


def test_what_a_task_or_stage_does_not_read_is_not_told() -> None:
    used, _ = used_and_checked("data.train=demo", "task=test")
    assert not used.keys() & {"loss", "stage", "epochs", "teacher", "llm", "cache"}
    used, _ = used_and_checked("stage=distill", "teacher=embedding", "trainer=cpu")
    assert not used.keys() & {"loss", "metrics", "replicates", "llm"}
    assert not used["data"].keys() & {"names", "name_similarity", "several_values"}
    assert {"teacher", "stage", "data"} <= used.keys()


def used_and_checked(*overrides: str) -> tuple[dict[str, Any], Any]:
    """Return what loggers are told of the settings of a training, and the settings as checked."""
    from hydra import compose, initialize_config_dir

    from valueflow.hives import TASK
    from valueflow.run.used_settings import used_settings

    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    given: Any = OmegaConf.to_container(config, resolve=True)
    settings = TASK.settings.checked({key: entry for key, entry in given.items() if key not in RUN_KEYS})
    return used_settings(config, settings), settings


def test_a_run_that_fails_is_told_with_its_reason_and_exit_code(work: Path, rankings: Path) -> None:
    done = run(work, "value=powr", f"rankings={rankings}", CAPTURING, "hydra.run.dir=out")
    assert done.returncode == 2
    start, fail = heard(work / "out")
    assert (start["event"], fail["event"], fail["exit_code"]) == ("start", "fail", 2)
    assert fail["fault"] in done.stderr


def test_settings_that_cannot_be_used_begin_no_record(work: Path, rankings: Path) -> None:
    refused(run(work, "value=power", "k=1", f"rankings={rankings}", CAPTURING), work, "k=1")


def test_a_sweep_is_told_with_its_jobs_and_those_that_failed(work: Path, rankings: Path) -> None:
    done = run(work, "value=power,powr", f"rankings={rankings}", CAPTURING, "hydra.sweep.dir=swept", "-m")
    assert done.returncode == 2
    (told,) = heard(work / "swept")
    assert told["command"] == "evaluate"
    assert [(name, value) for name, _, value in told["jobs"]] == [("0", "power")]
    assert [name for name, _, _ in told["failed"]] == ["1"]
    assert "value=powr" in told["failed"][0][1]
    assert "is not in theory" in told["failed"][0][2]
    assert told["exit_code"] == 2
    record = json.loads((work / "swept" / "sweep.json").read_text(encoding="utf-8"))
    assert record["loggers"] == {"capturing": {"jobs": 1}}


@pytest.mark.slow
def test_progress_is_told_without_a_bar(work: Path) -> None:
    succeeded(run(work, "value=power", "intensity=2", "m=1", "progress=false", CAPTURING, "hydra.run.dir=out"))
    told = [line for line in heard(work / "out") if line["event"] == "progress"]
    assert told[-1]["done"] == told[-1]["total"] > 0
    assert [line["done"] for line in told] == sorted(line["done"] for line in told)


# ---- Which loggers


def test_several_loggers_record_the_same_run(work: Path, rankings: Path) -> None:
    both = ("logger=[csv,none]", CAPTURING.replace("+logger.", "+logger.mine."))
    succeeded(run(work, "value=power", f"rankings={rankings}", *both, "hydra.run.dir=out"))
    assert len(pd.read_csv(work / "out" / "runs.csv")) == 1
    assert len(heard(work / "out")) == 2


def test_a_logger_that_there_is_not_is_named(work: Path) -> None:
    refused(run(work, "value=power", "logger=[csv,wanb]"), work, "logger", "wanb", "did you mean 'wandb'")


def test_several_loggers_without_brackets_are_told_how_they_are_written(work: Path) -> None:
    refused(run(work, "value=power", "logger=csv,wandb"), work, "logger=[csv,wandb]")


def test_nodes_become_loggers() -> None:
    csv = {"_target_": "valueflow.reporting.CsvLogger"}
    assert built_loggers(None) == built_loggers({"_target_": None}) == []
    assert built_loggers({"csv": csv, "project": "p"}) == [CsvLogger()]
    assert built_loggers(csv) == [CsvLogger()]
    assert len(built_loggers({"csv": csv, "mine": csv, "_target_": None})) == 2
    assert len(built_loggers({**csv, "mine": csv})) == 2
    with pytest.raises(InputError, match="no_such_module"):
        built_loggers({"mine": {"_target_": "no_such_module.Logger"}})


def test_keys_of_loggers_are_not_in_the_names_of_runs(work: Path) -> None:
    excluded = set(
        yaml.safe_load((ROOT / "configs/hydra/default.yaml").read_text())["job"]["config"]["override_dirname"][
            "exclude_keys"
        ]
    )
    for file in (ROOT / "configs/logger").glob("*.yaml"):
        for key, entry in yaml.safe_load(file.read_text()).items():
            if not isinstance(entry, dict) and key != "_target_":
                assert f"logger.{key}" in excluded, f"{file.name}: {key}"
