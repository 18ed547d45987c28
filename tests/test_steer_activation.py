"""`python steer.py steering=activation` as a person runs it, with a tiny model that has a planted direction."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.command import Finished, environment, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.steering.planted import write_anchors, write_planted_model
from valueflow import evaluate_responses, steer
from valueflow.llm import release
from valueflow.run import built, compose_group
from valueflow.steering.queries import PACKAGED_FILE
from valueflow.steering.settings import SteeringSettings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("model")
    write_planted_model(folder)
    yield folder
    release()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    write_anchors(tmp_path / "anchors.csv")
    pd.DataFrame({"query": [f"What of {n}?" for n in range(5)]}).to_csv(tmp_path / "q.csv", index=False)
    return folder


def run(work: Path, model: Path, *arguments: str) -> Finished:
    here = (f"queries={work.parent / 'q.csv'}", f"vidb={work.parent / 'anchors.csv'}", "max_tokens=6")
    is_elsewhere = any(argument.startswith("llm=") for argument in arguments)
    at = () if is_elsewhere else ("llm=transformers", f"llm.model={model}", "llm.device=cpu")
    env = environment(work.parent / "cache")
    return run_app(ROOT / "steer.py", *here, *at, *arguments, folder=work, env=env)


def responses_in(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "responses.csv", keep_default_na=False, dtype=str)


@pytest.mark.slow
def test_a_sweep_over_methods_and_intensities_has_strength_and_method_in_its_tables(work: Path, model: Path) -> None:
    sweep = ("steering=none,activation,anchor+activation", "value=power", "intensity=-2,0,2", "-m")
    done = succeeded(run(work, model, *sweep, "hydra.sweep.dir=out"))
    jobs = [work / "out" / str(job) for job in range(9)]
    tables = [responses_in(job) for job in jobs]
    plain, at_zero = tables[0], tables[4]
    assert "strength" not in plain
    for table, strength in zip(tables[3:6], ("-0.4", "0", "0.4"), strict=True):
        assert table[["steering", "strength"]].drop_duplicates().to_numpy().tolist() == [["activation", strength]]
    assert set(tables[8]["steering"]) == {"anchor+activation"}
    # At strength 0 the model says what it says unsteered, and is not even asked again.
    assert at_zero["response"].tolist() == plain["response"].tolist()
    assert summary_in(jobs[4])["asking"]["calls"] == 0
    assert tables[5]["response"].str.contains("+", regex=False).all()
    assert tables[3]["response"].str.contains("-", regex=False).all()
    assert not plain["response"].str.contains(r"[+-]").any()
    found = summary_in(jobs[5])["activation"]["power"]
    assert (found["layers"], found["of_layers"], found["supporting"], found["opposing"]) == ([2], 4, 10, 10)
    assert {file.name for file in (jobs[5] / "vectors").iterdir()} == {"power.safetensors", "power.json"}
    assert not (jobs[0] / "vectors").exists()
    assert "anchor+activation" in done.stdout
    asked: dict[str, Any] = {"value": "power", "steered_by": "activation", "intensity": 2, "m": 1}
    whole = evaluate_responses(str(work / "out"), **asked, vidb=str(work.parent / "anchors.csv"), judge_check=False)
    assert whole.scores["response"].tolist() == tables[5]["response"].tolist()


def test_several_values_share_a_run(work: Path, model: Path) -> None:
    asked = ("steering=multi_activation", "values=[power,security]", "intensities=[2,-1]", "hydra.run.dir=out")
    succeeded(run(work, model, *asked))
    assert responses_in(work / "out").iloc[0][["value", "intensity", "strength"]].tolist() == [
        "power|security",
        "2|-1",
        "0.4|-0.2",
    ]
    assert len(list((work / "out" / "vectors").glob("*.json"))) == 2


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("steering.layer=[9]",), ("layer 9 does not exist", "0 to 3")),
        (("steering.anchors_from=9.9",), ("'power' has no supporting anchors",)),
        (("steering.vectors=no_such_folder",), ("steering.vectors=no_such_folder does not exist",)),
        (("llm=openai", "llm.model=m", "llm.base_url=http://localhost:1/v1"), ("engine 'openai'", "llm=transformers")),
        (("llm=vllm", "llm.model=org/model"), ("does not let it", "llm=transformers")),
        (("steering=multi_activation",), ("'value' does not belong here",)),
        (("shard=1/2", "steering.layer=search"), ("shard=1/2: steering.layer=search", "search once")),
        (("shard=1/2", "steering.strength=search"), ("shard=1/2: steering.strength=search", "search once")),
        (("shard=1/2",), ("shard=1/2: steering=activation makes vectors", "steering.vectors=FOLDER")),
        (("shard=1/2", "steering=anchor", "price=true"), ("shard=1/2: price=true", "leave it out")),
    ],
)
def test_what_cannot_work_is_told_in_one_line(
    arguments: tuple[str, ...], parts: tuple[str, ...], work: Path, model: Path
) -> None:
    asked = ("steering=activation", "value=power", "intensity=2")
    refused(run(work, model, *asked, *arguments), work, *parts)


def test_from_python_with_vectors_of_an_earlier_run(work: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(work.parent / "cache"))
    given: dict[str, Any] = {"value": "power", "intensity": 2, "queries": str(work.parent / "q.csv"), "max_tokens": 6}
    given |= {
        "llm": "transformers",
        "llm.model": str(model),
        "llm.device": "cpu",
        "vidb": str(work.parent / "anchors.csv"),
    }
    first = steer(**given, steering="activation", output_dir=work / "first")
    given |= {"steering.vectors": str(work / "first" / "vectors"), "vidb": "demo"}
    again = steer(**given, steering="activation")
    assert again.responses["response"].tolist() == first.responses["response"].tolist()


@pytest.mark.slow
def test_shards_with_vectors_made_before_join_without_the_model(
    work: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("steering=activation", "value=power", "intensity=2")
    succeeded(run(work, model, *asked, "hydra.run.dir=whole"))
    made = (*asked, "steering.vectors=whole/vectors")
    succeeded(run(work, model, *made, "shard=1/2,2/2", "hydra.sweep.dir=shards", "-m"))

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("merge loads the model")

    release()
    monkeypatch.setattr("valueflow.llm.engines.transformers.TransformersEngine.__init__", fail)
    shutil.rmtree(work.parent / "cache")
    succeeded(run(work, model, *made, "merge=shards", "hydra.run.dir=joined"))
    assert responses_in(work / "joined").equals(responses_in(work / "whole"))


def literal_perplexity(folder: Path, query: str, text: str) -> float:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    words = f"Answer the question below in the first person, in about 100 words.\n\n{query}"
    turn = [{"role": "user", "content": words}]
    prompt = tokenizer.apply_chat_template(turn, add_generation_prompt=True)["input_ids"]
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logprobs = model(torch.tensor([prompt + tokens])).logits[0].double().log_softmax(dim=-1)
    said = [float(logprobs[len(prompt) - 1 + place, token]) for place, token in enumerate(tokens)]
    return float(torch.tensor(said).mean().neg().exp())


@pytest.mark.slow
def test_the_study_of_methods_scores_all_of_them_with_their_price_and_drift(work: Path, model: Path) -> None:
    study = ("experiment=steering_methods", "value=power,security", "limit=3", "hydra.sweep.dir=steered")
    succeeded(run(work, model, *study))
    tables = {
        (table["steering"].iloc[0], table["value"].iloc[0], table["intensity"].iloc[0]): table
        for table in map(responses_in, sorted(file.parent for file in (work / "steered").rglob("responses.csv")))
    }
    assert len(tables) == 2 + 3 * 2 * 3  # unsteered ones of three intensities are the same
    for condition in (("none", "power", ""), ("activation", "power", "2"), ("anchor", "security", "-2")):
        row = tables[condition].iloc[1]
        assert float(row["perplexity"]) == pytest.approx(
            literal_perplexity(model, row["query"], row["response"]), rel=1e-3
        )
        assert row["refused"] == "0"
    env = environment(work.parent / "cache")
    scored = ("responses=steered", f"vidb={work.parent / 'anchors.csv'}", "judge_check=false", "m=2", "-m")
    sweeps = {
        "unsteered": ("steered_by=none", "value=power,security"),
        "steered": ("steered_by=activation", "value=power,security", "intensity=-2,0,2"),
        "drift": ("steered_by=activation", "value=power,security", "values=[power],[security]", "intensities=[-2],[2]"),
    }
    for name, arguments in sweeps.items():
        succeeded(
            run_app(ROOT / "evaluate.py", *scored, *arguments, f"hydra.sweep.dir=scored/{name}", folder=work, env=env)
        )
    assert summary_in(work / "scored" / "unsteered" / "0")["n"] == 3
    done = succeeded(run_app(ROOT / "compare.py", "scored", "hydra.run.dir=compared", folder=work, env=env))
    assert "price of responses" in done.stdout
    assert "drift, " in done.stdout
    means = pd.read_csv(work / "compared" / "means.csv")
    assert means["perplexity"].notna().all()
    matrix = pd.read_csv(work / "compared" / "drift.csv")
    assert set(zip(matrix["steered"], matrix["measured"], strict=True)) == {
        (one, other) for one in ("power", "security") for other in ("power", "security")
    }


def test_a_survey_has_no_price(work: Path, model: Path) -> None:
    asked = ("preset=phi4", "price=true")
    done = run_app(ROOT / "steer.py", *asked, folder=work, env=environment(work.parent / "cache"))
    refused(done, work, "preset=phi4 answers a survey", "leave price=true out")


@pytest.mark.parametrize(
    ("arguments", "is_used"),
    [
        (("activation",), True),
        (("anchor+activation",), True),
        (("activation", "steering.vectors=V"), False),
        (("activation", "steering.vectors=V", "steering.strength=search"), True),
        (("user_texts",), True),
        (("anchor",), False),
    ],
)
def test_loggers_are_told_of_the_vidb_where_it_has_a_part(arguments: tuple[str, ...], is_used: bool) -> None:
    option, *changes = arguments
    node = compose_group("steering", option)
    for change in changes:
        key, _, entry = change.removeprefix("steering.").partition("=")
        node[key] = entry
    settings = SteeringSettings.model_construct(steering=built(node), preset=None)
    assert ({"vidb", "vidb_columns"} <= settings.unused({"llm"})) is not is_used


def test_a_price_is_asked_of_models_that_are_open_only(work: Path, model: Path) -> None:
    asked = (
        "value=power",
        "intensity=2",
        "price=true",
        "llm=openai",
        "llm.model=m",
        "llm.base_url=http://localhost:1/v1",
    )
    refused(run(work, model, *asked), work, "price=true works inside a model", "llm=transformers")


@pytest.mark.slow
def test_layer_and_strength_are_searched_on_queries_that_the_run_does_not_ask(work: Path, model: Path) -> None:
    search = ("steering.layer=search", "steering.strength=search", "steering.search.layers=[0.3,0.7]")
    search += (
        "steering.search.strengths=[0.1,0.3]",
        "steering.search.queries=3",
        "steering.search.most_perplexity=1000",
    )
    succeeded(run(work, model, "steering=activation", "value=power", "intensity=2", *search, "hydra.run.dir=out"))
    found = summary_in(work / "out")["activation"]["power"]
    assert found["layers"] in ([1], [2])
    assert found["strength"] == found["strengths"][4] in (0, 0.1, 0.3)
    assert [row["trial"] for row in found["search"]].count("anchor") == 4
    assert responses_in(work / "out")["strength"].unique().tolist() == [f"{found['strength']:g}"]


@pytest.mark.slow
def test_trials_ask_queries_that_the_run_does_not_and_read_the_vidb_as_the_run_does(
    work: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors = pd.read_csv(work.parent / "anchors.csv").rename(columns={"final_rating": "rating"})
    broken = pd.DataFrame({"theory": ["pvq"], "value": ["power"], "text": ["no rating"], "rating": [None]})
    pd.concat([anchors, broken]).to_csv(work.parent / "anchors.csv", index=False)
    judged: list[list[str]] = []

    def spy(said: pd.DataFrame, **settings: Any) -> Any:
        judged.append(said["query"].tolist())
        return evaluate_responses(said, **settings)

    monkeypatch.setattr("valueflow.steering.held_out.evaluate_responses", spy)
    asked = ("steering=activation", "value=power", "intensity=2", "steering.layer=search", "queries=null", "limit=4")
    asked += ("steering.search.queries=3", "steering.search.layers=[0.3,0.7]", "steering.search.most_perplexity=1000")
    asked += ("vidb_columns.final_rating=rating", "on_bad_row=skip")
    succeeded(run(work, model, *asked, "hydra.run.dir=out"))
    packaged = pd.read_csv(PACKAGED_FILE)["query"].tolist()
    assert responses_in(work / "out")["query"].tolist() == packaged[:4]
    assert len(judged) == 5
    assert all(queries == packaged[4:7] for queries in judged)
    found = summary_in(work / "out")["activation"]["power"]
    scores = {(*row["layers"], row["strength"]): row["score"] for row in found["search"] if "layers" in row}
    effects = {layer: scores[layer, 0.4] - scores[layer, -0.4] for layer in (1, 2)}
    assert effects[1] != effects[2]
    assert found["layers"] == [max(effects, key=lambda layer: effects[layer])]


def test_a_search_without_queries_left_is_refused(work: Path, model: Path) -> None:
    asked = ("steering=activation", "value=power", "intensity=2", "steering.layer=search", "queries=null")
    refused(run(work, model, *asked), work, "search needs 8 queries", "0 are left", "limit=")
