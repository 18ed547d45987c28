"""The judges themselves before a file: a distilled encoder as a person runs it, log-odds of a server, actors of Ray."""

import json
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.command import ROOT, Finished, environment, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.evaluation.simulated import anchors_table
from tests.judge.heads import save_head
from tests.llm.fault_server import Call, FaultServer, Reply, completion, first_token, refusal
from valueflow import judge_texts
from valueflow.extraction import JudgingSettings
from valueflow.extraction.judging.asking import JudgeRecipe
from valueflow.extraction.judging.settings import GivenJudge
from valueflow.judge import Criterion, DistilledJudge, EmbeddingJudge, for_stream
from valueflow.run import InputError, compose_settings, write_csv
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="ray is not installed: pip install 'valueflow[ray-data]'"
)

PVQ = load_theory("pvq")
APP = ROOT / "extract.py"
WORDS = ("I", "you", "we", "they", "keep", "break", "promise", "help", "harm", "share", "truth", "money", "power")
COMMON = ("task=judge", "input=texts.csv", "judge.encoder=./model", "vidb=anchors.csv", "judge_check=false")


@pytest.fixture
def work(tmp_path: Path, tiny: Path) -> Path:
    """Return a folder with 120 texts, some of them equal, anchors, and an encoder with a head."""
    folder = tmp_path / "work"
    folder.mkdir()
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, draw.integers(2, 30))) + f" {row % 100}" for row in range(120)]
    texts[100:] = texts[:20]
    write_csv(pd.DataFrame({"text": texts}), folder / "texts.csv")
    write_csv(anchors_table(), folder / "anchors.csv")
    save_head(tiny, folder / "model", [texts[0], texts[1]])
    return folder


def run(work: Path, *arguments: str, fresh: bool = False) -> Finished:
    return run_app(APP, *arguments, folder=work, env=environment(work.parent / "cache"), fresh=fresh)


def utilities(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "utilities.parquet")


def ignore(done: int, failed: int, note: str = "") -> None:
    """Progress that nobody watches."""


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_command_writes_what_the_judge_says(work: Path, fresh: bool) -> None:
    more = ("values=[power,benevolence]", "rows_per_chunk=50", "hydra.run.dir=out")
    done = succeeded(run(work, *COMMON, *more, fresh=fresh))
    found, texts = utilities(work / "out"), pd.read_csv(work / "texts.csv")["text"].tolist()
    judge = DistilledJudge(str(work / "model"))
    for value in ("power", "benevolence"):
        read = judge.text_utilities(Criterion(PVQ, value, load_vidb(str(work / "anchors.csv"))), texts, ignore)
        np.testing.assert_allclose(found[f"{value}_utility"], read.of(texts), atol=2e-5)
    summary = summary_in(work / "out")
    assert summary["judging"] == {"texts_truncated": 0, "texts_learned": 4}
    assert summary["judge"]["head"]["teacher"] == {"kind": "logprob", "model": "someone"}
    assert summary["anchors"]["texts"] == 56
    assert "120 texts in utilities.parquet" in done.stdout
    assert "4 texts that the judge was distilled on" in done.stdout
    assert "Traceback" not in done.stderr
    names = {"utilities.parquet", "summary.json", "extract.log", ".hydra"}
    assert {path.name for path in (work / "out").iterdir()} == names


