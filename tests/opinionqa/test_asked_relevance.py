"""Relevance asked of a chat model: log-odds of yes and no, each question and value once."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.llm.fault_server import Call, FaultServer, Reply, completion, first_token
from valueflow import steer
from valueflow.opinionqa import SurveyAnswers
from valueflow.run import InputError
from valueflow.theory import load_theory

PVQ = load_theory("pvq")
YES_TO = {"help": "benevolence", "lead": "power"}
"""A word of each question, and the value that bears on it."""


@pytest.fixture
def survey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    common = {"options": ["Yes", "No"], "gold_distribution": [0.5, 0.5]}
    asked = [
        {"question": f"Would you {word}?", "attribute": f"SEX_{who}", **common}
        for who in ("Male", "Female")
        for word in ("help", "lead", "wait")
    ]
    (tmp_path / "questions.json").write_text(json.dumps(asked), encoding="utf-8")
    for who in ("Male", "Female"):
        line = {"score": 0.5, "definition_prompt": "You care.", "value_key": "power"}
        profile = {"attribute": f"SEX_{who}", "theories": {"pvq": {"high": [line]}}}
        (tmp_path / f"SEX_{who}.json").write_text(json.dumps(profile), encoding="utf-8")
    return tmp_path


def odds(yes: float, no: float) -> Reply:
    logprobs = {"Yes": math.log(yes / 2), " yes": math.log(yes / 2), "no": math.log(no), "Maybe": math.log(0.05)}
    return completion("Yes", logprobs=first_token(logprobs, "Yes"))


def answer(call: Call) -> Reply:
    if call.body["max_tokens"] > 1:
        return completion("A")
    asked = next((word for word in YES_TO if f"you {word}?" in call.question), "")
    is_about = bool(asked) and f'"{PVQ.nodes[YES_TO[asked]].label}"' in call.question
    return odds(0.8, 0.1) if is_about else odds(0.1, 0.6)


def ask(survey: Path, server: FaultServer, **more: Any) -> SurveyAnswers:
    named: Mapping[str, Any] = {
        "opinionqa.questions": str(survey / "questions.json"),
        "opinionqa.profiles": str(survey),
        "opinionqa.relevance_by": "llm",
        "llm.base_url": server.url,
        "llm.model": "fault",
        "llm.max_retries": 0,
        **more,
    }
    result = steer(preset="phi4", llm="openai", progress=False, **named)
    assert isinstance(result, SurveyAnswers)
    return result


def test_a_question_is_as_relevant_as_the_value_that_bears_on_it_most(survey: Path) -> None:
    with FaultServer(answer) as server:
        result = ask(survey, server, **{"opinionqa.relevance_share": 0.66})
        calls = [call for call in server.calls if call.body["max_tokens"] == 1]
        # Six items are three questions.
        assert len(calls) == 3 * len(PVQ.values)
        ask(survey, server, **{"opinionqa.relevance_share": 1.0})
        assert len([call for call in server.calls if call.body["max_tokens"] == 1]) == len(calls)
    scores = dict(zip(result.details["question"], result.details["relevance"], strict=True))
    assert scores == pytest.approx(
        {"Would you help?": math.log(8), "Would you lead?": math.log(8), "Would you wait?": -math.log(6)}
    )
    assert result.details["profile_used"].tolist() == [True, True, False] * 2
    summary = result.summary
    assert (summary["profile_used"], summary["profile_used_by"], summary["n"]) == (4, "share", 6)
    assert summary["relevance"] == "asked of fault"
    assert isinstance(result.relevance, pd.DataFrame)
    assert len(result.relevance) == 3


def test_a_model_without_log_probabilities_is_told(survey: Path) -> None:
    with (
        FaultServer(lambda call: completion("yes")) as server,
        pytest.raises(InputError, match="relevance_by=llm: model 'fault' gives no log-probabilities"),
    ):
        ask(survey, server)


def test_a_run_that_uses_no_profile_says_so(survey: Path, caplog: pytest.LogCaptureFixture) -> None:
    with FaultServer(answer) as server:
        result = ask(survey, server, **{"opinionqa.threshold": 9.0})
    assert result.summary["profile_used"] == 0
    assert "no profile is used: no question has a relevance of 9 (asked of fault)" in caplog.text
