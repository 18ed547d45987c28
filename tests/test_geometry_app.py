"""`python extract.py task=geometry` as a person runs it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from tests.command import Finished, environment, refused, succeeded, summary_in
from tests.command import run as run_app
from valueflow import value_geometry
from valueflow.run import InputError
from valueflow.steering.value_vectors import ValueVectors, file_of
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

ROOT = Path(__file__).parents[1]
APP = ROOT / "extract.py"
SAMPLE = ROOT.parent / "shared" / "data" / "vidb_sample"

Vectors = dict[str, "np.ndarray[Any, Any]"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def run(work: Path, *arguments: str) -> Finished:
    env = environment(Path(os.environ["VALUEFLOW_CACHE"]))
    return run_app(APP, "task=geometry", "hydra.run.dir=out", *arguments, folder=work, env=env)


def on_the_circle() -> Vectors:
    circle = load_theory("pvq").circle
    plane = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 2)))[0]
    angles = 2 * np.pi * np.arange(len(circle)) / len(circle)
    vectors = (np.column_stack([np.cos(angles), np.sin(angles)]) @ plane.T).astype(np.float32)
    return dict(zip(circle, vectors, strict=True))


@pytest.mark.slow
def test_planted_vectors_are_the_circle_of_the_theory(work: Path) -> None:
    planted = on_the_circle()
    save_file(planted, work / "vectors.safetensors")
    done = succeeded(run(work, "vectors=vectors.safetensors", "permutations=999"))
    assert "1.00" in done.stdout
    found = summary_in(work / "out")
    assert found["correlation"] == pytest.approx(1)
    assert found["p"] == found["least_p"] == 0.001
    assert found["untested"] is None
    assert found["share_in_plane"] == pytest.approx(1)
    assert found["low"] is None
    table = pd.read_csv(work / "out" / "geometry.csv")
    assert table["value"].tolist() == list(load_theory("pvq").circle)
    assert table[["x", "y"]].to_numpy() == pytest.approx(table[["theory_x", "theory_y"]].to_numpy(), abs=1e-5)
    assert table.set_index("value")["farthest"]["benevolence"] == "power"
    pairs = pd.read_csv(work / "out" / "cosines.csv")
    assert len(pairs) == 66
    steps = pairs["theory_distance"].to_numpy()
    assert pairs["cosine"].to_numpy() == pytest.approx(np.cos(2 * np.pi * steps / 12), abs=1e-5)
    for suffix in ("png", "svg"):
        assert (work / "out" / f"geometry.{suffix}").stat().st_size > 5000


def test_npz_and_safetensors_and_bfloat16_are_alike(work: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    planted = on_the_circle()
    save_tensors({name: torch.tensor(own).bfloat16() for name, own in planted.items()}, work / "b.safetensors")
    np.savez(work / "v.npz", **{name.replace("-", " ").upper(): own for name, own in planted.items()})
    whole = value_geometry(vectors=str(work / "v.npz"))
    halved = value_geometry(vectors=str(work / "b.safetensors"))
    assert whole.summary["correlation"] == pytest.approx(1)
    assert halved.pairs["cosine"].to_numpy() == pytest.approx(whole.pairs["cosine"].to_numpy(), abs=0.02)


def save_as_steering(folder: Path, planted: Vectors, **card: Any) -> None:
    """Leave one file per value as steering does: the planted vector is that of layer 2 of 4."""
    for value, vector in planted.items():
        layers = np.random.default_rng([*value.encode()]).normal(size=(4, len(vector))).astype(np.float32)
        layers[2] = vector
        said = {"format": 1, "model": "m", "theory": "pvq", "value": value, "layers": 4, "width": len(vector)} | card
        ValueVectors(layers, np.ones(4), said).save(file_of(folder, value))


@pytest.mark.slow
def test_vectors_that_steering_left_are_compared_after_one_layer(work: Path) -> None:
    planted = on_the_circle()
    for job, value in enumerate(planted):  # as a sweep leaves them, each value at two intensities
        for folder in (work / "steered" / str(job), work / "steered" / str(job + 20)):
            save_as_steering(folder / "vectors", {value: planted[value]})
    save_as_steering(work / "steered" / "mft" / "vectors", {"care-harm": planted["power"]}, theory="mft")
    succeeded(run(work, "vectors=steered"))
    found = summary_in(work / "out")
    assert (found["values"], found["settings"]["depth"]) == (12, 0.5)
    assert found["correlation"] == pytest.approx(1)
    last = value_geometry(vectors=str(work / "steered"), depth=1)
    assert last.summary["correlation"] < 0.5
    with pytest.raises(InputError, match="depth=12"):
        value_geometry(vectors=str(work / "steered"), depth=12)


def test_folders_of_vectors_that_cannot_be_compared_are_refused(work: Path) -> None:
    folder, planted = work / "steered", on_the_circle()
    folder.mkdir()
    save_file(planted, folder / "model.safetensors")  # has no card
    with pytest.raises(InputError, match=r"holds no VALUE.safetensors with its card VALUE.json of theory 'pvq'"):
        value_geometry(vectors=str(folder))
    save_as_steering(folder / "a", planted)
    with pytest.raises(InputError, match="of theory 'duty'.*it has vectors of pvq"):
        value_geometry(theory="duty", vectors=str(folder))
    save_as_steering(folder / "b", {"power": 2 * planted["security"]})
    with pytest.raises(InputError, match="holds other vectors of 'power'"):
        value_geometry(vectors=str(folder))
    save_as_steering(folder / "b", planted, model="other")
    with pytest.raises(InputError, match="vectors of 2 models: m, other"):
        value_geometry(vectors=str(folder))
    save_file({"norms": np.ones(4)}, folder / "a" / "power.safetensors")
    with pytest.raises(InputError, match=r"holds no tensor 'vectors'.*'norms' \(4,\)"):
        value_geometry(vectors=str(folder / "a"))


@pytest.mark.slow
def test_anchors_of_the_demo_and_their_embeddings_are_alike(work: Path) -> None:
    succeeded(run(work))
    direct, pairs = summary_in(work / "out"), pd.read_csv(work / "out" / "cosines.csv")
    assert direct["values"] == 12
    assert -1 <= direct["low"] < direct["correlation"] < direct["high"] <= 1
    assert (pairs["low"] <= pairs["cosine"]).all()
    assert (pairs["cosine"] <= pairs["high"]).all()
    vidb = load_vidb("demo")
    texts = [text for anchors in vidb.anchors if anchors.theory == "pvq" for text in anchors.texts]
    pd.DataFrame({"text": [*texts, "a text that is no anchor"]}).to_csv(work / "texts.csv", index=False)
    env = environment(Path(os.environ["VALUEFLOW_CACHE"]))
    embed = ("task=embed", "input=texts.csv", "theory=pvq", "hydra.run.dir=embedded")
    succeeded(run_app(APP, *embed, folder=work, env=env))
    done = succeeded(run(work, "vectors=embedded/embedding_pvq.npz", "resume=false"))
    assert "1 texts of the file that are no anchors" in done.stdout
    stored = pd.read_csv(work / "out" / "cosines.csv")
    assert stored["cosine"].to_numpy() == pytest.approx(pairs["cosine"].to_numpy(), abs=1e-4)
    assert summary_in(work / "out")["texts"] == direct["texts"]


def test_directions_are_differences_of_means(work: Path) -> None:
    rng = np.random.default_rng(0)
    ratings = [-9.0, -3.0, 0.0, 2.0, 8.0]
    rows = [
        {"theory": "mft", "value": value, "text": f"{value} {rating}", "final_rating": rating}
        for value in ("care-harm", "fairness-cheating", "loyalty-betrayal", "authority-subversion")
        for rating in ratings
    ]
    rows += [{"theory": "mft", "value": "sanctity-degradation", "text": "only for", "final_rating": 4.0}]
    table = pd.DataFrame(rows)
    table.to_csv(work / "anchors.csv", index=False)
    vectors = rng.normal(size=(len(table), 6)).astype(np.float32)
    np.savez(work / "embedding_mft.npz", texts=table["text"].to_numpy(dtype=str), embeddings=vectors)
    found = value_geometry(theory="mft", vidb=str(work / "anchors.csv"), vectors=str(work / "embedding_mft.npz"))
    own = {
        value: vectors[group.index[group["final_rating"] > 0]].mean(axis=0)
        - vectors[group.index[group["final_rating"] < 0]].mean(axis=0)
        for value, group in table[table["value"] != "sanctity-degradation"].groupby("value")
    }
    for row in found.pairs.itertuples():
        one, other = own[row.value], own[row.other]
        assert row.cosine == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-6)
    assert found.table["supporting"].tolist() == found.table["opposing"].tolist() == [2] * 4
    assert found.summary["neutral"] == 4
    assert found.summary["left_out"] == {
        "sanctity-degradation": "no vectors of texts on both sides, supporting and opposing",
        "liberty-oppression": "no anchors in the VIDB",
    }
    # Two and two of four values: a third of all assignments are the same one.
    assert found.summary["least_p"] == pytest.approx(1 / 3)
    assert "too few values for a test" in found.summary["untested"]


def test_a_theory_without_distances_says_so(work: Path) -> None:
    duty = load_theory("duty")
    np.savez(work / "v.npz", **{value: np.eye(7)[place] + 0.1 * place for place, value in enumerate(duty.values)})
    done = succeeded(run(work, "vectors=v.npz", "theory=duty"))
    assert "all of these values equally far apart" in done.stdout
    assert summary_in(work / "out")["p"] is None
    assert len(pd.read_csv(work / "out" / "cosines.csv")) == 21


@pytest.mark.slow
def test_a_sweep_over_theories(work: Path) -> None:
    done = succeeded(run(work, "theory=pvq,mft,duty,right", "hydra.sweep.dir=sweep", "-m", "permutations=99"))
    assert "4 of 4 jobs" in done.stdout
    table = pd.read_csv(work / "sweep" / "sweep.csv")
    assert table["theory"].tolist() == ["pvq", "mft", "duty", "right"]
    assert table["shape"].tolist() == ["circle", "hierarchy", "hierarchy", "hierarchy"]


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"benevolense": np.ones(3)}, ("'benevolense' is no value of theory 'pvq'", "benevolence")),
        ({"power": np.ones(3), "POWER": np.ones(3)}, ("'power' and 'POWER' are one value",)),
        ({"power": np.ones((2, 3))}, ("'power'", "shape (2, 3)", "(D,)")),
        ({"power": np.zeros(3)}, ("'power'", "no direction")),
        ({"power": np.array([1, np.nan])}, ("'power'", "not finite")),
        ({"power": np.array(["a", "b"])}, ("'power'", "vector of numbers")),
        ({"power": np.array([{}, 1], dtype=object)}, ("not a readable NPZ file",)),
        ({"power": np.ones(3), "security": np.ones(4)}, ("'security' 4", "one model")),
        ({"power": np.ones(3), "security": np.ones(3)}, ("2 values of theory 'pvq' have a vector", "needs 3")),
        ({"texts": np.array(["a"]), "embeddings": np.ones((2, 3))}, ("'embeddings'", "1 texts")),
        ({"texts": np.array(["a"]), "embeddings": np.ones((1, 3))}, ("0 values of theory 'pvq'", "both sides")),
    ],
)
def test_vectors_that_cannot_be_used(work: Path, given: Vectors, parts: tuple[str, ...]) -> None:
    np.savez(work.parent / "v.npz", **given)  # type: ignore[arg-type]
    refused(run(work, "vectors=../v.npz"), work, *parts)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("v.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "not a readable safetensors file"),
        ("v.npz", b"PK\x03\x04 half a file", "not a readable NPZ file"),
        ("v.pt", b"weights", "neither a .safetensors nor an .npz file"),
        ("v.npz", b"", "is empty"),
    ],
)
def test_files_that_cannot_be_read(work: Path, name: str, content: bytes, part: str) -> None:
    (work.parent / name).write_bytes(content)
    refused(run(work, f"vectors=../{name}"), work, part)


def test_what_is_not_there_or_several(work: Path) -> None:
    refused(run(work, "vectors=nowhere.npz"), work, "nowhere.npz does not exist")
    refused(run(work, "theory=any"), work, "give the theory")


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the shared data is not here")
def test_the_published_anchors_have_a_geometry(work: Path) -> None:
    found = value_geometry(vidb=str(SAMPLE), permutations=999)
    assert found.summary["values"] == 12
    assert found.summary["untested"] is None
    assert (found.table["reliability"].between(0, 1)).all()
