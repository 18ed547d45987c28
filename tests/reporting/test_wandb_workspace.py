"""The dashboard of a project, laid out without a server: it names only what the runs have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.command import succeeded
from tests.reporting.test_wandb_logger import offline, write_rankings
from tests.reporting.wandb_records import OfflineRun, read_runs
from valueflow.reporting import WandbLogger
from valueflow.run import FinishedJob, InputError, SweepInfo

needs_workspaces = "the extra workspace is not installed"


def finished(overrides: list[str], **summary: Any) -> FinishedJob:
    return FinishedJob(name="0", overrides=tuple(overrides), summary=summary)


def ended(*jobs: FinishedJob, command: str = "evaluate") -> SweepInfo:
    by_folder = {Path(str(number)): job for number, job in enumerate(jobs)}
    return SweepInfo(command=command, folder=Path("."), finished=by_folder, failed=[], exit_code=0)


def spec(sweep: SweepInfo) -> dict[str, Any]:
    """Return what would be sent to the server."""
    pytest.importorskip("wandb_workspaces", reason=needs_workspaces)
    from valueflow.reporting.wandb_workspace import laid_out

    view = laid_out(sweep, entity="me", project="mine")._to_model()
    content: dict[str, Any] = json.loads(view.model_dump_json(by_alias=True))
    return content


def sections(content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = content["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in found if section["panels"]}


def keys(content: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the metrics that panels name: where they are looked for, and their names."""
    text = json.dumps(sections(content))
    named = {tuple(found) for found in re.findall(r'"(summary|config):([^"]+)"', text)}
    bars = {
        ("summary", name) for found in re.findall(r'"metrics": \[([^\]]+)\]', text) for name in json.loads(f"[{found}]")
    }
    return {(kind, name.replace(".value", "", 1) if kind == "config" else name) for kind, name in named | bars}


def test_a_sweep_over_intensities_gets_every_section() -> None:
    summary = {"mean": 1.0, "reliability": {"kendall_tau": 0.6}, "share_failed": 0.1}
    jobs = [
        finished([f"value={value}", f"intensity={dose}", f"judge.encoder={encoder}", "logger=wandb"], **summary)
        for value in ("power", "face")
        for dose in (-2, 2)
        for encoder in ("minilm", "mpnet")
    ]
    content = spec(ended(*jobs))
    assert list(sections(content)) == [
        "Dose-response",
        "Settings and results",
        "Reliability of the judge",
        "Failures",
    ]
    assert keys(content) == {
        ("config", "value"),
        ("config", "intensity"),
        ("config", "options.judge.encoder"),
        ("summary", "mean"),
        ("summary", "reliability.kendall_tau"),
        ("summary", "share_failed"),
    }


def test_what_runs_do_not_have_is_not_named() -> None:
    content = spec(ended(finished(["loss=hmc"], after={"overall": {"ranking_accuracy": 0.7}}), command="train"))
    assert list(sections(content)) == ["Settings and results"]
    assert keys(content) == {("config", "loss"), ("summary", "after.overall.ranking_accuracy")}
    assert sections(spec(ended(finished([], label="x")))) == {}


@pytest.mark.slow
def test_the_records_of_runs_have_all_that_is_named(tmp_path: Path) -> None:
    pytest.importorskip("wandb_workspaces", reason=needs_workspaces)
    rankings = write_rankings(tmp_path / "rankings.csv")
    swept = ("value=power,face", "point=mean,mode", "judge_check=false", "hydra.sweep.dir=swept", "-m")
    asked = (f"rankings={rankings}", "logger.workspace=true")
    done = succeeded(offline("evaluate.py", tmp_path / "work", *swept, *asked))
    assert "logger.workspace=true needs a server; offline nothing is laid out" in done.stdout + done.stderr
    folder = tmp_path / "work" / "swept"
    jobs = {}
    for number in range(4):
        summary = json.loads((folder / str(number) / "summary.json").read_text(encoding="utf-8"))
        overrides = (f"value={summary['value']}", f"point={summary['settings']['point']}")
        jobs[folder / str(number)] = FinishedJob(name=str(number), overrides=overrides, summary=summary)
    sweep = SweepInfo(command="evaluate", folder=folder, finished=jobs, failed=[], exit_code=0)
    named = keys(spec(sweep))
    assert ("config", "point") in named
    for number in range(4):
        (run,) = read_runs(folder / str(number))
        for kind, name in named:
            assert has(run, kind, name), (kind, name)


def has(run: OfflineRun, kind: str, name: str) -> bool:
    return name in (run.config if kind == "config" else run.summary)


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valueflow.reporting.wandb_runs.find_spec", lambda name: None)
    with pytest.raises(InputError, match="package wandb-workspaces is not installed; pip install"):
        WandbLogger(mode="offline", workspace=True)