@pytest.mark.slow
def test_a_sweep_of_shards_is_resumed_and_joined(work: Path) -> None:
    more = (*COMMON, "values=[power]", "rows_per_chunk=50")
    succeeded(run(work, *more, "hydra.run.dir=whole"))
    sweep = (*more, "shard=1/2,2/2", "hydra.sweep.dir=parts", "-m")
    shown = succeeded(run(work, *sweep)).stdout
    assert "with intensities" in shown
    parts = sorted(path.parent for path in (work / "parts").glob("**/summary.json"))
    times = [(part / "utilities.parquet").stat().st_mtime_ns for part in parts]
    (parts[1] / "summary.json").unlink()
    succeeded(run(work, *sweep, "resume=true"))
    again = [(part / "utilities.parquet").stat().st_mtime_ns for part in parts]
    assert again[0] == times[0]
    assert again[1] > times[1]
    succeeded(run(work, *more, "merge=parts", "hydra.run.dir=joined"))
    one, other = utilities(work / "whole"), utilities(work / "joined")
    assert one["row"].equals(other["row"])
    np.testing.assert_allclose(one, other, atol=2e-5)  # the last digit of a utility depends on the batch


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("input=text.csv",), ("text.csv does not exist", "did you mean 'texts.csv'?")),
        (("values=[powr]",), ("value 'powr' is not in theory 'pvq'", "did you mean 'power'?")),
        (("judge=llm", "llm=smollm2"), ("judge=llm ranks windows and cannot read texts one by one",)),
        (("merge=elsewhere",), ("the folder elsewhere cannot be read",)),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    work: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    empty = work.parent / "empty"
    empty.mkdir()
    kept = [part for part in COMMON if not (part.startswith("judge.") and "judge=llm" in arguments)]
    given = [part.replace("=texts.csv", f"={work}/texts.csv").replace("=./", f"={work}/") for part in kept]
    given += [part.replace("input=", f"input={work}/") for part in arguments]
    refused(run(empty, *given), empty, *parts)


def odds(call: Call) -> Reply:
    """Support texts by their number; fail on those that speak of harm, never on anchors."""
    text = json.loads(call.question.partition("Somebody said: ")[2].partition("\n")[0])
    if "harm" in text:
        return refusal(400, "content filter")
    chosen = {"support": -0.3, "oppose": -1.7 - len(text) / 100, "neutral": -2.6}
    return completion("support", logprobs=first_token(chosen, "support"))


