"""`python evaluate.py sampling=adaptive` with a language model: what it asks, and what it asks again once killed."""

import json
import random
import re
import signal
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command import environment, run, start, succeeded, summary_in
from tests.llm.fault_server import Call, FaultServer, Reply, completion, delayed

ROOT = Path(__file__).parents[1]


def by_number(call: Call) -> Reply:
    """Rank the texts shown by the number at their end, with Plackett-Luce noise drawn from the request alone."""
    texts = [json.loads(line) for line in re.findall(r"^\d+\. (.*)$", call.question, flags=re.MULTILINE)]
    draw = random.Random(call.digest)
    strengths = [float(text.split()[-1]) - np.log(draw.expovariate(1)) for text in texts]
    order = [int(place) + 1 for place in np.argsort(strengths)[::-1]]
    schema = call.body["response_format"]["json_schema"]["schema"]
    ((name, asked),) = schema["properties"].items()
    return completion(json.dumps({name: " ".join(map(str, order)) if asked["type"] == "string" else order}))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    ratings = np.linspace(-9, 9, 25)
    anchors = {"theory": "duty", "value": "fidelity", "text": [f"an anchor of {rating}" for rating in ratings]}
    pd.DataFrame(anchors | {"final_rating": ratings}).to_csv(folder / "anchors.csv", index=False)
    truth = np.round(np.linspace(-8, 8, 24), 2)
    responses = {"query": "q", "dataset": "d", "response": [f"a response of {u}" for u in truth]}
    pd.DataFrame(responses).to_csv(folder / "responses.csv", index=False)
    return folder


def arguments(server: FaultServer, folder: str, *more: str) -> tuple[str, ...]:
    asked = ("theory=duty", "value=fidelity", "responses=responses.csv", "vidb=anchors.csv", "judge=llm", "llm=openai")
    model = ("llm.model=fault", f"llm.base_url={server.url}", "llm.concurrency=4")
    return (*asked, *model, "sampling=adaptive", "m=8", "sampling.target_se=0.8", f"hydra.run.dir={folder}", *more)


def test_the_screen_and_the_summary_say_what_rounds_took(work: Path) -> None:
    with FaultServer(by_number) as server:
        env = environment(work.parent / "cache")
        done = succeeded(run(ROOT / "evaluate.py", *arguments(server, "out"), folder=work, env=env))
        calls = len(server.calls)
    summary, scores = summary_in(work / "out"), pd.read_csv(work / "out" / "scores.csv")
    adaptive = summary["adaptive"]
    assert calls == summary["judging"]["calls"] == scores["windows"].sum() == summary["windows"]
    assert adaptive["rounds"] == scores["windows"].max() == len(adaptive["responses_by_windows"])
    assert 2 <= scores["windows"].min() < scores["windows"].max() <= 8
    assert summary["settings"]["sampling"] == "AdaptiveSampling"
    said = f"adaptive windows: {calls / 24:.1f} per response, where bucket would need {adaptive['bucket_windows']:.1f}"
    assert said in done.stdout
    assert f"{adaptive['reached']} of 24 responses reached the target" in done.stdout


@pytest.mark.slow
def test_a_run_killed_in_any_round_and_started_again_repeats_no_answered_call(work: Path) -> None:
    """The server counts; the tables are those of a run that nothing disturbed, to the last byte."""
    at_once, screen = 4, work.parent / "screen.txt"
    with FaultServer(delayed(by_number, 0.005)) as server:

        def begin(folder: str, cache: str) -> BaseProcess:
            env = environment(work.parent / cache)
            given = arguments(server, folder, "progress=false")
            return start(ROOT / "evaluate.py", *given, folder=work, env=env, output=screen, errors=screen)

        def ended(process: BaseProcess) -> int | None:
            process.join(120)
            return process.exitcode

        assert ended(begin("undisturbed", "one")) == 0, screen.read_text()
        asked = {call.digest for call in server.calls}
        assert len(asked) == len(server.calls)
        server.calls.clear()
        # In the first round, which asks 24 times; in the second; in a later one.
        for stop in (10, 35, 60):
            process = begin("killed", "two")
            while len(server.calls) < stop and process.is_alive():
                time.sleep(0.002)
            process.kill()
            assert ended(process) == -signal.SIGKILL
        assert ended(begin("killed", "two")) == 0, screen.read_text()
        times = Counter(call.digest for call in server.calls)
    assert set(times) == asked, "the same windows, whatever was interrupted"
    assert sum(times.values()) - len(times) <= 3 * at_once, "only what was on its way is asked for again"
    for name in ("rankings.csv", "scores.csv"):
        assert (work / "killed" / name).read_bytes() == (work / "undisturbed" / name).read_bytes()
    assert summary_in(work / "killed")["adaptive"] == summary_in(work / "undisturbed")["adaptive"]
