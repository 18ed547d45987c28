"""Runs divided into shards and joined: tables equal to the undivided run's to the byte, and nothing asked twice."""

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.categorization.simulated import Scripted, options_in, text_in
from tests.command import ROOT, Finished, environment, start, succeeded, summary_in
from tests.command import run as run_app
from tests.construction.judges import KnowingJudge, raw_texts
from tests.extraction.test_extraction import KnownModel, arrays, defaults, table
from tests.llm.fault_server import Call, FaultServer, Reply, completion, delayed, permutation, refusal
from valueflow import build_vidb, categorize, evaluate_responses, extract, steer
from valueflow.llm import Completion, release
from valueflow.run import InputError
from valueflow.voting import Panel, PanelMember, VotingRule

OF_A_RUN = ("timings", "started", "merged", "cache", "seconds", "tokens_per_second", "texts_per_second", "fingerprint")
"""What differs between two runs that do the same."""


def lasting(node: Any) -> Any:
    """Return a summary without what differs between two runs that do the same."""
    if isinstance(node, dict):
        return {key: lasting(entry) for key, entry in node.items() if key not in OF_A_RUN}
    return [lasting(entry) for entry in node] if isinstance(node, list) else node


def same(whole: Path, joined: Path) -> None:
    """Both folders hold the same files with the same bytes, and the same summary but for times and the cache."""

    def files(folder: Path) -> dict[str, bytes]:
        found = [path for path in folder.rglob("*") if path.is_file() and ".hydra" not in path.parts]
        kept = [path for path in found if path.suffix != ".log" and path.name != "summary.json"]
        return {str(path.relative_to(folder)): path.read_bytes() for path in kept}

    assert files(whole) == files(joined)
    assert lasting(summary_in(whole)) == lasting(summary_in(joined))


def responses(path: Path, n: int) -> str:
    texts = [f"response {number} of many, " + "word " * (number % 5) for number in range(n)]
    frame = pd.DataFrame({"query": [f"q{number % 17}" for number in range(n)], "dataset": "d", "response": texts})
    frame.to_csv(path, index=False)
    return f"responses={path}"


class Work:
    """A folder with a server, and the commands that are run there."""

    def __init__(self, folder: Path, server: FaultServer) -> None:
        self.folder, self.server = folder, server
        (folder / "work").mkdir()

    def run(self, app: str, *arguments: str, cache: str = "cache") -> Finished:
        patience = ("llm=openai", "llm.model=fault", f"llm.base_url={self.server.url}", "llm.timeout=5")
        return run_app(
            ROOT / app,
            *patience,
            "progress=false",
            *arguments,
            folder=self.folder / "work",
            env=environment(self.folder / cache),
        )

    def path(self, name: str) -> Path:
        return self.folder / "work" / name


@pytest.mark.slow
def test_shards_of_an_evaluation_join_to_the_whole_and_ask_nothing_twice(tmp_path: Path) -> None:
    with FaultServer(answers_but_sometimes) as server:
        work = Work(tmp_path, server)
        judged = ("judge=llm", "value=benevolence", "k=4", responses(tmp_path / "r.csv", 60), "llm.max_retries=0")
        succeeded(work.run("evaluate.py", *judged, "hydra.run.dir=whole", cache="other"))
        asked = Counter(call.digest for call in server.calls)
        server.calls.clear()
        shards = "shard=1/4,2/4,3/4,4/4"
        succeeded(work.run("evaluate.py", *judged, shards, "hydra.sweep.dir=shards", "-m"))
        assert Counter(call.digest for call in server.calls) == asked
        rows = [summary_in(work.path(f"shards/{job}"))["shard"]["rows"] for job in range(4)]
        assert sum(rows) == 60
        assert min(rows) > 0
        server.calls.clear()
        succeeded(work.run("evaluate.py", *judged, "merge=shards", "hydra.run.dir=joined", cache="third"))
        assert server.calls == []
        same(work.path("whole"), work.path("joined"))
        failed = summary_in(work.path("joined"))["windows_failed"]
        assert failed > 0
        # Divided anew, with the same cache: only what had failed is asked.
        succeeded(work.run("evaluate.py", *judged, "shard=1/2,2/2", "hydra.sweep.dir=halves", "-m"))
        assert len(server.calls) == failed
        succeeded(work.run("evaluate.py", *judged, "merge=[halves]", "hydra.run.dir=again"))
        same(work.path("whole"), work.path("again"))


