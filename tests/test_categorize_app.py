"""`python categorize.py` as a person runs it, against a server that counts, fails and dies."""

import re
import signal
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.categorization.simulated import options_in
from tests.command import Finished, environment, lists_all, refused, start, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import Call, FaultServer, Reply, completion, delayed, with_faults

ROOT = Path(__file__).parents[1]
APP = ROOT / "categorize.py"
KEY = "sk-test-2f9e41d07c6b8a35"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    pd.DataFrame({"text": [f"I would do it again, number {number}." for number in range(40)]}).to_csv(path, index=False)
    return path


def run(work: Path, *arguments: str, app: str = "categorize.py", fresh: bool = False, **more: str) -> Finished:
    env = environment(work.parent / "cache", **more)
    return run_app(ROOT / app, *arguments, folder=work, env=env, fresh=fresh)


def at(server: FaultServer, *models: str) -> tuple[str, ...]:
    names = ",".join(models or ("alpha", "beta", "gamma"))
    return ("panel=server", f"panel.base_url={server.url}", f"panel.models=[{names}]")


def choose(call: Call) -> Reply:
    """Most models agree on the option that a text's digest points to; gamma answers as it likes."""
    options = sorted(options_in(call.question))
    number = int(re.findall(r"number (\d+)", call.question)[0])
    place = number if call.body["model"] != "gamma" else int(call.digest, 16)
    return completion(options[place % len(options)])


def test_help_names_every_key_and_group_and_option(work: Path) -> None:
    lists_all(succeeded(run(work, "--help")).stdout, "categorize")
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_a_run_and_what_train_makes_of_it(work: Path, texts: Path) -> None:
    with FaultServer(choose) as server:
        more = ("panel.api_key_env=MY_KEY", "hydra.run.dir=out")
        done = succeeded(run(work, "theory=pvq", f"input={texts}", *at(server), *more, fresh=True, MY_KEY=KEY))
        calls = list(server.calls)
    summary = summary_in(work / "out")
    assert summary["texts"] == 40
    assert summary["placed"] + summary["unplaced"] == 40
    assert summary["asking"]["calls"] == len(calls)
    assert {judge["name"] for judge in summary["judges"]} == {"alpha", "beta", "gamma"}
    assert len({judge["batches"] for judge in summary["judges"]}) == 1
    votes = pd.read_csv(work / "out" / "votes.csv", keep_default_na=False)
    assert len(votes) == len(calls)
    placed = pd.read_csv(work / "out" / "categorized.csv", keep_default_na=False)
    assert len(placed) == summary["placed"] > 30
    assert "Fleiss' kappa by level" in done.stdout
    assert {call.headers["authorization"] for call in calls} == {f"Bearer {KEY}"}
    assert not any(KEY.encode() in file.read_bytes() for file in work.rglob("*") if file.is_file())
    # A server of an unknown kind is asked for an object that holds one of the names.
    assert all("response_format" in call.body for call in calls)
    table = ("task=convert", "data.train=out/categorized.csv", "hydra.run.dir=table")
    succeeded(run(work, *table, app="train.py"))
    assert len(pd.read_csv(work / "table" / "training.csv")) == len(placed)


@pytest.mark.slow
def test_a_killed_run_asks_no_answered_question_again(work: Path, texts: Path) -> None:
    env = environment(work.parent / "cache")
    screen = work.parent / "screen"
    tables = ("categorized.csv", "votes.csv", "review.csv", "unplaced.csv")

    def arguments(name: str) -> tuple[str, ...]:
        return ("theory=mft", "limit=20", f"input={texts}", *at(server), f"seed={len(name)}", f"hydra.run.dir={name}")

    with FaultServer(delayed(choose, 0.002)) as server:
        for goal in (5, 80, 150):
            process = start(APP, *arguments("killed"), folder=work, env=env, output=screen, errors=screen)
            while len(server.calls) < goal and process.is_alive():
                time.sleep(0.002)
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            assert not (work / "killed" / "summary.json").exists()
        succeeded(run(work, *arguments("killed")))
        again = Counter(call.digest for call in server.calls)
        server.calls.clear()
        succeeded(run(work, *arguments("afresh"), "cache=off"))
        once = Counter(call.digest for call in server.calls)
    assert again.keys() == once.keys()
    # Only what was on its way at one of the three deaths may have been asked twice.
    assert sum(again.values()) - len(again) <= 3 * 64
    for name in tables:
        files = [work / folder / name for folder in ("killed", "afresh")]
        assert files[0].exists() == files[1].exists()
        assert not files[0].exists() or files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_a_sweep_over_theories_with_faults(work: Path, texts: Path) -> None:
    with FaultServer(with_faults(choose, 0.2, seed=1, faults=("429", "500", "drop"))) as server:
        sweep = ("theory=mft,duty", f"input={texts}", "limit=5", "-m", "hydra.sweep.dir=sweep")
        done = succeeded(run(work, *sweep, *at(server)))
    assert "2 of 2 jobs" in done.stdout
    table = pd.read_csv(work / "sweep" / "sweep.csv")
    assert table["theory"].tolist() == ["mft", "duty"]
    assert table["texts"].tolist() == [5, 5]


def test_a_server_that_is_not_there(work: Path, texts: Path) -> None:
    gone = ("panel=server", "panel.base_url=http://localhost:9/v1", "panel.models=[a,b,c]")
    refused(run(work, f"input={texts}", *gone), work, "http://localhost:9/v1")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("input=nowhere.csv", "panel=embedded"), "input: nowhere.csv does not exist"),
        ((), "'input' is not set; give input=..."),
        (("input={texts}", "panel=embeded"), "panel 'embeded' is unknown; did you mean 'embedded'"),
        (("input={texts}", "panel=embedded", "input_columns.text=body"), "column 'body' is missing"),
        (("input={texts}", "panel=embedded", "reviewed=no.csv"), "reviewed: no.csv does not exist"),
        (("input={texts}", "panel=server", "panel.api_key_env=NO_SUCH_KEY"), "NO_SUCH_KEY"),
    ],
)
def test_what_cannot_be_used(work: Path, texts: Path, arguments: tuple[str, ...], line: str) -> None:
    refused(run(work, *(argument.format(texts=texts) for argument in arguments)), work, line)
