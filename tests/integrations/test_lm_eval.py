"""Tasks of lm-evaluation-harness: the files, and that a run gives the figures of `evaluate`."""

import importlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.integrations.said import texts
from valueflow import evaluate_responses
from valueflow.integrations import lm_eval_tasks
from valueflow.integrations.lm_eval import asked, mean, mean_high, mean_low, n, said, scored
from valueflow.llm import model_folder
from valueflow.run import InputError
from valueflow.steering import Wording
from valueflow.theory import known_theories


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write folders of tasks where no other test does, but share vectors and models."""
    for name in ("vectors", "models"):
        shared = Path(os.environ["VALUEFLOW_CACHE"], name)
        shared.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache").mkdir(exist_ok=True)
        (tmp_path / "cache" / name).symlink_to(shared)
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))


class Loader(yaml.SafeLoader):
    """Reads task files, with the functions that they name."""


def _function(loader: yaml.Loader, node: yaml.ScalarNode) -> Any:
    module, _, name = str(loader.construct_scalar(node)).rpartition(".")
    return getattr(importlib.import_module(module), name)


Loader.add_constructor("!function", _function)


def tasks_in(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.yaml")):
        yield yaml.load(file.read_text(encoding="utf-8"), Loader)


@pytest.mark.slow
def test_each_value_of_all_theories_has_a_task() -> None:
    tasks = list(tasks_in(lm_eval_tasks()))
    values = [(theory.name, value) for theory in known_theories() for value in theory.values]
    assert sorted((task["metadata"]["theory"], task["metadata"]["value"]) for task in tasks) == sorted(values)
    assert "valueflow_mft_care_harm" in {task["task"] for task in tasks}
    assert {task["tag"] for task in tasks} == {f"valueflow_{theory.name}" for theory in known_theories()}


@pytest.mark.slow
def test_equal_settings_share_a_folder() -> None:
    folder = lm_eval_tasks("duty", intensity=2)
    assert lm_eval_tasks("duty", intensity=2) == folder
    assert lm_eval_tasks("duty", intensity=1) != folder
    assert len(list(folder.iterdir())) == 7


@pytest.mark.slow
def test_other_settings_have_other_names() -> None:
    settings: list[dict[str, Any]] = [{}, {"intensity": 2}, {"intensity": -2}, {"intensity": 2, "limit": 3}]
    names = [{task["task"] for task in tasks_in(lm_eval_tasks("duty", **one))} for one in settings]
    assert len(set.union(*names)) == 4 * 7
    assert "valueflow_duty_justice" in names[0]
    assert any(name.startswith("valueflow_duty_justice_anchor_minus2_") for name in names[2])


def test_values_without_anchors_get_no_task_and_are_told(vidb: str, caplog: pytest.LogCaptureFixture) -> None:
    tasks = tasks_in(lm_eval_tasks("pvq", vidb=vidb))
    assert sorted(task["metadata"]["value"] for task in tasks) == ["benevolence", "power", "universalism"]
    assert "has no anchors of self-direction, stimulation" in caplog.text


def test_settings_of_steering_and_relative_files_reach_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.csv").write_text("query\nWhat now?\nAnd then?\nWhy?\n")
    monkeypatch.chdir(tmp_path)
    given = {"steering": "multi_user_texts", "values": ["justice", "fidelity"], "intensities": [2, -1]}
    folder = lm_eval_tasks("duty", **given, queries="mine.csv", limit=2, temperature=0.5, **{"steering.n": 1})
    task = next(tasks_in(folder))
    assert task["generation_kwargs"]["temperature"] == 0.5
    monkeypatch.chdir("/")
    documents = task["custom_dataset"](**task["metadata"])["test"]
    settings = {**given, "queries": str(tmp_path / "mine.csv"), "limit": 2, "steering.n": 1}
    wording = Wording(theory="duty", **settings)
    assert documents["text"] == [said[-1]["content"] for said in wording.conversations(wording.queries())]
    assert len(documents) == 2


def test_what_fails_at_the_end_leaves_the_run_its_results(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (document,) = asked(theory="pvq", value="benevolence", valueflow={"limit": 1})["test"]
    scale = json.dumps({**json.loads(document["scale"]), "vidb": str(tmp_path / "gone.csv")})
    items = [said({**document, "scale": scale}, ["I would."])["mean"]]
    assert math.isnan(mean(items))
    assert (n(items), scored(items)) == (1, 0)
    assert "gone.csv does not exist" in caplog.text


def test_what_is_asked_is_what_steer_says() -> None:
    task = next(task for task in tasks_in(lm_eval_tasks("pvq", intensity=-2)) if task["metadata"]["value"] == "power")
    # lm-eval hands over the model's arguments, too.
    documents = task["custom_dataset"](**task["metadata"], pretrained="smollm2", dtype="float32")["test"]
    wording = Wording(theory="pvq", value="power", intensity=-2)
    queries = wording.queries()
    assert documents["text"] == [said[-1]["content"] for said in wording.conversations(queries)]
    assert documents[3]["valueflow"] == {**queries.iloc[3].to_dict(), **wording.labels}


@pytest.mark.slow
def test_the_figures_are_those_of_an_evaluation(vidb: str) -> None:
    documents = asked(theory="pvq", value="benevolence", valueflow={"vidb": vidb})["test"].select(range(8))
    responses = texts(8)
    items = [said(document, [text])["mean"] for document, text in zip(documents, responses, strict=True)]
    table = pd.DataFrame(documents["valueflow"])[["query", "dataset"]].assign(response=responses)
    settings = {"value": "benevolence", "vidb": vidb, "estimator": "regression", "progress": False}
    summary = evaluate_responses(table, **settings).summary
    figures = [mean(items), mean_low(items), mean_high(items)]
    assert figures == [summary[name] for name in ("mean", "mean_low", "mean_high")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"theory": "pvk"}, "theory 'pvk' is unknown"),
        ({"judge": "embeding"}, "judge 'embeding' is unknown"),
        ({"judge": object()}, "judge: a file of a task cannot hold object; name an option"),
        ({"intensity": 3}, "intensity=3"),
        ({"vidb": "typo.csv"}, "vidb: typo.csv does not exist"),
        ({"judge": {"_target_": "os.system"}}, "settings here name options and numbers, no code"),
        ({"judge._target_": "os.system"}, "settings here name options and numbers, no code"),
        ({"intensity": 1, "steering": "activation"}, "steering=activation works inside a model"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_written(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        lm_eval_tasks(**settings)
    assert not Path(os.environ["VALUEFLOW_CACHE"], "lm_eval").exists()


@pytest.mark.slow
def test_a_run_of_its_own_command_gives_our_figures(tmp_path: Path, vidb: str) -> None:
    pytest.importorskip("lm_eval", reason="needs the extra lm-eval")
    folder, model = lm_eval_tasks("pvq", intensity=2, vidb=vidb), model_folder("smollm2")
    command = [sys.executable, "-m", "lm_eval", "run", "--include_path", str(folder)]
    command += ["--tasks", "valueflow_pvq_benevolence_*", "--limit", "8", "--apply_chat_template", "--device", "cpu"]
    command += ["--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--batch_size", "8"]
    command += ["--gen_kwargs", "max_gen_toks=24", "--output_path", str(tmp_path / "out"), "--log_samples"]
    subprocess.run(command, cwd=tmp_path, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    (results,) = (tmp_path / "out").glob("*/results_*.json")
    (samples,) = (tmp_path / "out").glob("*/samples_*.jsonl")
    (found,) = json.loads(results.read_text())["results"].values()
    assert (found["n,none"], found["scored,none"]) == (8, 8)
    # The samples say what they were steered to, so intensity=2 finds them all.
    evaluation = evaluate_responses(
        samples, value="benevolence", intensity=2, vidb=vidb, estimator="regression", progress=False
    )
    assert evaluation.summary["n"] == 8
    assert evaluation.summary["labels_only"] == []
    assert {name: found[f"{name},none"] for name in ("mean", "mean_low", "mean_high", "mean_of_scores")} == {
        name: pytest.approx(evaluation.summary[name]) for name in ("mean", "mean_low", "mean_high", "mean_of_scores")
    }
