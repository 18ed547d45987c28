"""What a run records of itself, and when two runs count as the same."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from valueflow.run import Timings, fingerprint, versions


def test_fingerprint_tells_settings_apart() -> None:
    base: dict[str, Any] = {"k": 6, "judge": {"encoder": "minilm", "batch_size": 64}, "intensity": None}
    changed = [
        {**base, "k": 7},
        {**base, "k": "6"},
        {**base, "judge": {"encoder": "minilm", "batch_size": 65}},
        {**base, "intensity": 0},
        {**base, "seed": 1},
        {key: base[key] for key in ("k", "judge")},
    ]
    marks = [fingerprint(config) for config in (base, *changed)]
    assert len(set(marks)) == len(marks)
    assert fingerprint(dict(reversed(base.items()))) == marks[0]


@pytest.mark.parametrize("name", ["responses.csv", "./responses.csv", "data/responses.csv", "data", "responses"])
def test_fingerprint_follows_the_files_that_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for file in ("responses.csv", "data/responses.csv", "responses", "unrelated.csv"):
        Path(file).write_text("one")
    config = {"responses": name, "deep": {"list": ["x", 3]}}
    before = fingerprint(config)
    Path("unrelated.csv").write_text("changed")
    Path("new.csv").write_text("new")
    assert fingerprint(config) == before
    for file in ("responses.csv", "data/responses.csv", "responses"):
        Path(file).write_text("one more")
    assert fingerprint(config) != before


def test_fingerprint_follows_files_named_inside_lists_and_absolute_paths(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("one")
    configs = [{"sampling": {"texts": str(file)}}, {"files": ["other", str(file)]}]
    before = [fingerprint(config) for config in configs]
    file.write_text("two!")
    assert all(fingerprint(config) != mark for config, mark in zip(configs, before, strict=True))


def test_fingerprint_follows_the_jobs_of_a_sweep_folder(tmp_path: Path) -> None:
    marks = []
    for content in ("one", "two!"):
        for job in ("0", "1"):
            (tmp_path / job).mkdir(exist_ok=True)
            (tmp_path / job / "responses.csv").write_text(content)
            marks.append(fingerprint({"responses": str(tmp_path)}))
    assert len(set(marks)) == 4


def test_fingerprint_follows_a_dataset_on_disk(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_text("one")
    before = fingerprint({"vidb": f"hf://{tmp_path}"})
    (tmp_path / "train.parquet").write_text("two!")
    assert fingerprint({"vidb": f"hf://{tmp_path}"}) != before


def test_fingerprint_sees_a_change_that_keeps_the_size(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text("one")
    before = fingerprint({"responses": str(file)})
    file.write_text("two")
    os.utime(file, ns=(0, time.time_ns() + 1_000_000))
    assert fingerprint({"responses": str(file)}) != before


def test_texts_that_name_no_file_are_taken_as_they_are() -> None:
    hostile = ["a/b" * 50_000, "nul\x00/byte", "{braces}/.", "line\nbreak."]
    assert len({fingerprint({"texts": text}) for text in hostile}) == len(hostile)


def test_stages_add_up() -> None:
    timings = Timings()

    def fail_in_a_stage() -> None:
        with timings.stage("judge"):
            time.sleep(0.02)
            raise RuntimeError

    with timings.stage("load"):
        time.sleep(0.01)
    with timings.stage("load"):
        time.sleep(0.01)
    with pytest.raises(RuntimeError):
        fail_in_a_stage()
    seconds = timings.as_dict()
    assert list(seconds) == ["load", "judge", "total"]
    assert 0.02 <= seconds["load"] < 1
    assert 0.02 <= seconds["judge"] < 1
    assert seconds["total"] == pytest.approx(seconds["load"] + seconds["judge"], abs=0.002)


def test_a_stage_within_a_stage_counts_once() -> None:
    timings = Timings()
    start = time.perf_counter()
    with timings.stage("train"):
        time.sleep(0.01)
        with timings.stage("measure"):
            time.sleep(0.05)
    elapsed = time.perf_counter() - start
    seconds = timings.as_dict()
    assert seconds["measure"] >= 0.05
    assert seconds["train"] <= elapsed - 0.05 + 0.002
    assert seconds["total"] <= elapsed + 0.002


def test_versions_are_those_of_the_installed_packages() -> None:
    import numpy

    import valueflow

    found = versions()
    assert found["numpy"] == numpy.__version__
    assert found["valueflow"] == valueflow.__version__
    assert {"python", "torch", "sentence-transformers"} <= found.keys()
