"""`python train.py` as a person runs it, with a tiny encoder; and what it leaves, used by the other apps."""

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests import command
from tests.command import Finished, environment, lists_all, refused, start, succeeded, summary_in
from tests.hives.tiny import save_tiny_encoder, training_rows
from valueflow import train
from valueflow.hives import MeasuredEncoder, TrainedEncoder
from valueflow.hives.data import TEST
from valueflow.hives.data import parts_of as parts_of_texts
from valueflow.run import InputError

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "train.py"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def environment_of(work: Path) -> dict[str, str]:
    return environment(work.parent / "cache", OMP_NUM_THREADS="1")


def run(work: Path, *arguments: str, fresh: bool = False) -> Finished:
    return command.run(PROGRAM, *arguments, folder=work, env=environment_of(work), fresh=fresh, timeout=600)


def small(tiny: Path, table_file: Path, *more: str) -> tuple[str, ...]:
    model = ("backbone=any", f"backbone.model={tiny}", "trainer=cpu", f"data.train={table_file}", "data.held_out=0.3")
    batch = (
        "stage.batch_size=24",
        "stage.anchors_per_batch=4",
        "stage.positives_per_anchor=2",
        "stage.members_per_id=2",
    )
    course = ("progress=false", "optimizer.learning_rate=3e-3", "max_steps=12", "epochs=5", "validate_every=4")
    return (*model, *batch, *course, *more)


# ---- What it says of itself


def test_help_names_every_key_and_group(work: Path) -> None:
    lists_all(succeeded(run(work, "--help")).stdout, "train")


# ---- Both stages, and what uses the result


