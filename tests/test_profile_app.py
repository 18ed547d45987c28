"""`python extract.py task=profile` as a person runs it: wrong inputs, killed and resumed, and the whole circle."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.command import Finished, environment, refused, start, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import FaultServer, delayed, permutation

ROOT = Path(__file__).parents[1]
APP = ROOT / "extract.py"

TEXTS = [
    ("I keep my word, whatever it costs me.", "north", "a"),
    ("I broke my promise and would do it again.", "south", "b"),
    ("I am grateful to everybody who ever helped me, and I thank them.", "north", "c"),
    ("Never hurt anyone: this is the first thing I teach my children.", "south", "d"),
    ("I learn something new every day to become a better person.", "north", "a"),
    ("Who did wrong must make up for it.", "south", "b"),
]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    pd.DataFrame(TEXTS, columns=["words", "party", "who"]).to_csv(tmp_path / "texts.csv", index=False)
    return folder


def run(work: Path, *arguments: str, app: Path = APP, cache: Path | None = None) -> Finished:
    # Anchors are embedded once for all tests.
    own = cache or Path(os.environ["VALUEFLOW_CACHE"])
    return run_app(app, *arguments, folder=work, env=environment(own))


COLUMNS = ("input_columns.text=words", "input_columns.group=party", "input_columns.person=who")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((), ("nothing to profile: give input=FILE",)),
        (("input=../texts.csv",), ("column 'text' is missing", "words")),
        (("input=../texts.csv", "input_columns.text=words"), ("no column 'group', 'model' or 'person'", "party")),
        (("survey=nowhere.json",), ("survey: there is no file nowhere.json",)),
        (("responses=nowhere",), ("nowhere does not exist",)),
        (("survey=demo", "normalization=ranks"), ("ranks", "rank")),
        (("survey=demo", "answers=default"), ("holds the groups' own answers alone",)),
    ],
)
def test_what_cannot_be_used(work: Path, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    refused(run(work, "task=profile", *arguments), work, *parts)


@pytest.mark.slow
def test_models_are_told_apart_by_unsteered_responses(work: Path) -> None:
    frame = pd.DataFrame(
        [
            {"query": f"q{number}", "dataset": "d", "response": text, "model": model, "steering": steering}
            for number, (text, _, _) in enumerate(TEXTS)
            for model in ("one", "other")
            for steering in ("none", "anchor")
        ]
    )
    frame.to_csv(work.parent / "responses.csv", index=False)
    given = ("task=profile", "theory=duty", "relevance.threshold=null", "judge_check=false", "hydra.run.dir=out")
    done = succeeded(run(work, *given, "responses=../responses.csv", "relevance.n=1", "m=1"))
    assert "12 rows were steered and take no part" in done.stdout
    table = pd.read_csv(work / "out" / "profiles.csv")
    assert set(table["group"]) == {"one", "other"}
    by_group = table.set_index(["group", "value"])["mean"]
    assert by_group["one"].equals(by_group["other"])
    frame[frame["steering"] == "anchor"].to_csv(work.parent / "responses.csv", index=False)
    failed = run(work, *given, "responses=../responses.csv")
    assert failed.returncode == 2
    assert "every response in ../responses.csv was steered" in failed.stderr


@pytest.mark.slow
def test_a_killed_run_asks_no_answered_question_again(work: Path) -> None:
    cache, screen = work.parent / "cache", work.parent / "screen"
    env = environment(cache)
    given = (
        "task=profile",
        "theory=duty",
        "input=../texts.csv",
        *COLUMNS,
        "judge=llm",
        "llm=local",
        "judge_check=false",
    )
    with FaultServer(delayed(permutation, 0.002)) as server:
        here = (*given, f"llm.base_url={server.url}", "llm.concurrency=4", "relevance.threshold=null")
        dry = succeeded(run(work, *here, "dry_run=true", "hydra.run.dir=dry", cache=cache))
        assert len(server.calls) == 0
        assert "nothing was judged (dry_run=true): 18 text-value pairs; 54 calls or fewer" in dry.stdout
        for goal in (5, 30):
            process = start(APP, *here, "hydra.run.dir=killed", folder=work, env=env, output=screen, errors=screen)
            while len(server.calls) < goal and process.is_alive():
                time.sleep(0.002)
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            assert not (work / "killed" / "summary.json").exists()
        succeeded(run(work, *here, "hydra.run.dir=killed", cache=cache))
        again = Counter(call.digest for call in server.calls)
        server.calls.clear()
        succeeded(run(work, *here, "hydra.run.dir=afresh", "cache=off", cache=cache))
        once = Counter(call.digest for call in server.calls)
    assert again.keys() == once.keys()
    # Only what was on its way at one of the two deaths may have been asked twice.
    assert sum(again.values()) - len(again) <= 2 * 4
    files = [path.relative_to(work / "afresh") for path in (work / "afresh").rglob("*") if path.is_file()]
    same = [file for file in files if file.suffix in (".csv", ".json", ".parquet", ".png", ".svg")]
    for file in same:
        if file.name != "summary.json":
            assert (work / "killed" / file).read_bytes() == (work / "afresh" / file).read_bytes(), file
    assert {"profiles.csv", "profiles.parquet", "pairs.parquet", "north.json"} <= {file.name for file in same}
    assert summary_in(work / "afresh")["judging"]["calls"] == len(once)


@pytest.mark.slow
def test_the_circle_closes_on_packaged_data(work: Path) -> None:
    succeeded(run(work, "task=profile", "survey=demo", "judge_check=false", "hydra.run.dir=found"))
    steered = ("preset=phi4", "llm=smollm2", "opinionqa.num_prompts=2", "hydra.run.dir=steered")
    more = ("opinionqa.profiles=found/profiles", "opinionqa.relevance=found/relevance.csv")
    succeeded(run(work, *steered, *more, app=ROOT / "steer.py"))
    summary = summary_in(work / "steered")
    assert summary["attributes"] == 4
    assert summary["profile_used"] > 0
    succeeded(
        run(work, "task=profile", "survey=steered", "answers=profile", "judge_check=false", "hydra.run.dir=model")
    )
    people, model = (pd.read_csv(work / name / "profiles.csv") for name in ("found", "model"))
    assert people[["group", "value"]].equals(model[["group", "value"]])
