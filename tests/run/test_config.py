"""The configuration groups: a Python caller gets the defaults of the command line."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from tests.command import run, succeeded
from valueflow.run import (
    CONFIG_DIR,
    RUN_KEYS,
    InputError,
    built,
    compose_group,
    compose_node,
    compose_settings,
    group_options,
    require_set,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("overrides", "given"),
    [
        ([], {}),
        (
            ["theory=mft", "sampling=fixed", "k=4", "value=care"],
            {"theory": "mft", "sampling": "fixed", "k": 4, "value": "care"},
        ),
        (["theory=any", "logger=wandb"], {"theory": "any", "logger": "wandb"}),
    ],
)
def test_a_python_caller_gets_the_settings_of_the_command_line(
    tmp_path: Path, overrides: list[str], given: dict[str, object]
) -> None:
    shown = succeeded(run(ROOT / "evaluate.py", *overrides, "--cfg", "job", folder=tmp_path, env=os.environ)).stdout
    expected = OmegaConf.to_container(OmegaConf.create(shown), resolve=True)
    # How to run is asked of a Python caller only where he gives it.
    assert compose_settings("evaluate", given) == {
        key: setting for key, setting in expected.items() if key not in RUN_KEYS or key in given
    }


def test_published_defaults_of_the_design() -> None:
    settings = compose_settings("evaluate", {})
    found = {key: settings[key] for key in ("k", "m", "iter", "lr", "seed", "intensity", "estimator", "solver")}
    assert found == {
        "k": 6,
        "m": 3,
        "iter": 50,
        "lr": 0.1,
        "seed": 42,
        "intensity": None,
        "estimator": "map",
        "solver": "newton",
    }
    assert settings["theory"]["name"] == "pvq"
    assert settings["sampling"]["_target_"] == "valueflow.vidb.BucketSampling"
    assert settings["judge"]["_target_"] == "valueflow.judge.embedding_judge"
    assert "hydra" not in settings


def test_objects_are_passed_on_as_they_are() -> None:
    judge = SimpleNamespace(rank=None)
    settings = compose_settings("evaluate", {"judge": judge, "value": "power", "rankings": "theory"})
    assert settings["judge"] is judge
    assert (settings["value"], settings["rankings"]) == ("power", "theory")


def test_composing_leaves_no_trace_in_hydra() -> None:
    before = GlobalHydra.instance().hydra
    compose_settings("evaluate", {})
    with pytest.raises(InputError):
        compose_group("theory", "nope")
    assert GlobalHydra.instance().hydra is before


def test_groups_compose_inside_a_running_app_which_goes_on_undisturbed(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        """
import hydra
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from valueflow.run import compose_group, compose_settings

@hydra.main(version_base="1.3", config_path="conf", config_name="main")
def app(config):
    outer = GlobalHydra.instance().hydra
    assert outer is not None
    assert compose_group("theory", "rights")["name"] == "right"
    assert compose_settings("evaluate", {"k": 9})["k"] == 9
    assert GlobalHydra.instance().hydra is outer
    assert compose("main")["own"] == 1
    print(HydraConfig.get().job.name, config.own)

app()
"""
    )
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "main.yaml").write_text("own: 1\n")
    done = succeeded(run(tmp_path / "app.py", "own=2", folder=tmp_path, env=os.environ))
    assert done.stdout.strip() == "app 2"


@pytest.mark.parametrize(
    "compose", [compose_group, lambda group, option: compose_settings("evaluate", {group: option})]
)
def test_an_unknown_option_is_told_with_the_nearest(compose: object) -> None:
    with pytest.raises(
        InputError, match="sampling 'buckets' is unknown; did you mean 'bucket'. Known: adaptive, bucket"
    ):
        compose("sampling", "buckets")  # type: ignore[operator]


def test_options_are_the_files_of_a_group() -> None:
    for group in ("theory", "sampling", "judge", "logger", "experiment"):
        assert group_options(group) == sorted(file.stem for file in (CONFIG_DIR / group).iterdir())
    assert group_options("no_such_group") == []


def test_nodes_with_a_target_are_built_and_all_else_is_left() -> None:
    assert built({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 2}) == 0.5
    assert built({"_target_": None, "k": 1}) is None
    assert built("as it is") == "as it is"
    assert built({"k": 1}) == {"k": 1}


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "valueflow.judge.NoSuchJudge"},
        {"_target_": "no_such_package.Judge"},
        {"_target_": "valueflow.vidb.BucketSampling", "texts": "x"},
        {"_target_": "nodots"},
    ],
)
def test_a_node_that_cannot_be_built_is_told_in_one_line(node: dict[str, str]) -> None:
    with pytest.raises(InputError, match="cannot be built: ") as caught:
        built(node)
    assert node["_target_"] in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"value": "???"}, "value"),
        ({"k": 1, "llm": {"base_url": "???", "deep": {"er": 1}}}, "llm.base_url"),
        ({"a": {"b": {"c": "???"}, "d": "???"}, "z": "???"}, "z"),
        ({"judge": {"llm": {"model": "???"}}, "llm": {"model": "???", "base_url": "???"}}, "llm.model"),
    ],
)
def test_what_has_no_default_must_be_given(settings: dict[str, object], key: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"'{key}' is not set; give {key}=...")):
        require_set(settings)
    with pytest.raises(InputError, match=re.escape(f"'{key}' is not set")):
        built({"_target_": "fractions.Fraction", **settings})


def test_settings_that_are_all_given_pass() -> None:
    require_set({"value": "power", "text": "What???", "nested": {"key": None}, "many": ["???"]})


def test_files_and_names_stand_for_options_in_python_too() -> None:
    settings = compose_settings("evaluate", {"value": "x", "theory": "mine/duty.json", "llm": "org/model"})
    assert settings["theory"] == {"file": "mine/duty.json"}
    assert settings["llm"]["model"] == "org/model"
    node = compose_node("categorize", "llm", {"llm": "Qwen/Qwen3-8B"})
    assert node["chat_template_kwargs"] == {"enable_thinking": False}
