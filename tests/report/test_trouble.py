"""Files that are missing, broken or given twice: the page says so and shows the rest."""

import json
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from tests.comparison.simulated import write_job
from tests.report.judged import write_judged_job
from tests.report.reader import PageReader
from valueflow import make_report
from valueflow.run import InputError, write_json

SAID = tuple(f"response {number}" for number in range(4))


def two_jobs(folder: Path) -> Path:
    for job, intensity in enumerate((-2, 2)):
        write_judged_job(folder / str(job), SAID, intensity=intensity)
    return folder


# ---- Scores that cannot be read


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda file: file.unlink(), "is missing; the responses of this job are not shown"),
        (lambda file: file.write_bytes(b"\xff\xfe\x00\x81"), "not a table as a run writes it"),
        (lambda file: file.write_text("query,response\na,b\n"), "not a table as a run writes it"),
        (lambda file: file.write_text(""), "not a table as a run writes it"),
    ],
)
def test_one_job_whose_scores_cannot_be_read_is_named_and_the_others_are_shown(
    tmp_path: Path, broken: Callable[[Path], object], said: str
) -> None:
    file = two_jobs(tmp_path) / "0" / "scores.csv"
    broken(file)
    report = make_report(tmp_path)
    read = PageReader(report.html)
    assert read.texts["r"] == list(SAID)
    (problem,) = report.summary["problems"]
    assert str(file) in problem
    assert said in problem
    assert problem in unescape(report.html)
    assert "Jobs whose responses could not be read: 1 (the overview says why)." in report.html


def test_a_page_without_any_response_does_not_say_that_all_are_shown_and_links_nothing(tmp_path: Path) -> None:
    (two_jobs(tmp_path) / "0" / "scores.csv").unlink()
    (tmp_path / "1" / "scores.csv").unlink()
    report = make_report(tmp_path)
    assert "No response could be read; the overview says why." in report.html
    assert "All responses are shown" not in report.html
    assert [address for address in PageReader(report.html).addresses if address.endswith("scores.csv")] == []


def test_a_broken_curve_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    write_json({"task": "train", "n": 31}, tmp_path / "summary.json")
    (tmp_path / "curve.csv").write_text('step,loss\n"1')
    html = make_report(tmp_path).html
    assert "curve.csv: not a table as a run writes it" in html
    assert ["n", "31"] in PageReader(html).tables["Figures of its summary"]


# ---- Windows that are elsewhere, or not there


def test_rankings_file_that_is_missing_is_named(tmp_path: Path) -> None:
    (two_jobs(tmp_path) / "0" / "rankings.csv").unlink()
    summary = json.loads((tmp_path / "0" / "summary.json").read_text())
    write_json({**summary, "windows": 8}, tmp_path / "0" / "summary.json")
    report = make_report(tmp_path)
    (problem,) = report.summary["problems"]
    assert problem == f"{tmp_path / '0' / 'rankings.csv'} is missing; windows are not shown"
    rows = PageReader(report.html).tables["All responses with their scores, a file per job"][1:]
    assert [row[-1] for row in rows] == ["none", "rankings.csv"]


@pytest.mark.parametrize("kind", ["parquet", "semicolons", "lists"])
def test_saved_rankings_of_any_kind_have_their_windows_shown(tmp_path: Path, kind: str) -> None:
    folder = write_judged_job(tmp_path / "runs" / "0", SAID)
    expected = PageReader(make_report(folder).html)
    table = pd.read_csv(folder / "rankings.csv", keep_default_na=False)
    (folder / "rankings.csv").unlink()
    saved = tmp_path / ("saved.csv" if kind == "semicolons" else "saved.parquet")
    if kind == "lists":
        table["ranking"] = table["ranking"].map(json.loads)
    if kind == "semicolons":
        table.to_csv(saved, sep=";", index=False)
    else:
        table.to_parquet(saved)
    summary = json.loads((folder / "summary.json").read_text())
    write_json({**summary, "rankings": str(saved)}, folder / "summary.json")
    report = make_report(folder)
    read = PageReader(report.html)
    assert report.summary["problems"] == []
    for window in ("window 1", "window 2"):
        assert read.windows[window] == expected.windows[window]
    ((*_, where),) = read.tables["All responses with their scores, a file per job"][1:]
    assert where == str(saved)