@pytest.mark.slow
def test_both_stages_and_what_uses_them(tiny: Path, table_file: Path, work: Path) -> None:
    from sentence_transformers import SentenceTransformer

    done = succeeded(run(work, *small(tiny, table_file, "hydra.run.dir=first", "logger=csv")))
    assert "ranking accuracy" in done.stdout
    first = summary_in(work / "first")
    assert sum(first["data"][part] for part in ("training", "validation", "test")) == first["data"]["texts"] == 108
    assert first["steps"] == 12
    assert first["after"]["overall"]["ranking_accuracy"] > first["before"]["overall"]["ranking_accuracy"]
    assert first["versions"]["lightning"]
    assert {path.name for path in (work / "first").iterdir()} >= {"model", "curve.csv", "summary.json", "runs.csv"}

    second = succeeded(run(work, *small(tiny, table_file, "stage=inter", "model=first/model", "hydra.run.dir=second")))
    assert "cross-theory retrieval" in second.stdout
    after = summary_in(work / "second")
    # Both stages have the same validation texts, so stage 2 begins where stage 1 ended.
    assert after["before"]["overall"] == pytest.approx(first["after"]["overall"], abs=1e-6)
    curve = pd.read_csv(work / "second" / "curve.csv")
    assert {"train/hierarchy", "train/individual", "train/anchor", "held_out/anchor_retrieval"} <= set(curve)
    total = curve["train/hierarchy"] + 0.5 * curve["train/individual"] + curve["train/anchor"]
    np.testing.assert_allclose(curve["train/loss"].dropna(), total.dropna(), rtol=1e-5)

    folder = work / "second" / "model"
    assert sorted(path.suffix for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")) == []
    card = (folder / "README.md").read_text(encoding="utf-8")
    metadata = yaml.safe_load(card.split("---")[1])
    assert metadata["library_name"] == "sentence-transformers"
    assert "stage 2" in card
    assert str(table_file) in card
    settings = json.loads(re.search(r"```json\n(.*?)```", card, re.DOTALL)[1])  # type: ignore[index]
    assert settings["stage"]["anchor_weight"] == 1.0
    model = SentenceTransformer(str(folder), device="cpu")
    assert model.encode(["A promise is a promise."]).shape == (1, 32)

    # It measures as it was measured, embeds, and judges.
    held = train(
        task="test",
        measure="validation",
        model=folder,
        output_dir=work / "test",
        **{"data.train": table_file, "data.held_out": 0.3},
    )
    assert isinstance(held, MeasuredEncoder)
    assert held.summary["after"]["overall"] == pytest.approx(after["after"]["overall"], abs=1e-6)
    assert (work / "test" / "metrics.csv").is_file()


@pytest.mark.slow
def test_a_kill_in_mid_epoch_and_resume(tiny: Path, table_file: Path, work: Path) -> None:
    arguments = small(tiny, table_file, "max_steps=30", "validate_every=5")
    undisturbed = succeeded(run(work, *arguments, "hydra.run.dir=whole"))
    assert undisturbed.returncode == 0
    printed = work.parent / "printed"
    process = start(
        PROGRAM,
        *arguments,
        "resume=true",
        folder=work,
        env=environment_of(work),
        output=printed,
        errors=printed,
    )
    deadline = time.monotonic() + 300
    while not list(work.glob("outputs/*/*/checkpoints/last.ckpt")):
        assert process.exitcode is None, printed.read_text(encoding="utf-8")
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    (killed,) = work.glob("outputs/*/*")
    assert not (killed / "summary.json").exists()
    done = succeeded(run(work, *arguments, "resume=true"))
    assert "continuing from step" in done.stdout + done.stderr
    assert list(work.glob("outputs/*/*")) == [killed]
    resumed, whole = summary_in(killed), summary_in(work / "whole")
    assert resumed["resumed_from"] > 0
    for key in ("steps", "best_step", "before", "after"):
        assert resumed[key] == whole[key], key
    pd.testing.assert_frame_equal(pd.read_csv(killed / "curve.csv"), pd.read_csv(work / "whole" / "curve.csv"))
    # Asked once more, it is done already.
    again = succeeded(run(work, *arguments, "resume=true"))
    assert "is done already" in again.stdout + again.stderr


@pytest.mark.slow
def test_a_sweep_over_losses(tiny: Path, table_file: Path, work: Path) -> None:
    done = succeeded(run(work, *small(tiny, table_file, "loss=hmc,hce", "max_steps=4", "-m", "hydra.sweep.dir=sweep")))
    assert "2 of 2 jobs" in done.stdout
    table = pd.read_csv(work / "sweep" / "sweep.csv")
    assert table["loss"].tolist() == ["hmc", "hce"]
    assert "after.overall.ranking_accuracy" in table


@pytest.mark.slow
def test_of_two_processes_one_reports(tiny: Path, table_file: Path, work: Path) -> None:
    two = ("trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true")
    # In a fresh interpreter: Lightning starts the second process with the command line of the first.
    done = succeeded(run(work, *small(tiny, table_file, *two, "max_steps=4", "hydra.run.dir=run"), fresh=True))
    assert done.stdout.count("texts; 4 steps, the weights of step 4") == 1
    summary = summary_in(work / "run")
    assert summary["after"]["overall"]["ranking_accuracy"] > 0
    assert (work / "run" / "model" / "README.md").is_file()


# ---- Measuring


def measured_by(tiny: Path, **given: object) -> MeasuredEncoder:
    fixed = {"backbone": "any", "backbone.model": str(tiny), "trainer": "cpu", "progress": False}
    result = train(task="test", **(fixed | given))
    assert isinstance(result, MeasuredEncoder)
    return result


def test_both_definitions_are_shown_and_written(tiny: Path, table_file: Path, work: Path) -> None:
    model = ("backbone=any", f"backbone.model={tiny}", "trainer=cpu", "metrics=published", "hydra.run.dir=out")
    shown = succeeded(run(work, "task=test", *model, f"data.train={table_file}", "data.held_out=0.3")).stdout
    for words in ("direction accuracy", "standard error", "published: ranking accuracy", "published: 1-NN accuracy"):
        assert words in shown
    assert "3 (whole path)" in shown
    summary = summary_in(work / "out")
    after, texts = summary["after"], summary["data"]["texts"]
    assert 0 < summary["data"]["training"] < 108 - texts  # the rest is for validation
    table = pd.read_csv(work / "out" / "metrics.csv").set_index("theory")
    assert list(table.index) == ["all", *after["theories"]]
    for prefix, block in (("", after), ("published_", after["published"])):
        for place, key in (("all", None), *((name, name) for name in after["theories"])):
            own, errors = (part["overall"] if key is None else part["theories"][key] for part in parts_of(block))
            for name, value in own.items():
                assert is_equal(table.loc[place, f"{prefix}{name}"], value), (place, name)
            for name, value in errors.items():
                assert is_equal(table.loc[place, f"{prefix}{name}_se"], value), (place, name)
    assert table["published_n_training"].sum() == summary["data"]["training"]
    # The published block changes nothing in the standard one.
    plain = measured_by(tiny, **{"data.train": str(table_file), "data.held_out": 0.3}).summary["after"]
    assert plain == {name: value for name, value in after.items() if name != "published"}


def test_an_encoder_is_compared_with_others_on_the_test_texts(tiny: Path, table_file: Path, work: Path) -> None:
    other = save_tiny_encoder(work, dropout=0.0, seed=1)
    model = ("backbone=any", f"backbone.model={tiny}", "trainer=cpu", f"data.train={table_file}", "data.held_out=0.3")
    arguments = ("task=test", *model, f"baseline=[{other},{tiny}]", "replicates=20", "hydra.run.dir=out")
    shown = succeeded(run(work, *arguments)).stdout
    assert "test texts" in shown
    assert shown.count("->") >= 2
    summary = summary_in(work / "out")
    assert summary["data"]["measured"] == "test"
    first, same = summary["baselines"]
    # A model differs from itself by nothing, in every sample.
    assert same["metrics"] == summary["after"]
    assert set(same["difference_standard_errors"].values()) <= {0.0, None}
    assert first["metrics"]["overall"] != summary["after"]["overall"]
    assert first["difference_standard_errors"]["ranking_accuracy"] > 0
    errors = summary["after"]["standard_errors"]["overall"]
    assert errors["ranking_accuracy"] > 0
    assert errors["similarity_correlation"] > 0
    picture = (work / "out" / "map.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    # Validation has other texts.
    again = measured_by(
        tiny, measure="validation", replicates=0, **{"data.train": str(table_file), "data.held_out": 0.3}
    )
    assert again.summary["data"]["measured"] == "validation"
    assert again.summary["after"]["overall"] != summary["after"]["overall"]
    assert again.summary["after"]["standard_errors"]["overall"] == {}


def parts_of(block: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return block, block["standard_errors"]


def is_equal(found: float, value: float | None) -> bool:
    return bool(np.isnan(found)) if value is None else found == pytest.approx(value, rel=1e-12)


def test_no_text_is_its_own_nearest_training_text(
    tiny: Path, table_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = training_rows()
    rows.sample(frac=0.5, random_state=1).to_csv(tmp_path / "test.csv", index=False)
    given = {"data.train": str(table_file), "data.test": str(tmp_path / "test.csv"), "metrics": "published"}
    summary = measured_by(tiny, **given, **{"data.held_out": 0.0}).summary
    assert summary["data"]["training"] == 54
    assert "54 training texts that are validation or test texts too, or nearly; they are left out" in caplog.text
    n_training = [own["n_training"] for own in summary["after"]["published"]["theories"].values()]
    assert sum(n_training) == 54


def test_the_validation_texts_are_those_of_a_training(tiny: Path, table_file: Path, tmp_path: Path) -> None:
    rows = training_rows()
    sources = {part: str(tmp_path / f"{part}.csv") for part in ("validation", "test")}
    rows.iloc[::2].to_csv(sources["validation"], index=False)
    rows.iloc[::3].to_csv(sources["test"], index=False)
    given = {f"data.{part}": source for part, source in sources.items()}
    without = {"data.validation": sources["validation"], "data.held_out": 0.2}
    for data, wanted in (
        (given, 54 - 18),
        (given | {"data.train": str(table_file)}, 54 - 18),
        # The test is held out of the training table, by a hash: what of it stands in the validation table?
        (without | {"data.train": str(table_file)}, 54 - sum(part == TEST for part in parts_of_rows(rows)[::2])),
    ):
        data_of = measured_by(tiny, measure="validation", replicates=0, **data).summary["data"]
        assert (data_of["texts"], data_of["sources"]) == (wanted, [sources["validation"]])
    with pytest.raises(InputError, match="data.validation: all its texts stand in the test too, or nearly"):
        measured_by(tiny, measure="validation", **given | {"data.test": sources["validation"]})


def parts_of_rows(rows: pd.DataFrame) -> list[str]:
    return list(parts_of_texts(rows["text"].to_numpy(dtype=object), 0.2, 42))


def test_published_metrics_without_training_texts(
    tiny: Path, table_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = measured_by(tiny, metrics="published", **{"data.test": str(table_file)}).summary["after"]["published"]
    assert "data.train is not set" in caplog.text
    assert alone["overall"]["knn_level_1"] is None
    assert alone["overall"]["ranking_accuracy"] is not None
    with pytest.raises(InputError, match="every text of data.train is measured"):
        measured_by(tiny, metrics="published", **{"data.test": str(table_file), "data.train": str(table_file)})


@pytest.mark.slow
def test_a_training_measures_as_task_test_does(tiny: Path, table_file: Path, work: Path) -> None:
    arguments = small(tiny, table_file, "max_steps=4", "metrics=published", "hydra.run.dir=run")
    assert "published: ranking accuracy" in succeeded(run(work, *arguments)).stdout
    after = summary_in(work / "run")["after"]["published"]
    given = {"data.train": str(table_file), "data.held_out": 0.3, "metrics": "published"}
    again = measured_by(tiny, measure="validation", model=str(work / "run" / "model"), **given).summary["after"][
        "published"
    ]
    for theory, own in after["theories"].items():
        assert again["theories"][theory] == pytest.approx(own, abs=1e-6)


# ---- Other tasks


def test_convert_writes_a_table_that_trains_the_same(work: Path) -> None:
    converted = train(task="convert", output_dir=work, **{"data.train": "demo"})
    table = pd.read_csv(work / "training.csv", keep_default_na=False)
    assert len(table) == converted.summary["data"]["rows"]
    assert set(table["direction"]) == {"support", "neutral", "oppose"}
    again = train(task="convert", **{"data.train": str(work / "training.csv")})
    pd.testing.assert_frame_equal(again.table, table)  # type: ignore[union-attr]
    # Two parents, two rows.
    both = table[table["level_3"] == "hedonism"].groupby("text")["level_1"].apply(set)
    assert all(parents == {"growth", "self-protection"} for parents in both)


# ---- What cannot be used


def test_bad_input_is_one_line(work: Path, table_file: Path) -> None:
    refused(run(work, "trainer=cpu", "backbone=minilm", "data.train=tabel.csv"), work, "tabel.csv does not exist")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "data.train is not set"),
        ({"task": "test"}, "data.test is not set"),
        ({"task": "embed"}, "task=embed"),
        ({"loss": "hcme"}, "loss=hcme"),
        ({"data.train": "demo", "teacher": "embedding"}, "teacher is for stage=distill"),
        ({"data.train": "demo", "teacher.max_text_bytes": 500}, "teacher is for stage=distill"),
        ({"data.train": "demo", "teacher": object()}, "teacher is for stage=distill"),
        ({"data.train": "demo", "llm": "phi4"}, "llm is for stage=distill"),
        ({"data.train": "demo", "llm.dtype": "float32"}, "llm is for stage=distill"),
        ({"data.train": "demo", "stage": "inter", "cache": "read"}, "cache is for stage=distill"),
        ({"data.train": "demo", "task": "convert", "llm": "phi4"}, "llm is for stage=distill"),
        ({"stage": "distill", "loss": "hce"}, "loss is for stage=intra and stage=inter"),
        ({"stage": "distill", "measure": "test"}, "measure is for stage=intra and stage=inter"),
        ({"stage": "distill", "baseline": "minilm"}, "baseline is for stage=intra and stage=inter"),
        ({"stage": "distill", "metrics": "published"}, "metrics is for stage=intra and stage=inter"),
        ({"stage": "distill", "replicates": 100}, "replicates is for stage=intra and stage=inter"),
        ({"stage": "distill", "data.names": "value"}, "data.names is for stage=intra and stage=inter"),
        ({"stage": "distill", "data.name_similarity": None}, "data.name_similarity is for stage=intra and stage=inter"),
        ({"stage": "distill", "data.several_values": "each"}, "data.several_values is for stage=intra"),
        ({"metrics": "publishd"}, "metrics=publishd"),
        ({"stage": "intro"}, "stage 'intro' is unknown; did you mean 'intra'?"),
        ({"stage.temperature": 0}, "stage.temperature=0"),
        ({"trainer": "cpu", "trainer.precision": "16-mixed"}, "precision=16-mixed needs a GPU"),
        ({"data.train": "demo", "stage.batch_siez": 3}, "unknown setting 'stage.batch_siez'"),
        ({"backbone": "any", "data.train": "demo"}, "'backbone.model' is not set"),
        ({"data.train": []}, "data.train is not set"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        train(output_dir=tmp_path / "out", **change)
    assert message in str(error.value)
    assert not (tmp_path / "out" / "summary.json").exists()


def test_data_that_cannot_train(tmp_path: Path, table_file: Path) -> None:
    rows = training_rows()
    given = {"backbone": "minilm", "trainer": "cpu", "output_dir": tmp_path / "out"}

    def message(frame: pd.DataFrame, **more: object) -> str:
        frame.to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(InputError) as error:
            train(**given, **more, **{"data.train": str(tmp_path / "t.csv"), "data.held_out": 0.0})
        return str(error.value)

    without = rows.drop(columns=["selected_individual", "selected_anchor"])
    assert "need the columns selected_individual and selected_anchor" in message(without, stage="inter")
    one_theory = rows.assign(theory="pvq")
    assert "selected_anchor" in message(one_theory, stage="inter")
    singletons = rows.assign(level_3=[f"v{n}" for n in range(len(rows))])
    assert "alone with its path and direction" in message(singletons)


def test_one_theory_and_a_few_singletons_train(tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = training_rows().assign(theory="mine").drop(columns=["selected_individual", "selected_anchor"])
    rows.loc[:2, "level_3"] = ["alone", "lonely", "solitary"]
    rows.to_csv(tmp_path / "t.csv", index=False)
    result = train(
        backbone="any",
        trainer="cpu",
        output_dir=tmp_path / "out",
        progress=False,
        max_steps=2,
        **{"data.train": str(tmp_path / "t.csv"), "backbone.model": str(tiny), "data.held_out": 0.0},
        **{"stage.batch_size": 24, "stage.anchors_per_batch": 4, "stage.positives_per_anchor": 2},
    )
    assert isinstance(result, TrainedEncoder)
    assert "alone with its path and direction: 3 of 108" in caplog.text
    assert result.summary["unusable"] == {"alone with its path and direction": 3}
    assert (result.summary["stage"], result.summary["loss"], result.summary["after"]) == ("intra", "hmce", None)
    assert "nothing is held out" in caplog.text
