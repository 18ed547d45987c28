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
    refused(run(work, phi.parent / "empty"), work, "holds no finished run: there is no summary.json")


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_shown(work: Path, phi: Path) -> None:
    scores = phi / "0" / "scores.csv"
    shutil.copy(scores.with_name("summary.json"), scores)
    done = succeeded(run(work, phi, "hydra.run.dir=page"))
    (problem,) = summary_in(work / "page")["problems"]
    assert str(scores) in problem
    assert "1 problem, listed on the page" in done.stdout


def _rankings(work: Path) -> Path:
    file = work.parent / "rankings.csv"
    file.write_text(
        "row_idx,target_text,ranking,db_text_1,db_score_1,db_text_2,db_score_2\n"
        '0,one,"[2, 1, 3]",a,5,b,-5\n1,two,"[1, 2, 3]",a,5,b,-5\n'
    )
    return file


def _evaluate(work: Path, *arguments: object) -> Finished:
    given = ("value=power", f"rankings={_rankings(work)}", "judge_check=false", *map(str, arguments))
    return run_app(ROOT / "evaluate.py", *given, folder=work, env=environment(work.parent / "cache"))


def test_report_true_makes_the_page_of_a_run_in_its_folder(work: Path) -> None:
    done = succeeded(_evaluate(work, "hydra.run.dir=out", "report=true"))
    assert f"report: {work / 'out' / 'report.html'}" in done.stdout
    html = (work / "out" / "report.html").read_text(encoding="utf-8")
    assert "All responses are shown." in html
    assert "report=" not in summary_in(work / "out")["job"]
    succeeded(_evaluate(work, "hydra.run.dir=plain"))
    assert not (work / "plain" / "report.html").exists()
    (work.parent / "empty").mkdir()
    refused(_evaluate(work.parent / "empty", "report=perhaps"), work.parent / "empty", "report=perhaps: give true")


@pytest.mark.slow
def test_report_true_makes_one_page_of_a_sweep(work: Path) -> None:
    done = succeeded(_evaluate(work, "hydra.sweep.dir=sweep", "iter=40,50", "report=true", "-m"))
    assert "report: sweep/report.html" in done.stdout
    assert [path.parent.name for path in work.rglob("report.html")] == ["sweep"]
    assert summary_in(work / "sweep" / "0")["job"] == summary_in(work / "sweep" / "1")["job"].replace(
        "iter=50", "iter=40"
    )
    html = (work / "sweep" / "report.html").read_text(encoding="utf-8")
    assert "2 finished runs, none failed." in html
