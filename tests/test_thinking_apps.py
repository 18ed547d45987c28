"""Models that think aloud, asked by every command: what they think is never an answer."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.categorization.simulated import options_in
from tests.command import Finished, environment, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import Call, FaultServer, Reply, completion

ROOT = Path(__file__).parents[1]
TEXTS = [f"I share my bread with guest {number}, and never with {number + 7}." for number in range(4)]

Say = Callable[[Call], str]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "texts.csv", index=False)
    survey = [
        {
            "question": f"Will you vote for number {number}?",
            "options": ["Surely", "Hardly"],
            "attribute": "CREGION_Harbour side",
            "gold_distribution": [0.7, 0.3],
        }
        for number in range(8)
    ]
    (tmp_path / "q.json").write_text(json.dumps(survey), encoding="utf-8")
    questions = [item["question"] for item in survey]
    pd.DataFrame({"question": questions, "top_score": 0.0}).to_csv(tmp_path / "relevance.csv", index=False)
    pd.DataFrame({"query": "q", "dataset": "d", "response": TEXTS[:1]}).to_csv(tmp_path / "r.csv", index=False)
    return folder


def respond(call: Call) -> str:
    return f"I would share, said number {call.digest[:8]}."


def rank(call: Call) -> str:
    """Rank by the first number of each text, or by its length."""
    texts = re.findall(r'^(\d+)\. "(.*)"$', call.question, re.MULTILINE)
    return json.dumps([int(number) for number, text in sorted(texts, key=lambda item: (len(item[1]), item[1]))])


def vote(call: Call) -> str:
    return sorted(options_in(call.question))[0]


def letter(call: Call) -> str:
    return "AB"[sum(map(int, re.findall(r"number (\d)", call.question))) % 2]


SURVEY = ("preset=phi4", "opinionqa.questions=../q.json", "opinionqa.relevance=../relevance.csv")
COMMANDS: dict[str, tuple[Say, tuple[str, ...], str]] = {
    "steer": (respond, ("value=benevolence", "intensity=2", "limit=3"), "responses.csv"),
    "survey": (letter, SURVEY, "details.csv"),
    "evaluate": (rank, ("value=benevolence", "responses=../r.csv", "k=3", "m=2", "judge=llm"), "rankings.csv"),
    "categorize": (vote, ("theory=mft", "input=../texts.csv", "direction=false", "panel=server"), "votes.csv"),
    "build_vidb": (rank, ("value=benevolence", "input=../texts.csv", "k=3", "judge=llm"), "rankings.csv"),
}

DRESSES: tuple[Callable[[str], Reply], ...] = (
    lambda said: completion(f"<think>\n[1, 2, 3]? A. No.\n</think>\n\n{said}"),
    lambda said: completion(f"[3, 2, 1]? B. No.\n</think>\n{said}"),
    lambda said: completion(f"[THINK]A, care[/THINK]{said}"),
    lambda said: completion(said, reasoning_content="[1, 2, 3]? A. No."),
)


def run(work: Path, command: str, server: FaultServer, out: str) -> Finished:
    _, arguments, _ = COMMANDS[command]
    app = {"survey": "steer"}.get(command, command)
    if command == "categorize":
        model = ("panel.models=[m]", f"panel.base_url={server.url}")
    else:
        model = ("llm=openai", "llm.model=m", f"llm.base_url={server.url}")
    asked = (*arguments, *model, "cache=on", "progress=false", f"hydra.run.dir={out}")
    return run_app(ROOT / f"{app}.py", *asked, folder=work, env=environment(work.parent / f"cache-{out}"))


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name == "evaluate" else pytest.mark.slow) for name in COMMANDS]
)
def test_what_a_model_thinks_changes_no_answer(command: str, work: Path) -> None:
    say, _, output = COMMANDS[command]
    with FaultServer(lambda call: completion(say(call))) as server:
        plain = succeeded(run(work, command, server, "plain"))
    with FaultServer(lambda call: DRESSES[int(call.digest, 16) % len(DRESSES)](say(call))) as server:
        thinking = succeeded(run(work, command, server, "thinking"))
        assert len({call.digest for call in server.calls}) == len(server.calls) > 1
    assert f"the model's thoughts, which are left out: {len(server.calls)}\n" in thinking.stdout
    assert "thoughts" not in plain.stdout
    assert (work / "thinking" / output).read_bytes() == (work / "plain" / output).read_bytes()


@pytest.mark.parametrize(
    "command", ["steer", *(pytest.param(name, marks=pytest.mark.slow) for name in ("survey", "evaluate", "categorize"))]
)
def test_thoughts_that_use_up_the_tokens_are_counted_and_warned_of_once(command: str, work: Path) -> None:
    with FaultServer(lambda _: completion("<think>\nA, care: [1, 2, 3]? I would", "length")) as server:
        done = succeeded(run(work, command, server, "out"))
    assert len(re.findall("WARNING.*raise llm.reasoning_tokens", done.stdout + done.stderr)) == 1
    assert re.search(r"\d+ (failed|abstained): .*used up the tokens: raise llm.reasoning_tokens", done.stdout)
    tables = [file.read_text(encoding="utf-8") for file in (work / "out").glob("*.csv")]
    assert tables
    assert not any("I would" in table for table in tables)


@pytest.mark.parametrize(
    "reply", [completion(None), completion("<think>Hm", "length"), completion("", "content_filter")]
)
def test_what_is_no_answer_is_asked_again_by_the_next_run(reply: Reply, work: Path) -> None:
    with FaultServer(lambda _: reply) as server:
        succeeded(run(work, "steer", server, "out"))
    assert summary_in(work / "out")["failed"] == 3
    with FaultServer(lambda call: completion(respond(call))) as server:
        succeeded(run(work, "steer", server, "out"))
        assert len(server.calls) == 3
    assert summary_in(work / "out")["responses"] == 3


def test_the_mark_of_an_answer_is_typed_as_the_documentation_says(work: Path) -> None:
    with FaultServer(lambda call: completion(f"Hm.</think>{respond(call)}")) as server:
        model = ("llm=openai", "llm.model=m", f"llm.base_url={server.url}", "llm.answer_after=</think>")
        arguments = (*COMMANDS["steer"][1], *model, "hydra.run.dir=out")
        succeeded(run_app(ROOT / "steer.py", *arguments, folder=work, env=environment(work.parent / "cache")))
    assert summary_in(work / "out")["llm"]["answer_after"] == "</think>"
    assert not pd.read_csv(work / "out" / "responses.csv")["response"].str.contains("Hm").any()
