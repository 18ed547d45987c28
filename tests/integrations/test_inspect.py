"""The ValueFlow scale inside Inspect: runs of its own command, whose logs read back with equal scores."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pandas as pd
import pytest

from tests.integrations.said import texts
from tests.llm.fault_server import Call, FaultServer, Reply, completion
from valueflow import evaluate_responses
from valueflow.responses import load_responses
from valueflow.steering import Wording
from valueflow.theory import known_theories

TASKS = Path(__file__).parents[2] / "valueflow" / "integrations" / "inspect" / "tasks.py"

MOCKED = """
import json
from inspect_ai import Task, task, task_with
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from valueflow.integrations.inspect import pvq

def outputs():
    for text in json.load(open("texts.json")):
        # With its usage, or a tokenizer is downloaded.
        output = ModelOutput.from_content("mockllm", text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        yield output

@task
def mocked(**settings) -> Task:
    return task_with(pvq("benevolence", 2, **settings), model=get_model("mockllm/model", custom_outputs=outputs()))
"""

NOT_OF_POWER = {"theory": None, "value": None, "intensity": None}
"""Responses that were steered to another theory's value are scored all the same."""


def inspect(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Inspect's command in a folder; its logs go to `logs` there."""
    pytest.importorskip("inspect_ai", reason="needs the extra inspect")
    command = [str(Path(sys.executable).with_name("inspect")), *arguments, "--display", "plain", "--log-dir", "logs"]
    return subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)


def log_in(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the one log in a folder, and what it holds."""
    from inspect_ai.log import read_eval_log

    (file,) = (folder / "logs").glob("*.eval")
    content: dict[str, Any] = json.loads(read_eval_log(str(file)).model_dump_json())
    assert content["status"] == "success"
    return file, content


def figures_of(log: dict[str, Any]) -> dict[str, float]:
    return {name: entry["value"] for name, entry in log["results"]["scores"][0]["metrics"].items()}


def test_each_theory_has_a_task() -> None:
    tasks = {
        node.name
        for node in ast.parse(TASKS.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and [ast.unparse(one) for one in node.decorator_list] == ["task"]
    }
    assert tasks == {theory.name for theory in known_theories()} | {"own_theory"}


@pytest.mark.slow
def test_a_log_reads_back_with_equal_scores(tmp_path: Path, vidb: str) -> None:
    said = texts(40)
    said[7] = ""
    (tmp_path / "texts.json").write_text(json.dumps(said))
    (tmp_path / "mocked.py").write_text(MOCKED)
    done = inspect("eval", "mocked.py@mocked", "-T", f"vidb={vidb}", "--limit", "40", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    file, log = log_in(tmp_path)
    scores = [sample["scores"]["value_intensity"] for sample in log["samples"]]

    settings = {"value": "benevolence", "intensity": 2, "estimator": "regression", "vidb": vidb, "progress": False}
    evaluation = evaluate_responses(file, on_bad_row="skip", **settings)
    # Samples say what they were steered to, so intensity=2 finds them.
    assert evaluation.summary["labels_only"] == []
    assert evaluation.summary["n"] == 39
    by_text = evaluation.scores.set_index("response")
    assert sorted(by_text.index) == sorted(text for text in said if text)
    for score in scores:
        if score["answer"]:
            ours = by_text.loc[score["answer"]]
            found = [score["value"], *(score["metadata"][name] for name in ("low", "high", "se"))]
            assert found == [ours[f"benevolence_{name}"] for name in ("score", "low", "high", "se")]
    (failed,) = [score for score in scores if not score["answer"]]
    assert np.isnan(float(failed["value"]))
    assert failed["metadata"]["failure"] == failed["explanation"] == "the text is missing"
    assert {score["reason"] for score in scores} == {None, "no_response"}
    figures = figures_of(log)
    assert figures["mean_of_scores"] == pytest.approx(evaluation.summary["mean_of_scores"])
    assert figures["mean_of_scores_low"] < figures["mean_of_scores"] < figures["mean_of_scores_high"]
    # All samples are judged in few batches.
    assert max(score["metadata"]["batch"] for score in scores) > 20


def answered(call: Call) -> Reply:
    """Answer as a server does whose answers Inspect checks: with the model's name and the sum of tokens."""
    reply = completion(f"I am told: {call.body['messages'][-1]['content'][-40:]}")
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return Reply(json.dumps({**json.loads(reply.body), "model": "m1", "usage": usage}).encode())


@pytest.mark.slow
def test_our_file_runs_by_path_and_another_log_can_be_scored(tmp_path: Path, vidb: str) -> None:
    with FaultServer(answered) as server:
        here = {"HERE_BASE_URL": server.url, "HERE_API_KEY": "none"}
        done = inspect(
            *("eval", f"{TASKS}@mft", "--model", "openai-api/here/m1", "--limit", "3"),
            *("-T", "value=care/harm", "-T", "intensity=-1", "-T", "steering=user_texts", "-T", "vidb=demo"),
            folder=tmp_path,
            **here,
        )
        asked = [call.body["messages"][-1]["content"] for call in server.calls]
    assert done.returncode == 0, done.stdout + done.stderr
    wording = Wording(theory="mft", value="care-harm", intensity=-1, steering="user_texts")
    queries = wording.queries().head(3)
    assert sorted(asked) == sorted(said[-1]["content"] for said in wording.conversations(queries))

    file, _ = log_in(tmp_path)
    responses, _ = load_responses(str(file), {})
    labels = responses[["query", "theory", "value", "intensity", "steering"]].sort_values("query", ignore_index=True)
    expected = queries[["query"]].assign(**wording.labels).sort_values("query", ignore_index=True)
    pd.testing.assert_frame_equal(labels, expected, check_dtype=False)

    settings = {"theory": "pvq", "value": "power", "vidb": vidb, "judge_check": False}
    given = [part for name, entry in settings.items() for part in ("-S", f"{name}={entry}")]
    (tmp_path / "scored").mkdir()
    scored = inspect(
        *("score", str(file), "--scorer", "valueflow/value_intensity", *given, "--action", "append"),
        *("--output-file", "scored/logs/log.eval"),
        folder=tmp_path,
        **here,
    )
    assert scored.returncode == 0, scored.stdout + scored.stderr
    _, log = log_in(tmp_path / "scored")
    found = {sample["input"]: sample["scores"]["value_intensity1"]["value"] for sample in log["samples"]}
    scores = evaluate_responses(file, estimator="regression", progress=False, response_columns=NOT_OF_POWER, **settings)
    assert found == dict(zip(scores.scores["query"], scores.scores["power_score"], strict=True))


@pytest.mark.slow
def test_steering_leaves_other_messages_and_takes_no_images() -> None:
    pytest.importorskip("inspect_ai", reason="needs the extra inspect")
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ContentImage, ModelName
    from inspect_ai.solver import TaskState

    from valueflow.integrations.inspect import value_steering
    from valueflow.run import InputError

    solver = value_steering("pvq", "power", intensity=2)

    def solved(messages: list[Any]) -> list[str]:
        state = TaskState(ModelName("mockllm/model"), "1", 1, messages, messages)
        return [message.text for message in anyio.run(solver, state, None).messages]

    wording = Wording(theory="pvq", value="power", intensity=2)
    (asked,) = wording.conversations(pd.DataFrame({"query": ["Why?"], "dataset": [""]}))
    before = [ChatMessageSystem(content="Be brief."), ChatMessageUser(content="Hello.")]
    assert solved([*before, ChatMessageUser(content="Why?")]) == ["Be brief.", "Hello.", asked[-1]["content"]]
    with pytest.raises(InputError, match="sample 1 holds image"):
        solved([ChatMessageUser(content=[ContentImage(image="a.png")])])
    with pytest.raises(InputError, match="sample 1 has no message of the user"):
        solved(before[:1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("value=benevolance",), "Error: value 'benevolance' is not in theory 'pvq'"),
        (("value=power", "intensity=1", "steering=activation"), "Error: steering=activation works inside a model"),
        (("value=power", "judge=embeding"), "Error: judge 'embeding' is unknown"),
        (("value=power", "vidb=typo.csv"), "Error: vidb: typo.csv does not exist"),
        (("value=power", "judge={_target_: os.system}"), "Error: _target_: settings here name options and numbers"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    given = [part for argument in arguments for part in ("-T", argument)]
    done = inspect("eval", "valueflow/pvq", "--model", "mockllm/model", *given, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr
