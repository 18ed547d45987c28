"""`python build_vidb.py` as a person runs it, against a server that counts and dies."""

import json
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.command import Finished, environment, lists_all, refused, start, succeeded, summary_in
from tests.command import run as run_app
from tests.construction.judges import raw_texts
from tests.llm.fault_server import Call, FaultServer, Reply, completion, delayed

ROOT = Path(__file__).parents[1]
APP = ROOT / "build_vidb.py"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    raw_texts(20).to_csv(tmp_path / "texts.csv", index=False)
    return folder


def run(work: Path, *arguments: str, app: str = "build_vidb.py", fresh: bool = False) -> Finished:
    return run_app(ROOT / app, *arguments, folder=work, env=environment(work.parent / "cache"), fresh=fresh)


def by_level(call: Call) -> Reply:
    """Rank the texts of a question by the number that each ends with."""
    shown = re.findall(r'^(\d+)\. "a text of level (-?[\d.]+)"$', call.question, re.MULTILINE)
    return completion(json.dumps([int(number) for number, _ in sorted(shown, key=lambda item: -float(item[1]))]))


def at(server: FaultServer, *more: str) -> tuple[str, ...]:
    return ("value=benevolence", "input=../texts.csv", "judge=llm", "llm=local", f"llm.base_url={server.url}", *more)


def test_help_names_every_key_and_group_and_option(work: Path) -> None:
    lists_all(succeeded(run(work, "--help")).stdout, "build_vidb")
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_a_killed_run_asks_no_answered_question_again(work: Path) -> None:
    env, screen = environment(work.parent / "cache"), work.parent / "screen"
    with FaultServer(delayed(by_level, 0.002)) as server:
        dry = succeeded(run(work, *at(server, "dry_run=true", "hydra.run.dir=dry")))
        assert len(server.calls) == 0
        assert "100 windows of 2, 100 rankings; 100 calls or fewer" in dry.stdout
        for goal in (5, 60):
            process = start(
                APP, *at(server, "hydra.run.dir=killed"), folder=work, env=env, output=screen, errors=screen
            )
            while len(server.calls) < goal and process.is_alive():
                time.sleep(0.002)
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            assert not (work / "killed" / "summary.json").exists()
        succeeded(run(work, *at(server, "hydra.run.dir=killed")))
        again = Counter(call.digest for call in server.calls)
        server.calls.clear()
        succeeded(run(work, *at(server, "hydra.run.dir=afresh", "cache=off")))
        once = Counter(call.digest for call in server.calls)
    assert again.keys() == once.keys()
    # Only what was on its way at one of the two deaths may have been asked twice.
    assert sum(again.values()) - len(again) <= 2 * 64
    names = ("plan.csv", "rankings.csv", "ratings.csv", "vidb/benevolence_pvq_flag_aggregated.csv", "distribution.svg")
    for name in names:
        assert (work / "killed" / name).read_bytes() == (work / "afresh" / name).read_bytes(), name
    assert summary_in(work / "afresh")["plan"]["most_calls"] >= len(once)


@pytest.mark.slow
def test_raw_texts_become_anchors_that_evaluate_uses(work: Path) -> None:
    responses = pd.read_csv(ROOT / "valueflow" / "assets" / "responses.csv")["response"].drop_duplicates()
    pd.DataFrame({"text": responses.head(30)}).to_csv(work.parent / "texts.csv", index=False)
    # The judge learns from few anchors of one value: of the other it knows the definition alone.
    anchors = pd.read_csv(ROOT / "valueflow" / "assets" / "anchors.csv")
    anchors[anchors["value"] == "power"].to_csv(work.parent / "known.csv", index=False)
    learned = ("input=../texts.csv", "vidb=../known.csv", "m=4")
    sweep = ("value=benevolence,power", *learned, "-m", "hydra.sweep.dir=sweep")
    done = succeeded(run(work, *sweep))
    assert "2 of 2 jobs" in done.stdout
    assert pd.read_csv(work / "sweep" / "sweep.csv")["texts"].tolist() == [30, 30]
    one = ("value=power", "vidb=sweep/vidb", "intensity=2", "hydra.run.dir=scores")
    succeeded(run(work, *one, app="evaluate.py"))
    assert summary_in(work / "scores")["judge"]["anchors"] == summary_in(work / "sweep" / "1")["published"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("input=../texts.csv",), "'value' is not set"),
        (("value=power", "input=nowhere.csv"), "input: nowhere.csv does not exist"),
        (("value=power", "input=../texts.csv", "limit=1"), "one text only"),
        (("value=power", "input=../texts.csv", "reviewed=no.csv"), "reviewed: no.csv does not exist"),
    ],
)
def test_what_cannot_be_used(work: Path, arguments: tuple[str, ...], line: str) -> None:
    refused(run(work, *arguments), work, line)
