"""The end of a sweep, on folders as its jobs leave them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from valueflow.run import (
    RunInfo,
    RunLogger,
    RunRecord,
    Sweep,
    SweepInfo,
    SweepJob,
    SweepView,
    distinguishing_settings,
    end_sweep,
)


def show(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    print(title, [summary["name"] for summary in summaries], list(others))


def breaks(*_: object) -> None:
    raise RuntimeError("no space left")


class Recorder(RunLogger):
    def start(self, run: RunInfo) -> RunRecord:
        return RunRecord()

    def end_sweep(self, sweep: SweepInfo) -> Mapping[str, Any]:
        jobs = [finished.name for finished in sweep.finished.values()]
        return {"recorded": {"jobs": jobs, "exit_code": sweep.exit_code}}


NAMES = (SweepView(show, ("k",)),)


def job(
    sweep: Path,
    number: int,
    overrides: list[str],
    folder: str | None = None,
    sweep_id: str = "now",
    **records: dict[str, object],
) -> SweepJob:
    """Make a job's folder with the records that it leaves."""
    own = sweep / (str(number) if folder is None else folder)
    own.mkdir(parents=True, exist_ok=True)
    for name, record in records.items():
        (own / f"{name}.json").write_text(json.dumps({**record, "sweep": {"id": sweep_id, "job": number}}))
    return SweepJob(number, tuple(overrides), own)


def test_finished_jobs_become_a_table_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [
        job(tmp_path, number, [f"k={number}", f"m={number}"], summary={"name": str(number), "deep": {"er": number}})
        for number in (0, 2, 10)
    ]
    (tmp_path / "not_a_job").mkdir()
    assert end_sweep(NAMES, Sweep(tmp_path, "now", jobs)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "3 of 3 jobs ['0', '2', '10'] ['m=0', 'm=2', 'm=10']",
        f"table: {tmp_path / 'sweep.csv'}, and one folder per job beside it",
    ]
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert list(table.columns) == ["folder", "name", "deep.er"]
    assert table["deep.er"].tolist() == [0, 2, 10]


def test_jobs_that_left_something_undone_count_and_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [
        job(tmp_path, 0, ["k=0"], summary={"name": "a"}),
        job(tmp_path, 1, ["k=1"], summary={"name": "b", "left_undone": "push_to_hub=me/b: no such place"}),
        job(tmp_path, 2, ["k=2"], error={"error": "k is too small", "input": True}),
    ]
    assert end_sweep(NAMES, Sweep(tmp_path, "now", jobs[:2])) == 1
    assert end_sweep(NAMES, Sweep(tmp_path, "now", jobs)) == 1
    shown = capsys.readouterr().out.splitlines()
    assert "2 of 3 jobs ['a', 'b'] ['', '']" in shown
    assert shown[-1] == "left undone: job 1 (k=1): push_to_hub=me/b: no such place"
    assert pd.read_csv(tmp_path / "sweep.csv")["name"].tolist() == ["a", "b"]


def test_failed_jobs_are_named_and_decide_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [
        job(tmp_path, 0, [], summary={"name": "a"}),
        job(tmp_path, 1, ["k=1", "m=[0]"], error={"error": "k is too [small]", "input": True}),
    ]
    assert end_sweep(NAMES, Sweep(tmp_path, "now", jobs)) == 2
    assert "failed: job 1 (k=1 m=[0]): k is too [small]" in capsys.readouterr().out.splitlines()
    jobs.append(job(tmp_path, 2, ["k=2"]))
    assert end_sweep(NAMES, Sweep(tmp_path, "now", jobs)) == 1
    assert "failed: job 2 (k=2): did not finish" in capsys.readouterr().out.splitlines()


def test_a_sweep_without_a_finished_job_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.csv").write_text("an earlier sweep's")
    jobs = [job(tmp_path, 0, ["k=1"], error={"error": "k is too small", "input": True})]
    assert end_sweep((SweepView(breaks, ()),), Sweep(tmp_path, "now", jobs)) == 2
    assert capsys.readouterr().out == "failed: job 0 (k=1): k is too small\n"
    assert not (tmp_path / "sweep.csv").exists()


def test_an_end_that_breaks_is_no_success_and_still_names_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [
        job(tmp_path, 0, [], summary={"name": "a"}),
        job(tmp_path, 1, ["k=1"], error={"error": "k is too small", "input": True}),
    ]
    assert end_sweep((SweepView(breaks, ()),), Sweep(tmp_path, "now", jobs)) == 1
    assert "failed: job 1" in capsys.readouterr().out
    assert "no space left" in caplog.text


