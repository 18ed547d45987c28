"""The folder of a run that could not begin is taken away; nothing else is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from valueflow.run.folders import RunFolder


@pytest.fixture(autouse=True)
def _forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    RunFolder._folder = None


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