def test_saved_rankings_are_found_where_the_run_was_started(tmp_path: Path) -> None:
    folder = write_judged_job(tmp_path / "runs" / "0", SAID)
    (folder / "rankings.csv").rename(tmp_path / "saved.csv")
    summary = json.loads((folder / "summary.json").read_text())
    write_json({**summary, "rankings": "saved.csv"}, folder / "summary.json")
    assert make_report(folder).summary["problems"] == ["saved.csv is missing; windows are not shown"]
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "hydra.yaml").write_text(f"hydra:\n  runtime:\n    cwd: {tmp_path}\n")
    report = make_report(folder)
    assert report.summary["problems"] == []
    assert "window 1" in PageReader(report.html).windows


def test_windows_of_other_texts_and_responses_without_windows_are_counted(tmp_path: Path) -> None:
    file = write_judged_job(tmp_path / "0", SAID) / "rankings.csv"
    table = pd.read_csv(file, keep_default_na=False)
    table.loc[table["row_idx"] == 1, "target_text"] = "another"
    table = table[~table["row_idx"].isin([2, 3])]
    table.to_csv(file, index=False)
    report = make_report(tmp_path)
    assert report.summary["problems"] == [
        f"{file}: responses whose windows are of other texts (target_text) and are not shown: 1",
        f"{file}: responses without a window there: 2 of the 4 chosen ones",
    ]
    assert all(problem in report.html for problem in report.summary["problems"])


def test_a_regression_has_no_windows_and_no_complaint_about_them(tmp_path: Path) -> None:
    write_job(
        tmp_path / "0", [1.0, 2.0, 3.0], "abc", windows=0, share_failed=0.25, settings={"estimator": "regression"}
    )
    report = make_report(tmp_path)
    assert report.summary["problems"] == []
    header, row = PageReader(report.html).tables["Mean scores with 95% intervals"]
    assert dict(zip(header, row, strict=True))["failed"] == "25.0%"
    assert "with estimator=regression, of the texts that could not be read" in report.html


# ---- Folders


def test_a_folder_given_twice_is_refused(tmp_path: Path) -> None:
    two_jobs(tmp_path / "runs")
    with pytest.raises(InputError, match="runs is given twice; give it once"):
        make_report([tmp_path / "runs", tmp_path / "runs"])
    with pytest.raises(InputError, match=r"0 is given twice, in .*runs and in .*runs/0"):
        make_report([tmp_path / "runs", tmp_path / "runs" / "0"])
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    with pytest.raises(InputError, match="is given twice"):
        make_report([tmp_path / "runs", tmp_path / "link"])


def test_a_report_does_not_replace_the_summary_of_another_run(tmp_path: Path) -> None:
    folder = write_judged_job(tmp_path / "0", SAID)
    before = (folder / "summary.json").read_bytes()
    with pytest.raises(InputError, match=r"0 holds the summary.json of another run, which a report would replace"):
        make_report(folder, output_dir=folder)
    assert (folder / "summary.json").read_bytes() == before
    assert not (folder / "report.html").exists()
    # A report may take the place of an earlier one.
    for _ in range(2):
        make_report(folder, output_dir=tmp_path / "page")
    assert (tmp_path / "page" / "report.html").is_file()


def test_jobs_that_did_not_finish_and_those_of_an_earlier_sweep_are_counted(tmp_path: Path) -> None:
    two_jobs(tmp_path)
    (tmp_path / "2" / ".hydra").mkdir(parents=True)
    write_json({"error": "no", "sweep": {"id": "old", "job": 3}}, tmp_path / "3" / "error.json")
    write_json({"id": "new"}, tmp_path / "sweep.json")
    report = make_report(tmp_path)
    assert (report.summary["runs"], report.summary["unfinished"], report.summary["earlier"]) == (2, 1, 1)
    assert (
        "2 finished runs, none failed. 1 began and did not finish (interrupted, or still running) and are left out: "
        f"{tmp_path / '2'}. 1 of an earlier sweep in the same folder are left out." in report.html
    )


def test_a_report_into_the_reported_folder_does_not_count_itself_as_unfinished(tmp_path: Path) -> None:
    two_jobs(tmp_path / "runs")
    (tmp_path / "runs" / "page" / ".hydra").mkdir(parents=True)
    assert make_report(tmp_path / "runs", output_dir=tmp_path / "runs" / "page").summary["unfinished"] == 0


def test_a_configuration_that_is_not_yaml_is_passed_over(tmp_path: Path) -> None:
    folder = write_judged_job(tmp_path / "0", SAID, judge={"kind": "llm", "model": "some"})
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("a: [1\nb: {")
    assert "Prompts" not in PageReader(make_report(folder).html).tables


def test_a_page_that_is_not_written_names_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_jobs(tmp_path / "runs")
    report = make_report(tmp_path / "runs")
    assert report.summary["file"] is None
    report.show()
    assert "report: not written (" in capsys.readouterr().out
