"""Actors of Ray leave what this process leaves, and their faults are told in one line."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.command import ROOT, environment, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.extraction.test_extraction import KnownModel
from tests.hives.tiny import save_tiny_encoder
from valueflow import extract
from valueflow.run import InputError, write_csv

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="ray is not installed: pip install 'valueflow[ray-data]'"
)

WORDS = ("I", "you", "we", "they", "keep", "break", "promise", "help", "harm", "share", "truth", "money", "power")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """400 texts of two theories, a blank one among them, and an encoder."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, draw.integers(2, 30))) + f" {row}" for row in range(400)]
    texts[7] = ""
    theories = draw.choice(["pvq", "duty"], len(texts))
    write_csv(pd.DataFrame({"text": texts, "theory": theories}), tmp_path / "texts.csv")
    save_tiny_encoder(tmp_path)
    return tmp_path


def vectors(folder: Path, theory: str) -> tuple[list[str], Any]:
    with np.load(folder / f"embedding_{theory}.npz", allow_pickle=False) as content:
        return content["texts"].tolist(), content["embeddings"]


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "texts.csv").write_text("text\na\n")
    monkeypatch.setattr("valueflow.extraction.engines.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"engine=ray: Ray is not installed; pip install 'valueflow\[ray-data\]'"):
        extract(input=tmp_path / "texts.csv", theory="pvq", engine="ray", output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"devices": "cpu"}, "devices: engine=ray places its actors itself; give engine.actors and engine.gpus"),
        ({"model": KnownModel()}, "model: actors of engine=ray load it by its name or folder"),
        ({"engine": {"actors": 0}}, "actors=0"),
        ({"engine": {"gpus": -1}}, "gpus=-1"),
        ({"engine": {"gpus": 1.5}}, "a part of one GPU or a whole number of them"),
        ({"engine": {"address": "ray://head:10001"}}, "ray:// is Ray's client"),
        ({"engine": {"address": "local"}}, "is neither auto nor HOST:PORT"),
        ({"engine": {"address": ""}}, "is neither auto nor HOST:PORT"),
    ],
)
def test_what_ray_has_no_use_for_is_refused(more: dict[str, Any], part: str, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\na\n")
    engine = {"_target_": "valueflow.extraction.RayEngine", "actors": 1, "gpus": 0, "address": None}
    given = {**more, "engine": {**engine, **more.get("engine", {})}}
    with pytest.raises(InputError) as caught:
        extract(input=tmp_path / "texts.csv", theory="pvq", output_dir=tmp_path / "out", **given)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "[127.0.0.1]", "no-such-host.invalid"])
def test_an_address_where_nothing_answers_is_told_at_once(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "texts.csv").write_text("text\na\n")
    monkeypatch.setattr("valueflow.extraction.engines.find_spec", lambda name: object())
    more = {"engine": "ray", "engine.address": f"{host}:1"}
    with pytest.raises(InputError, match=r"there is no cluster of Ray to connect to \(.+\)") as told:
        extract(input=tmp_path / "texts.csv", theory="pvq", output_dir=tmp_path / "out", **more)
    assert f"engine.address={host}:1" in str(told.value)
    assert not (tmp_path / "out").exists()


@needs_ray
@pytest.mark.slow
def test_the_command_leaves_what_one_process_leaves(work: Path) -> None:
    env = environment(work / "cache")
    common = ("input=texts.csv", "model=./tiny", "rows_per_chunk=60", "on_bad_row=skip", "batch_size=16")
    program = ROOT / "extract.py"
    succeeded(run_app(program, *common, "hydra.run.dir=local", folder=work, env=env, fresh=True))
    done = succeeded(run_app(program, *common, "engine=ray", "hydra.run.dir=ray", folder=work, env=env, fresh=True))
    for theory in ("pvq", "duty"):
        one, other = vectors(work / "local", theory), vectors(work / "ray", theory)
        assert one[0] == other[0]
        np.testing.assert_allclose(one[1], other[1], atol=1e-6, rtol=0)
    ours, plain = summary_in(work / "ray"), summary_in(work / "local")
    assert ours["devices"] == ["cpu", "cpu"]
    for name in ("texts", "left_out", "dimension", "window", "theories", "not_finite_rows"):
        assert ours[name] == plain[name], name
    assert (work / "ray" / "skipped.csv").read_bytes() == (work / "local" / "skipped.csv").read_bytes()
    assert "Ray" not in done.stdout + done.stderr
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr


@needs_ray
@pytest.mark.slow
def test_shards_by_ray_are_joined_by_any_engine_and_faults_are_one_line(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.chdir(work)
    given: dict[str, Any] = {"input": "texts.csv", "model": "./tiny", "on_bad_row": "skip", "progress": False}
    monkeypatch.setenv("RAY_worker_niceness", "0")  # as the engine starts it
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False)  # one for all runs below
    try:
        extract(**given, output_dir="whole")
        extract(**given, engine="ray", shard="1/2", output_dir="shards/1")
        extract(**given, shard="2/2", output_dir="shards/2")
        extract(**given, merge="shards", output_dir="joined")
        for theory in ("pvq", "duty"):
            one, other = vectors(work / "whole", theory), vectors(work / "joined", theory)
            assert one[0] == other[0]
            np.testing.assert_allclose(one[1], other[1], atol=1e-6, rtol=0)
        with pytest.raises(InputError, match="prompt_name=query: the model has no such prompt"):
            extract(**given, engine="ray", prompt_name="query", output_dir="refused")
        assert not list(work.glob("refused/*.npz"))
        with pytest.raises(InputError, match="engine.gpus=99: Ray finds .* GPUs on this machine"):
            extract(**given, engine="ray", output_dir="refused", **{"engine.gpus": 99})
        assert ray.is_initialized()
    finally:
        ray.shutdown()


@needs_ray
@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_told_in_one_line(work: Path) -> None:
    more = ("input=texts.csv", "model=minilm", "on_bad_row=skip", "engine=ray", "engine.address=auto")
    folder = work / "empty"
    folder.mkdir()
    arguments = [argument.replace("=texts.csv", f"={work / 'texts.csv'}") for argument in more]
    done = run_app(ROOT / "extract.py", *arguments, folder=folder, env=environment(work / "cache"), fresh=True)
    refused(done, folder, "engine.address=auto: there is no cluster of Ray to connect to")
