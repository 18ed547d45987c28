"""W&B's own sweeps: each file in `sweeps` is a command line of ours, and its target is a figure that runs log."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command import ROOT, environment, run, succeeded
from tests.reporting.test_wandb_logger import offline, write_rankings
from tests.reporting.wandb_records import read_runs
from valueflow.apps import COMMANDS
from valueflow.reporting.runs import MAIN_FIGURES

FILES = sorted((ROOT / "sweeps").glob("*.yaml"))
OF_TRAINING = "held_out/ranking_accuracy"


def content(file: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return read


def settings(parameter: dict[str, Any]) -> list[Any]:
    """Return what W&B may choose: the values, or the ends of a range."""
    if "distribution" in parameter:
        return [parameter["min"], parameter["max"]]
    return parameter["values"] if "values" in parameter else [parameter["value"]]


def command_line(file: Path, place: int) -> list[str]:
    """Return the command that an agent runs with the first or the last setting of each parameter."""
    sweep = content(file)
    given = [f"{key}={settings(parameter)[place]}" for key, parameter in sweep["parameters"].items()]
    words = {"${env}": ["/usr/bin/env"], "${interpreter}": ["python"], "${program}": [sweep["program"]]}
    words["${args_no_hyphens}"] = given
    return list(itertools.chain.from_iterable(words.get(word, [word]) for word in sweep["command"]))


def test_every_command_that_has_something_to_search_has_a_sweep() -> None:
    swept = {"evaluate", "steer", "train", "extract", "categorize", "build_vidb", "compare"}
    assert {file.stem for file in FILES} == swept <= set(COMMANDS)
    assert all(content(file)["program"] == f"{file.stem}.py" for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("place", [0, -1])
def test_what_an_agent_runs_can_be_composed(file: Path, place: int, tmp_path: Path) -> None:
    env, python, program, *arguments = command_line(file, place)
    assert (env, python) == ("/usr/bin/env", "python")
    assert "logger=wandb" in arguments
    done = run(
        ROOT / program, *arguments, "--cfg", "job", "--resolve", folder=tmp_path, env=environment(tmp_path / "cache")
    )
    composed = yaml.safe_load(succeeded(done).stdout)
    for key, parameter in content(file)["parameters"].items():
        top, _, inner = key.partition(".")
        if not (ROOT / "configs" / key).is_dir():
            found = composed[top]
            for part in inner.split(".") if inner else []:
                found = found[part]
            assert found == settings(parameter)[place], key


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_target_is_a_figure_that_runs_log(file: Path) -> None:
    sweep = content(file)
    assert sweep["metric"]["name"] in (*MAIN_FIGURES, OF_TRAINING)
    assert sweep["metric"]["goal"] in ("minimize", "maximize")
    assert sweep["method"] in ("grid", "random", "bayes")


@pytest.mark.slow
def test_a_run_under_an_agent_is_the_one_that_the_agent_has_named(tmp_path: Path) -> None:
    rankings = write_rankings(tmp_path / "rankings.csv")
    chosen = {"WANDB_SWEEP_ID": "swp1", "WANDB_RUN_ID": "named-by-agent", "WANDB_PROJECT": "theirs"}
    arguments = ("value=power", f"rankings={rankings}", "judge_check=false", "hydra.run.dir=out")
    succeeded(offline("evaluate.py", tmp_path / "work", *arguments, **chosen))
    (found,) = read_runs(tmp_path / "work" / "out")
    assert found.run.run_id == "named-by-agent"
    assert found.run.sweep_id == "swp1"
    logged = {name for row in found.history for name in row}
    assert {"mean", "reliability.kendall_tau"} <= logged