def test_a_sweep_whose_page_is_interrupted_is_still_recorded(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> Path | None:
        raise KeyboardInterrupt

    jobs = [job(tmp_path, 0, [], summary={"name": "a"})]
    logger = {"mine": {"_target_": "tests.run.test_sweep.Recorder"}}
    with pytest.raises(KeyboardInterrupt):
        end_sweep(NAMES, Sweep(tmp_path, "now", jobs, logger=logger), report=interrupted)
    record = json.loads((tmp_path / "sweep.json").read_text())
    assert record["loggers"] == {"recorded": {"jobs": ["0"], "exit_code": 1}}


def test_each_kind_of_job_has_its_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [
        job(tmp_path, 0, [], summary={"name": "a", "task": "steering"}),
        job(tmp_path, 1, [], summary={"name": "b", "task": "survey"}),
    ]

    def add(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
        return [f"{folder.name} {[folder.name for folder in jobs]} {list(others)}"]

    views = (
        SweepView(show, (), add, kind="survey"),
        SweepView(show, (), kind="steering"),
        SweepView(breaks, (), kind="?"),
    )
    assert end_sweep(views, Sweep(tmp_path, "now", jobs)) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "2 of 2 jobs ['b'] ['']",
        f"{tmp_path.name} ['1'] ['']",
        "2 of 2 jobs ['a'] ['']",
    ]


@pytest.mark.parametrize("nested", ["value=power/0", "a/b/c/0", "0"])
def test_jobs_count_wherever_their_folders_are(tmp_path: Path, nested: str, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = job(tmp_path / "elsewhere", 1, ["k=2"], summary={"name": "b"})
    jobs = [job(tmp_path / "sweep", 0, ["k=1"], folder=nested, summary={"name": "a"}), elsewhere]
    assert end_sweep(NAMES, Sweep(tmp_path / "sweep", "now", jobs)) == 0
    assert "2 of 2 jobs ['a', 'b']" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "sweep" / "sweep.csv", dtype=str)
    assert table["folder"].tolist() == [nested, str(elsewhere.folder)]


def test_jobs_that_the_launcher_did_not_return_are_found_by_their_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, 0, [], folder="deep/er/0", summary={"name": "a"})
    job(tmp_path, 1, [], error={"error": "k is too small", "input": True})
    job(tmp_path, 2, [], sweep_id="earlier", summary={"name": "old"})  # a killed worker never came to it
    jobs = [SweepJob(number, (f"k={number}",)) for number in range(4)]
    assert end_sweep(NAMES, Sweep(tmp_path, "now", jobs)) == 1
    shown = capsys.readouterr().out
    assert "1 of 4 jobs ['a']" in shown
    assert "failed: job 1 (k=1): k is too small" in shown
    assert "failed: job 2 (k=2): did not finish" in shown
    assert "failed: job 3 (k=3): did not finish" in shown


def test_a_folder_that_two_jobs_share_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job(tmp_path, number, [f"k={number}"], folder="same", summary={"name": str(number)}) for number in (0, 1)]
    assert end_sweep(NAMES, Sweep(tmp_path, "now", jobs)) == 2
    shown = capsys.readouterr().out
    assert "1 of 2 jobs ['1']" in shown
    assert f"failed: job same (k=0): its folder {tmp_path / 'same'} is job 1's, too" in shown


def test_what_the_end_of_an_earlier_sweep_wrote_goes_and_nothing_else(tmp_path: Path) -> None:
    def add(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
        for summary in jobs.values():
            (folder / f"{summary['name']}.csv").write_text("x")
        return []

    (tmp_path / "mine.csv").write_text("a user's")
    views = (SweepView(show, (), add, files=("*.csv",)),)
    first = [job(tmp_path, number, [], summary={"name": name}) for number, name in enumerate("ab")]
    assert end_sweep(views, Sweep(tmp_path, "now", first)) == 0
    second = [job(tmp_path, 0, [], sweep_id="later", summary={"name": "c"})]
    assert end_sweep(views, Sweep(tmp_path, "later", second)) == 0
    assert sorted(file.name for file in tmp_path.glob("*.csv")) == ["c.csv", "mine.csv", "sweep.csv"]


def test_settings_that_all_jobs_share_or_that_have_columns_are_not_repeated() -> None:
    jobs = [
        ["value=power", "k=4", "steered_by=prompt"],
        ["value=power", "k=4", "steered_by=none"],
        ["value=face", "k=4", "steered_by=none", "m=2"],
    ]
    own = distinguishing_settings(jobs, ["value"])
    assert own == ["steered_by=prompt", "steered_by=none", "steered_by=none m=2"]
    assert distinguishing_settings(jobs, ["value", "steered_by"]) == ["", "", "m=2"]
    assert distinguishing_settings(jobs, [])[0] == "value=power steered_by=prompt"
    assert distinguishing_settings(jobs[:1], []) == [""]
