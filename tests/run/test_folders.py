"""The folder of a run that could not begin is taken away; nothing else is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from valueflow.run import RunFolder, by_number, files_named


@pytest.fixture(autouse=True)
def _forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    RunFolder.reset()


def begin(folder: str) -> Path:
    RunFolder().on_run_start(OmegaConf.create({"hydra": {"run": {"dir": folder}}}))
    made = Path(folder)
    (made / ".hydra").mkdir(parents=True)
    (made / ".hydra" / "config.yaml").write_text("x")
    return made


def test_a_new_folder_goes_with_the_empty_ones_above_it(tmp_path: Path) -> None:
    begin("outputs/2026-01-01/12-00-00")
    RunFolder.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_folder_goes_too(tmp_path: Path) -> None:
    RunFolder().on_multirun_start(OmegaConf.create({"hydra": {"sweep": {"dir": "multirun/day/time"}}}))
    Path("multirun/day/time/0").mkdir(parents=True)
    RunFolder.discard()
    assert list(tmp_path.iterdir()) == []


def test_other_runs_beside_it_stay() -> None:
    other = Path("outputs/2026-01-01/11-00-00")
    other.mkdir(parents=True)
    made = begin("outputs/2026-01-01/12-00-00")
    RunFolder.discard()
    assert not made.exists()
    assert other.is_dir()


def test_a_folder_that_was_there_before_stays_with_what_it_held() -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    begin("mine")
    RunFolder.discard()
    assert Path("mine/notes.txt").read_text() == "mine"


def test_an_empty_folder_that_the_user_made_stays() -> None:
    Path("results").mkdir()
    made = begin("results/first")
    RunFolder.discard()
    assert not made.exists()
    assert Path("results").is_dir()


def test_the_working_directory_itself_is_never_removed(tmp_path: Path) -> None:
    begin("here")
    RunFolder.discard()
    assert tmp_path.is_dir()


def test_without_a_run_nothing_is_discarded(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    RunFolder.discard()
    assert (tmp_path / "keep").is_dir()


def test_jobs_go_by_their_numbers_after_other_names() -> None:
    names = ["10", "2", "b", "0", "1", "a", "²"]
    assert sorted(names, key=by_number) == ["a", "b", "²", "0", "1", "2", "10"]


def test_files_of_a_name_are_found_at_any_depth_but_in_hidden_folders(tmp_path: Path) -> None:
    there = ["r.csv", "10/r.csv", "2/r.csv", "2/deep/er/r.csv", "a/1/r.csv", ".hidden/r.csv", "2/.hydra/in/r.csv"]
    for name in (*there, "2/other.csv", "3/r.csv.bak"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "4" / "r.csv").mkdir(parents=True)
    found = [str(file.relative_to(tmp_path)) for file in files_named(tmp_path, "r.csv")]
    assert found == ["a/1/r.csv", "r.csv", "2/deep/er/r.csv", "2/r.csv", "10/r.csv"]


def write_record(folder: Path, name: str, **record: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(record))


def test_jobs_of_an_earlier_sweep_in_the_same_folder_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = tmp_path / "all" / "sweep"
    write_record(sweep, "sweep.json", id="last")
    for folder, tag in {
        "0": {"id": "last", "job": 0},
        "deep/1": {"id": "last", "job": 1},
        "2": {"id": "first", "job": 2},
        "deep/3": {"id": "first", "job": 3},
    }.items():
        write_record(sweep / folder, "summary.json", sweep=tag)
        (sweep / folder / "r.csv").write_text("x")
    write_record(sweep / "4", "error.json", error="?", sweep={"id": "first", "job": 4})
    (sweep / "4" / "r.csv").write_text("x")
    # Of no sweep: a single run in the same folder, and what a user put there.
    write_record(sweep / "single", "summary.json", job="")
    (sweep / "single" / "r.csv").write_text("x")
    (sweep / "mine").mkdir()
    (sweep / "mine" / "r.csv").write_text("x")
    # A job of another sweep beside it is of the last sweep there.
    write_record(tmp_path / "all" / "other", "sweep.json", id="first")
    write_record(tmp_path / "all" / "other" / "0", "summary.json", sweep={"id": "first", "job": 0})
    (tmp_path / "all" / "other" / "0" / "r.csv").write_text("x")
    found = [str(file.parent.relative_to(tmp_path / "all")) for file in files_named(tmp_path / "all", "r.csv")]
    assert sorted(found) == ["other/0", "sweep/0", "sweep/deep/1", "sweep/mine", "sweep/single"]
    assert "holds 3 jobs of an earlier sweep; left out" in caplog.text
    # Whoever names a job's folder means that job.
    assert files_named(sweep / "2", "r.csv") == [sweep / "2" / "r.csv"]