def answers_but_sometimes(call: Call) -> Reply:
    """Rank; refuse one question in ten, whenever it is asked."""
    return refusal(403, "flagged by moderation") if int(call.digest, 16) % 10 == 0 else permutation(call)


@pytest.mark.slow
def test_a_sweep_is_divided_and_joined_as_a_whole(tmp_path: Path) -> None:
    with FaultServer(permutation) as server:
        work = Work(tmp_path, server)
        judged = ("judge=llm", "value=benevolence,power", "k=4", "m=2", responses(tmp_path / "r.csv", 20), "-m")
        succeeded(work.run("evaluate.py", *judged, "hydra.sweep.dir=whole", cache="other"))
        succeeded(work.run("evaluate.py", *judged, "shard=1/2,2/2", "hydra.sweep.dir=shards"))
        succeeded(work.run("evaluate.py", *judged, "merge=shards", "hydra.sweep.dir=joined"))
    for job in ("0", "1"):
        for name in ("scores.csv", "rankings.csv"):
            assert (work.path("whole") / job / name).read_bytes() == (work.path("joined") / job / name).read_bytes()
    first, second = (pd.read_csv(work.path(name) / "sweep.csv") for name in ("whole", "joined"))
    pd.testing.assert_series_equal(first["mean"], second["mean"])


@pytest.mark.slow
def test_what_cannot_be_joined_or_divided_is_one_line(tmp_path: Path) -> None:
    with FaultServer(permutation) as server:
        work = Work(tmp_path, server)
        file = responses(tmp_path / "r.csv", 12)
        judged = ("judge=llm", "value=benevolence", "k=4", "m=1", file)
        for number in (1, 3):
            succeeded(work.run("evaluate.py", *judged, f"shard={number}/3", f"hydra.run.dir=shards/{number}"))

        def refused(*arguments: str) -> str:
            done = work.run("evaluate.py", *judged, *arguments)
            assert done.returncode == 2, done.stdout + done.stderr
            (line,) = done.stderr.splitlines()
            return line

        assert "of 3 shards 1 are missing or not finished: 2/3" in refused("merge=shards")
        assert "has m=1 (here 2)" in refused("merge=shards", "m=2")
        assert "a run is one shard, or it joins them all" in refused("merge=shards", "shard=1/3")
        assert "shard=4/3: give i/n" in refused("shard=4/3")
        assert "12 rows leave none to shard" in refused("shard=1/12")
        assert "sampling=adaptive draws windows by what all responses" in refused("shard=1/3", "sampling=adaptive")
        assert "run it whole" in refused("shard=1/3", "task=calibrate")
        rankings = work.path("shards/1/rankings.csv")
        assert "saved rankings ask nothing" in refused("shard=1/3", f"rankings={rankings}")
        # As another user's edit would.
        succeeded(work.run("evaluate.py", *judged, "shard=2/3", "hydra.run.dir=shards/2"))
        file.removeprefix("responses=")
        path = tmp_path / "r.csv"
        path.write_text(path.read_text().replace("response 3 of", "response three of"))
        assert "of the input as it is now it would have" in refused("merge=shards")
    assert sorted(entry.name for entry in work.path("").iterdir()) == ["shards"]


@pytest.mark.slow
def test_the_embedding_judge_s_shards_join_to_the_last_bit(tmp_path: Path) -> None:
    file = responses(tmp_path / "r.csv", 12).removeprefix("responses=")
    given = {"value": "power", "responses": file, "m": 1, "progress": False}
    evaluate_responses(**given, output_dir=tmp_path / "whole")
    for number in (1, 2):
        evaluate_responses(**given, shard=f"{number}/2", output_dir=tmp_path / "shards" / str(number))
    evaluate_responses(**given, merge=str(tmp_path / "shards"), output_dir=tmp_path / "joined")
    same(tmp_path / "whole", tmp_path / "joined")


def speak(call: Call) -> Reply:
    """Answer each question in its own way; a few are too long, are not answered, or get nothing but blanks."""
    match int(call.digest, 16) % 9:
        case 0:
            return refusal(400, "this model's maximum context length is 7 tokens", "context_length_exceeded")
        case 1:
            return refusal(403, "flagged by moderation")
        case 2:
            return completion("  ")
    return completion(f"I would sleep on it,\nsaid number {call.digest[:8]}.")


