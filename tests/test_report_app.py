"""`python report.py` as a person runs it."""

import shutil
from pathlib import Path

import pytest

from tests.command import Finished, environment, lists_all, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.comparison.simulated import write_sweep

ROOT = Path(__file__).parents[1]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def phi(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "runs" / "phi", model="phi-4", values=("power",))


def run(work: Path, *arguments: object) -> Finished:
    env = environment(work.parent / "cache")
    return run_app(ROOT / "report.py", *map(str, arguments), folder=work, env=env)


def test_help_names_every_key_and_says_where_folders_go(work: Path) -> None:
    shown = succeeded(run(work, "--help")).stdout
    lists_all(shown, "report")
    assert "python report.py runs/phi4 runs/qwen3" in shown


def test_a_folder_as_a_plain_argument(work: Path, phi: Path) -> None:
    done = succeeded(run(work, phi))
    (folder,) = (work / "outputs").glob("*/*")
    names = {".hydra", "report.log", "report.html", "report_comparison.csv", "summary.json"}
    assert {path.name for path in folder.iterdir()} == names
    summary = summary_in(folder)
    assert (summary["runs"], summary["failed"]) == (5, 0)
    assert summary["responses"] == {"all": 100, "shown": 50}
    assert summary["bytes"] == (folder / "report.html").stat().st_size
    assert done.stdout.startswith("report: ")
    assert str(folder.relative_to(work)) in done.stdout
    assert "5 runs, 0 failed jobs, 50 of 100 responses" in done.stdout


def test_what_cannot_be_reported_is_refused_in_one_line(work: Path, phi: Path) -> None:
    misspelled = phi.with_name("phy")
    refused(run(work, misspelled), work, "does not exist; did you mean 'phi'?")
    refused(run(work, phi, phi / "0"), work, "is given twice, in", str(phi))
    refused(run(work, phi, "per_cell=0"), work, "per_cell=0")
    refused(run(work, phi, "megabytes=0"), work, "megabytes=0")
    (phi.parent / "empty").mkdir()
    refused(run(work, phi.parent / "empty"), work, "holds no finished run: no summary.json there")
    scores = phi / "0" / "scores.csv"
    shutil.copy(scores.with_name("summary.json"), scores)
    refused(run(work, phi), work, str(scores), "run it again")
