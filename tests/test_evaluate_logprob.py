"""`python evaluate.py judge=logprob` as a person runs it, against real servers and a small real model."""

import json
import math
import re
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command import Finished, environment, refused, start, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import Call, FaultServer, Reply, completion, delayed, first_token
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

ROOT = Path(__file__).parents[1]
ANCHORS = load_vidb("demo", load_theory("pvq")).of(load_theory("pvq"), "benevolence")
KNOWN = dict(zip(ANCHORS.texts.tolist(), ANCHORS.intensities.tolist(), strict=True))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def run(work: Path, *arguments: str, fresh: bool = False) -> Finished:
    env = environment(work.parent / "cache")
    return run_app(ROOT / "evaluate.py", "judge=logprob", *arguments, folder=work, env=env, fresh=fresh)


def at(server: FaultServer, *more: str) -> tuple[str, ...]:
    patience = ("llm.timeout=60", "llm.max_retries=0", "llm.concurrency=8")
    return ("value=benevolence", "llm=openai", "llm.model=fault", f"llm.base_url={server.url}", *patience, *more)


def text_of(call: Call) -> str:
    (quoted,) = re.findall(r"^Somebody said: (.*)$", call.question, flags=re.MULTILINE)
    text = json.loads(quoted)
    assert isinstance(text, str)
    return text


def log_odds(text: str) -> float:
    """Known intensities for anchors, and for other texts a number that depends on the text alone."""
    return float(KNOWN.get(text, sum(map(ord, text)) % 19 - 9)) / 2


def stance(call: Call) -> Reply:
    odds = {"Support": math.exp(log_odds(text_of(call))), " oppose": 1.0, "Neutral": 0.5, "The": 0.1}
    total = sum(odds.values())
    logprobs = {token: math.log(share / total) for token, share in odds.items()}
    return completion("Support", logprobs=first_token(logprobs, "Support"), completion_tokens=1)


def test_a_run_asks_about_each_text_once_and_leaves_the_log_odds(work: Path) -> None:
    with FaultServer(stance) as server:
        done = succeeded(run(work, *at(server, "intensity=2", "m=7", "hydra.run.dir=out"), fresh=True))
        asked = [text_of(call) for call in server.calls]
        bodies = [call.body for call in server.calls]
    table = pd.read_csv(work / "out" / "text_scores.csv")
    assert sorted(asked) == sorted(table["text"])
    assert len(set(asked)) == len(asked)
    assert all(body["max_tokens"] == 1 and body["logprobs"] and body["top_logprobs"] == 20 for body in bodies)
    assert table["utility"].tolist() == pytest.approx([log_odds(text) for text in table["text"]])
    assert (table["support"] - table["oppose"]).tolist() == pytest.approx(table["utility"].tolist())
    rated = table.dropna(subset=["rating"])
    assert dict(zip(rated["text"], rated["rating"], strict=True)).items() <= KNOWN.items()
    summary = summary_in(work / "out")
    assert summary["judging"]["calls"] == len(asked)
    assert summary["judging"]["words_bounded"] == 0
    assert 0 < summary["judging"]["share_outside_words"] < 0.1
    assert (summary["judge"]["kind"], summary["judge"]["wordings"]) == ("logprob", ["stance"])
    assert summary["reliability"]["kendall_tau"] == pytest.approx(1)
    assert len(pd.read_csv(work / "out" / "rankings.csv")) == 8 * 7
    assert f"judge calls: {len(asked)} asked" in done.stdout


@pytest.mark.slow
def test_a_sweep_asks_about_each_anchor_once_and_the_same_sweep_again_asks_nothing(work: Path) -> None:
    with FaultServer(stance) as server:
        arguments = at(server, "intensity=-2,0,2", "-m")
        succeeded(run(work, *arguments, "hydra.sweep.dir=first"))
        texts = [text_of(call) for call in server.calls]
        assert len(set(texts)) == len(texts)
        assert len(texts) <= 24 + len(ANCHORS)
    again = succeeded(run(work, *arguments, "hydra.sweep.dir=second"))
    assert "judge calls: 0 asked" in again.stdout
    for job in ("0", "1", "2"):
        for name in ("text_scores.csv", "rankings.csv", "scores.csv"):
            first, second = (next(work.glob(f"{folder}/{job}*/{name}")) for folder in ("first", "second"))
            assert first.read_bytes() == second.read_bytes()