@pytest.mark.slow
def test_steered_responses_join_in_the_order_of_the_queries(tmp_path: Path) -> None:
    with FaultServer(speak) as server:
        work = Work(tmp_path, server)
        steered = ("value=benevolence", "intensity=2")
        succeeded(work.run("steer.py", *steered, "hydra.run.dir=whole", cache="other"))
        succeeded(work.run("steer.py", *steered, "shard=1/3,2/3,3/3", "hydra.sweep.dir=shards", "-m"))
        server.calls.clear()
        succeeded(work.run("steer.py", *steered, "merge=shards", "hydra.run.dir=joined", cache="third"))
        assert server.calls == []
    same(work.path("whole"), work.path("joined"))
    assert summary_in(work.path("joined"))["failed"] > 0
    with pytest.raises(InputError, match="a survey .preset=...."):
        steer(preset="phi4", shard="1/2", output_dir=tmp_path / "survey")


@pytest.mark.slow
def test_placed_texts_join_with_their_votes_and_reviews(tmp_path: Path) -> None:
    def answer(question: str, seed: int) -> Completion | str:
        options = options_in(question)
        drawn = sum(map(ord, text_in(question))) * (seed + 3)
        return Completion("", error="no answer") if drawn % 11 == 0 else options[drawn % 7 % len(options)]

    models = [Scripted(f"m{number}", answer) for number in range(3)]
    members = tuple(PanelMember(model.name, model, 0.5) for model in models)
    frame = pd.DataFrame({"text": [f"text {number % 25}" for number in range(30)]})
    given: dict[str, Any] = {
        **{"theory": "pvq", "panel": Panel(members, VotingRule.of(3)), "input": frame},
        **{"cache": "off", "progress": False},
    }
    categorize(**given, output_dir=tmp_path / "whole")
    for number in (1, 2, 3):
        categorize(**given, shard=f"{number}/3", output_dir=tmp_path / "shards" / str(number))
    for model in models:
        model.batches.clear()
    release()
    categorize(**given, merge=tmp_path / "shards", output_dir=tmp_path / "joined")
    assert [model.batches for model in models] == [[], [], []]
    same(tmp_path / "whole", tmp_path / "joined")


@pytest.mark.slow
def test_windows_of_a_database_are_divided(tmp_path: Path) -> None:
    judge = KnowingJudge(fails=lambda texts: "level -8.0" in texts[0])
    given = {"theory": "pvq", "value": "benevolence", "judge": judge, "input": raw_texts(), "progress": False}
    given |= {"m": 4, "random_rounds": 4}
    build_vidb(**given, output_dir=tmp_path / "whole")
    asked = len(judge.asked)
    judge.asked.clear()
    parts = [
        build_vidb(**given, shard=f"{number}/3", output_dir=tmp_path / "shards" / str(number)) for number in (1, 2, 3)
    ]
    assert len(judge.asked) == asked == sum(len(part.rankings) for part in parts)
    assert sorted(path.name for path in (tmp_path / "shards" / "1").iterdir()) == [
        "plan.csv",
        "rankings.csv",
        "summary.json",
    ]
    parts[0].show()
    build_vidb(**given, merge=tmp_path / "shards", output_dir=tmp_path / "joined")
    same(tmp_path / "whole", tmp_path / "joined")
    with pytest.raises(InputError, match="give random_rounds=6, as m is"):
        build_vidb(**given | {"m": 6}, shard="1/3", output_dir=tmp_path / "informed")


@pytest.mark.slow
def test_a_database_is_joined_from_what_a_model_said(tmp_path: Path) -> None:
    with FaultServer(permutation) as server:
        work = Work(tmp_path, server)
        raw_texts().to_csv(work.path("texts.csv"), index=False)
        built = ("value=benevolence", "input=texts.csv", "judge=llm", "k=3", "m=3", "random_rounds=3")
        succeeded(work.run("build_vidb.py", *built, "hydra.run.dir=whole", cache="other"))
        server.calls.clear()
        succeeded(work.run("build_vidb.py", *built, "shard=1/2,2/2", "hydra.sweep.dir=shards", "-m"))
        assert len(server.calls) == 30
        succeeded(work.run("build_vidb.py", *built, "merge=shards", "hydra.run.dir=joined", cache="third"))
        assert len(server.calls) == 30
    same(work.path("whole"), work.path("joined"))