def test_log_odds_of_a_server_are_asked_once_and_failures_counted(work: Path) -> None:
    texts = pd.read_csv(work / "texts.csv")["text"]
    failing = texts.str.contains("harm")
    assert 0 < failing.sum() < len(texts)
    with FaultServer(odds) as server:
        model = ("judge=logprob", "llm=openai", f"llm.base_url={server.url}", "llm.model=m", "llm.max_retries=0")
        common = ("task=judge", "input=texts.csv", "values=[power]", "regression=false", "rows_per_chunk=40", *model)
        done = succeeded(run(work, *common, "hydra.run.dir=out"))
        succeeded(run(work, *common, "shard=1/2", "hydra.run.dir=parts/1"))
    found = utilities(work / "out")
    assert found["power_utility"].isna().tolist() == failing.tolist()
    expected = 1.4 + texts[~failing].str.len() / 100
    np.testing.assert_allclose(found["power_utility"][~failing], expected, rtol=1e-5)
    summary = summary_in(work / "out")
    assert sum(summary["failures"].values()) == summary["failed"] == failing.sum()
    assert all("content filter" in reason for reason in summary["failures"])
    took = summary["judging"]
    # Equal texts of several chunks are asked about once, but for those that failed.
    assert took["calls"] + took["cache_hits"] == texts.groupby([texts.index // 40, texts]).ngroups
    assert took["cache_hits"] == len(texts[100:][~failing[100:]])
    assert took["readings"] == (~failing).groupby([texts.index // 40, texts]).first().sum()
    assert took["cache"]["mode"] == "on"
    assert f"{failing.sum():,} failed: " in done.stdout
    assert "judge calls: " in done.stdout
    # Utilities are what a shard leaves: what they come from need not be kept.
    assert not (work / "parts" / "1" / "answers.jsonl").exists()


def test_the_embedding_judge_leaves_no_vectors_of_a_file_on_disk(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "cache"))
    write_csv(anchors_table(), tmp_path / "anchors.csv")
    criterion = Criterion(PVQ, "power", load_vidb(str(tmp_path / "anchors.csv")))
    texts = [f"They took {number} stars from the sky." for number in range(40)]
    judge = EmbeddingJudge(str(tiny))
    judge.anchor_utilities(criterion, ignore)
    before = set(tmp_path.rglob("*.npy"))
    assert before
    streamed = for_stream(judge).text_utilities(criterion, texts, ignore)
    assert set(tmp_path.rglob("*.npy")) == before
    np.testing.assert_allclose(judge.text_utilities(criterion, texts, ignore).utility, streamed.utility, atol=1e-4)
    assert set(tmp_path.rglob("*.npy")) > before


def test_an_engine_that_is_not_installed_is_named(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valueflow.extraction.engines.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"engine=ray: Ray is not installed; pip install 'valueflow\[ray-data\]'"):
        judge_texts(input=str(work / "texts.csv"), engine="ray", output_dir=work / "out")
    assert not (work / "out").exists()


def test_what_travels_to_actors_holds_no_key_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-in-a-setting")
    asked = {"input": "texts.csv", "task": "judge", "judge": "logprob", "llm": "gpt"}
    settings = JudgingSettings.checked(
        {key: entry for key, entry in compose_settings("extract", asked).items() if key in JudgingSettings.model_fields}
    )
    assert settings.judge.node is not None
    recipe = JudgeRecipe(settings.judge.node, PVQ, ("power",), load_vidb("demo"))
    sent = pickle.dumps(recipe)
    assert b"OPENAI_API_KEY" in sent
    assert b"sk-never" not in sent
    assert GivenJudge.of(pickle.loads(sent).node).describe() == settings.judge.describe()


@needs_ray
@pytest.mark.slow
def test_actors_leave_what_one_process_leaves(work: Path) -> None:
    more = (*COMMON, "rows_per_chunk=50")
    succeeded(run(work, *more, "hydra.run.dir=local", fresh=True))
    done = succeeded(run(work, *more, "engine=ray", "hydra.run.dir=ray", fresh=True))
    one, other = utilities(work / "local"), utilities(work / "ray")
    assert list(one.columns) == list(other.columns)
    np.testing.assert_allclose(one, other, atol=2e-5)
    ours, plain = summary_in(work / "ray"), summary_in(work / "local")
    for name in ("texts", "judge", "failed", "failures", "judging", "theory", "anchors"):
        assert ours[name] == plain[name], name
    assert "Ray" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@needs_ray
@pytest.mark.slow
def test_shards_faults_and_servers_with_actors(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.chdir(work)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # as the engine starts it
    monkeypatch.setenv("VALUEFLOW_CACHE", str(work.parent / "cache"))
    given: dict[str, Any] = {"input": "texts.csv", "vidb": "anchors.csv", "values": ["power"], "progress": False}
    own = {"judge.encoder": "./model", "judge_check": False, "rows_per_chunk": 30}
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False)  # one for all runs below
    try:
        judge_texts(**given, **own, output_dir="whole")
        judge_texts(**given, **own, engine="ray", shard="1/2", output_dir="shards/1")
        judge_texts(**given, **own, shard="2/2", output_dir="shards/2")
        judge_texts(**given, **own, merge="shards", output_dir="joined")
        np.testing.assert_allclose(utilities(work / "whole"), utilities(work / "joined"), atol=2e-5)
        (work / "model" / "utility_head.json").rename(work / "model" / "away.json")
        with pytest.raises(InputError, match="utility_head"):
            judge_texts(**given, **own, engine="ray", output_dir="refused")
        with FaultServer(odds) as server:
            model = {"llm": "openai", "llm.base_url": server.url, "llm.model": "m", "llm.max_retries": 0}
            asked = {**given, **model, "judge": "logprob", "regression": False, "cache": "off", "rows_per_chunk": 60}
            monkeypatch.setenv("OPENAI_API_KEY", "sk-never-in-a-setting")
            found = judge_texts(**asked, engine="ray", output_dir="server")
            alone = judge_texts(**asked, output_dir="alone")
        pd.testing.assert_frame_equal(utilities(work / "server"), utilities(work / "alone"))
        assert found.summary["failures"] == alone.summary["failures"] != {}
        assert found.summary["judging"]["calls"] == alone.summary["judging"]["calls"]
        with pytest.raises(InputError, match="there is no such folder"):
            judge_texts(**given, **{"judge.encoder": "./nothing"}, engine="ray", output_dir="refused")
        assert not list(work.glob("refused/*"))
        assert ray.is_initialized()
    finally:
        ray.shutdown()