def test_adaptive_rounds_ask_about_each_text_once_without_a_cache(work: Path) -> None:
    with FaultServer(stance) as server:
        more = ("intensity=2", "sampling=adaptive", "m=12", "cache=off", "hydra.run.dir=out")
        succeeded(run(work, *at(server, *more)))
        texts = [text_of(call) for call in server.calls]
    assert len(set(texts)) == len(texts)
    assert sorted(pd.read_csv(work / "out" / "text_scores.csv")["text"]) == sorted(texts)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(work: Path) -> None:
    screen = work / "screen.txt"
    with FaultServer(delayed(stance, 0.05)) as server:
        arguments = ("judge=logprob", *at(server, "intensity=2", "llm.concurrency=2", "hydra.run.dir=out"))

        def command() -> BaseProcess:
            env = environment(work.parent / "cache")
            return start(ROOT / "evaluate.py", *arguments, folder=work, env=env, output=screen, errors=screen)

        process = command()
        while len(server.calls) < 8 and process.is_alive():
            time.sleep(0.01)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert not (work / "out" / "summary.json").exists()
        process = command()
        process.join(120)
        assert process.exitcode == 0, screen.read_text()
        texts = [text_of(call) for call in server.calls]
    # Only what was on its way when the process died is asked again.
    assert len(texts) - len(set(texts)) <= 2
    assert summary_in(work / "out")["judging"]["cache_hits"] >= 6


def test_a_server_without_log_probabilities_is_refused_in_one_line(work: Path) -> None:
    with FaultServer(lambda _: completion("support")) as server:
        done = run(work, *at(server, "intensity=2"))
    refused(done, work, "model 'fault' gives no log-probabilities; transformers, OpenVINO, vLLM and its")


def test_windows_of_texts_that_the_server_fails_on_fail_and_are_counted(work: Path) -> None:
    def some_fail(call: Call) -> Reply:
        return Reply(b"{}", 500) if "sorry" in text_of(call) else stance(call)

    responses = pd.DataFrame({"query": ["a", "b", "c"], "dataset": "d", "response": ["fine", "sorry", "fine too"]})
    responses.to_csv(work / "responses.csv", index=False)
    with FaultServer(some_fail) as server:
        succeeded(run(work, *at(server, "responses=responses.csv", "hydra.run.dir=out")))
    scores = pd.read_csv(work / "out" / "scores.csv")
    assert scores["windows_failed"].tolist() == [0, 3, 0]
    assert scores["benevolence_score"].isna().tolist() == [False, True, False]
    table = pd.read_csv(work / "out" / "text_scores.csv").set_index("text")
    assert "500" in table.loc["sorry", "failure"]
    assert np.isnan(table.loc["sorry", "utility"])


def test_what_cannot_be_used_is_told_in_one_line(work: Path) -> None:
    base = ("value=benevolence", "llm=smollm2")
    refused(run(work, *base, "judge.wordings=[oneshot]"), work, "'oneshot' asks about no single text")
    refused(run(work, *base, "judge.wordings=[stanc]"), work, "'stanc' is unknown", "stance")
    refused(run(work, *base, "judge.wordings=[]"), work, "at least 1 item")
    env = environment(work.parent / "cache")
    stance_for_rankings = ("judge=llm", "prompt=stance", *base)
    refused(run_app(ROOT / "evaluate.py", *stance_for_rankings, folder=work, env=env), work, "prompt")


@pytest.mark.slow
def test_smollm2_is_asked_without_network(work: Path) -> None:
    responses = pd.DataFrame({"query": ["a", "b"], "dataset": "d", "response": ["I help them.", "I let them down."]})
    responses.to_csv(work / "responses.csv", index=False)
    more = ("value=benevolence", "llm=smollm2", "responses=responses.csv", "judge_check=false", "hydra.run.dir=out")
    succeeded(run(work, *more))
    table = pd.read_csv(work / "out" / "text_scores.csv")
    assert np.isfinite(table["utility"]).all()
    shares = np.exp(table[["support", "oppose", "neutral"]]).sum(axis=1) + table["outside"]
    assert shares.tolist() == pytest.approx([1.0] * len(table), abs=1e-4)


def test_a_model_that_thinks_is_refused_in_one_line(work: Path) -> None:
    def thinks(_: Call) -> Reply:
        return completion("<think>", "length", logprobs=first_token({"<think>": 0.0}, "<think>"))

    with FaultServer(thinks) as server:
        done = run(work, *at(server, "intensity=2"))
    refused(done, work, "model 'fault' thinks before it answers", "use judge=llm")


def test_a_response_that_is_an_anchor_has_two_rows(work: Path) -> None:
    text = str(ANCHORS.texts[0])
    pd.DataFrame({"query": ["a"], "dataset": "d", "response": [text]}).to_csv(work / "responses.csv", index=False)
    with FaultServer(stance) as server:
        succeeded(run(work, *at(server, "responses=responses.csv", "m=9", "sampling=random", "hydra.run.dir=out")))
    table = pd.read_csv(work / "out" / "text_scores.csv")
    own = table[table["text"] == text]
    assert own["role"].tolist() == ["response", "anchor"]
    assert own["rating"].isna().tolist() == [True, False]