def test_vectors_join_in_the_order_of_the_input(tmp_path: Path) -> None:
    texts = [f"text {number % 50} " + "x" * (number % 6) for number in range(61)]
    source = table(tmp_path / "t.csv", texts, ["pvq", "mft", "mft"] * 20 + ["rare"])
    model = KnownModel()
    given = defaults() | {"model": model, "input": source, "rows_per_chunk": 7, "normalize": False}
    whole = extract(**given, output_dir=tmp_path / "whole")
    for number in (1, 2, 3):
        extract(**given, shard=f"{number}/3", output_dir=tmp_path / "shards" / str(number))
    calls = len(model.calls)
    joined = extract(**given, merge=str(tmp_path / "shards"), output_dir=tmp_path / "joined")
    assert len(model.calls) == calls
    assert list(joined.files) == list(whole.files)
    for theory, file in whole.files.items():
        (stored, vectors), (others, joined_vectors) = arrays(file), arrays(joined.files[theory])
        assert stored == others
        np.testing.assert_array_equal(vectors, joined_vectors)
    assert lasting(whole.summary) == lasting(joined.summary)
    damaged = next((tmp_path / "shards" / "2").glob("*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(InputError, match=f"{damaged.name} cannot be read .* run shard 2/3 again"):
        extract(**given, merge=str(tmp_path / "shards"), output_dir=tmp_path / "broken")
    with pytest.raises(InputError, match="task=profile compares groups by all their texts"):
        evaluate_nothing()


def evaluate_nothing() -> None:
    from valueflow import profile

    profile(survey="demo", shard="1/2", output_dir="nowhere")


@pytest.mark.slow
def test_a_thousand_responses_in_four_shards_one_of_them_killed_and_started_again(tmp_path: Path) -> None:
    screen = tmp_path / "screen.txt"
    with FaultServer(delayed(permutation, 0.005)) as server:
        work = Work(tmp_path, server)
        judged = ("judge=llm", "value=benevolence", "k=4", "m=1", responses(tmp_path / "r.csv", 1000))
        succeeded(work.run("evaluate.py", *judged, "hydra.run.dir=whole", cache="other"))
        assert len(server.calls) == 1000
        server.calls.clear()
        patience = ("llm=openai", "llm.model=fault", f"llm.base_url={server.url}", "llm.timeout=5", "progress=false")
        for number in (1, 2, 3, 4):
            own = (*patience, *judged, f"shard={number}/4", f"hydra.run.dir=shards/{number}")
            if number == 2:
                before = len(server.calls)
                process = start(
                    ROOT / "evaluate.py",
                    *(*own, "llm.concurrency=4"),
                    folder=work.path(""),
                    env=environment(tmp_path / "cache"),
                    output=screen,
                    errors=screen,
                )
                while len(server.calls) < before + 100 and process.is_alive():
                    time.sleep(0.002)
                process.kill()
                process.join(60)
                assert process.exitcode == -9, screen.read_text()
                done = work.run("evaluate.py", *judged, "merge=shards", "hydra.run.dir=joined")
                assert "3 are missing or not finished: 2/4" in done.stderr
            succeeded(work.run("evaluate.py", *own))
        # Of what was under way at the kill, at most as many calls as there were slots are repeated.
        assert 1000 <= len(server.calls) <= 1004
        server.calls.clear()
        succeeded(work.run("evaluate.py", *judged, "merge=shards", "hydra.run.dir=joined", cache="third"))
        assert server.calls == []
    same(work.path("whole"), work.path("joined"))


@pytest.mark.slow
def test_answers_that_were_damaged_name_their_line(tmp_path: Path) -> None:
    with FaultServer(permutation) as server:
        work = Work(tmp_path, server)
        judged = ("judge=llm", "value=benevolence", "k=4", "m=1", responses(tmp_path / "r.csv", 10))
        succeeded(work.run("evaluate.py", *judged, "shard=1/2,2/2", "hydra.sweep.dir=shards", "-m"))
        answers = work.path("shards/1/answers.jsonl")
        lines = answers.read_text().splitlines()
        assert json.loads(lines[1])["error"] == ""
        answers.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]) + "\n")
        done = work.run("evaluate.py", *judged, "merge=shards")
        assert done.returncode == 2
        assert "answers.jsonl, line 2 is no answer of a model; run that shard again" in done.stderr
        os.truncate(answers, 0)
        done = work.run("evaluate.py", *judged, "merge=shards")
        assert done.returncode == 2
        assert "no shard has asked model 'fault' what the whole run asks it" in done.stderr
