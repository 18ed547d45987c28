"""A panel's run from responses to files and screen, and scored again from its file."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from tests.command import run as run_app
from tests.command import succeeded
from valueflow import evaluate_responses
from valueflow.evaluation.display import show_evaluation
from valueflow.judge import Criterion, PanelJudge, Progress, RankedWindows, Windows
from valueflow.plackett_luce import simulate_rankings

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class NoisyJudge:
    """Knows every anchor's intensity, reads a response's from its last word, and errs as its slope says."""

    rankings_per_window: ClassVar[int] = 1

    model: str
    slope: float
    faults: Mapping[int, str] = field(default_factory=dict)
    report: Mapping[str, object] = field(default_factory=dict)

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        known = np.array([float(text.split()[-1]) for text in windows.response_texts])
        anchors = windows.anchor_set.intensities[windows.anchors]
        utilities = np.column_stack([known[windows.responses], anchors])
        orders = simulate_rankings(utilities, self.slope, np.random.default_rng(len(self.model)))
        failures = np.full(len(windows), "", dtype=object)
        for window, fault in self.faults.items():
            failures[window] = fault
        progress(len(windows), len(self.faults))
        return windows.ranked(orders, failures, report=self.report)

    def describe(self) -> dict[str, object]:
        return {"kind": "noisy", "model": self.model}


STRENGTHS = np.linspace(-9, 9, 30)
RESPONSES = pd.DataFrame(
    {
        "query": [f"query {number}" for number in range(30)],
        "dataset": "d",
        "response": [f"as strong as {strength:.2f}" for strength in STRENGTHS],
    }
)
ASKED = {"calls": 1200, "cache_hits": 300, "prompt_tokens": 412_000, "completion_tokens": 24_000}
FAULTS = {0: "no answer", 1: "no answer", 5: "said \ud800\x1b[31m [/b]"}
PANEL = PanelJudge([NoisyJudge("org/sharp", 2.0, report=ASKED), NoisyJudge("dull", 0.3, FAULTS, ASKED)])


def run(**settings: Any) -> Any:
    return evaluate_responses(theory="pvq", value="power", progress=False, **{"m": 4, **settings})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("panel")
    run(responses=RESPONSES, judge=PANEL, output_dir=path)
    return path


def summary_in(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return content


def assert_same_figures(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """The same keys, texts and lists, and numbers to 1e-6."""
    assert one.keys() == other.keys()
    for key, figure in one.items():
        assert other[key] == (pytest.approx(figure, abs=1e-6) if isinstance(figure, float) else figure), key


def test_tables_count_rankings(folder: Path) -> None:
    rankings = pd.read_csv(folder / "rankings.csv", keep_default_na=False)
    assert rankings["judge"].value_counts().to_dict() == {"noisy sharp": 120, "noisy dull": 120}
    scores = pd.read_csv(folder / "scores.csv")
    assert (scores["windows"] == 8).all()
    assert scores["windows_failed"].sum() == 3
    assert scores["power_score"].corr(pd.Series(np.linspace(-9, 9, 30))) > 0.95


def test_the_summary_tells_of_each_judge_and_of_their_agreement(folder: Path) -> None:
    summary = summary_in(folder)
    sharp, dull = summary["judges"]
    assert list(sharp) == [
        "name",
        "windows",
        "windows_failed",
        *summary["reliability"],
        "failures",
    ]
    assert {"kendall_tau", "order_z", "passed", "discrimination", "discrimination_se", "source"} <= sharp.keys()
    assert {"misreading_sd", "position_effect", "first_places", "anchors_covered"} <= sharp.keys()
    assert (sharp["passed"], dull["passed"], summary["reliability"]["passed"]) == (True, True, True)
    assert summary["judge_check"] == {"passed": True, "z": None, "scored": True, "judges_failed": []}
    assert (sharp["name"], sharp["windows"], sharp["windows_failed"], sharp["failures"]) == ("noisy sharp", 120, 0, {})
    assert sharp["discrimination"] == pytest.approx(2, abs=3.5 * sharp["discrimination_se"])
    assert dull["discrimination"] == pytest.approx(0.3, abs=3.5 * dull["discrimination_se"])
    assert dull["failures"] == {"no answer": 2, r"said \ud800\x1b[31m [/b]": 1}
    assert summary["failures"] == dull["failures"]
    assert dull["kendall_tau"] < summary["reliability"]["kendall_tau"] < sharp["kendall_tau"]
    assert summary["reliability"]["discrimination"] is None
    assert summary["reliability"]["source"] == "one per judge"
    assert 0.5 < summary["agreement"]["kendall_w"] < 1
    assert (summary["agreement"]["windows"], summary["agreement"]["windows_left_out"]) == (117, 3)
    assert (summary["windows"], summary["windows_failed"]) == (240, 3)
    assert summary["judge"]["kind"] == "panel"
    assert summary["judge"]["members"] == [
        {"kind": "noisy", "model": "org/sharp"},
        {"kind": "noisy", "model": "dull"},
    ]
    sums = {"calls": 2400, "cache_hits": 600, "prompt_tokens": 824_000, "completion_tokens": 48_000}
    assert summary["judging"] == {**sums, "members": {"noisy sharp": ASKED, "noisy dull": ASKED}}


def test_the_saved_rankings_of_a_panel_score_the_same_again(folder: Path, tmp_path: Path) -> None:
    run(rankings=str(folder / "rankings.csv"), output_dir=tmp_path)
    first, again = (pd.read_csv(path / "scores.csv") for path in (folder, tmp_path))
    figures = [f"power_{name}" for name in ("score", "se", "low", "high")]
    np.testing.assert_allclose(again[figures], first[figures], rtol=0, atol=1e-9)
    assert again["windows_failed"].tolist() == first["windows_failed"].tolist()
    one, two = summary_in(folder), summary_in(tmp_path)
    assert two["agreement"] == pytest.approx(one["agreement"])
    assert_same_figures(two["reliability"], one["reliability"])
    for before, after in zip(one["judges"], two["judges"], strict=True):
        assert_same_figures(after, before)
    for figure in ("mean", "mean_low", "mean_high", "mean_se", "population_sd", "mean_of_scores"):
        assert two[figure] == pytest.approx(one[figure], abs=1e-9)
    assert two["judging"] == {}


def test_a_lone_judges_run_tells_of_no_panel() -> None:
    result = run(responses=RESPONSES, judge=NoisyJudge("sharp", 2.0))
    assert not {"judges", "agreement"} & result.summary.keys()
    assert result.summary["judging"] == {}
    assert "judge" not in result.rankings
    assert result.summary["reliability"]["discrimination"] > 1


def test_the_screen_tells_of_judges_failures_and_costs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = summary_in(folder)
    show_evaluation([summary])
    lines = capsys.readouterr().out.splitlines()
    sharp, dull = summary["judges"]
    below = lines[next(number for number, line in enumerate(lines) if line.startswith("noisy")) :]
    assert below == [
        f"noisy sharp  tau {sharp['kendall_tau']:.2f}  beta {sharp['discrimination']:.2f}  failed 0 of 120",
        f"noisy dull   tau {dull['kendall_tau']:.2f}  beta {dull['discrimination']:.2f}  failed 3 of 120",
        f"agreement (Kendall's W) {summary['agreement']['kendall_w']:.2f}",
        "judge calls: 2,400 asked, 600 from the cache; 824,000 prompt and 48,000 completion tokens",
        "2 failed: no answer",
        r"1 failed: said \ud800\x1b[31m [/b]",
    ]


def test_many_runs_are_summed_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = summary_in(folder)
    reasons = {f"reason {number}": number for number in range(1, 8)}
    show_evaluation([summary, {**summary, "failures": reasons, "judging": {}}, {**summary, "judging": ASKED}])
    shown = capsys.readouterr().out
    assert "judge calls: 3,600 asked, 900 from the cache; 1,236,000 prompt and 72,000 completion tokens" in shown
    failed = [line for line in shown.splitlines() if " failed" in line and "┃" not in line]
    assert failed == [
        *(f"{number} failed: reason {number}" for number in (7, 6, 5)),
        # Of equals the first that was met: two runs with two each.
        "4 failed: no answer",
        "4 failed: reason 4",
        f"{3 + 2 + 1 + 2} failed for other reasons; see summary.json",
    ]
    assert "tau" not in shown.replace("judge tau", "")  # judges are told of one run at a time


def test_a_run_that_cost_nothing_and_failed_nowhere_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run(responses=RESPONSES, judge=NoisyJudge("sharp", 2.0)).show()
    shown = capsys.readouterr().out
    assert "calls" not in shown
    assert "failed:" not in shown
    assert "agreement" not in shown


@pytest.mark.slow
def test_a_panel_is_chosen_on_the_command_line(tmp_path: Path) -> None:
    members = "judge.members=[embedding, {judge: embedding, judge.batch_size: 8}]"
    done = succeeded(
        run_app(
            *(ROOT / "evaluate.py", "value=power", "intensity=2", "judge=panel", members),
            folder=tmp_path,
            env=os.environ,
        )
    )
    (folder,) = (tmp_path / "outputs").glob("*/*")
    summary = summary_in(folder)
    assert [record["name"] for record in summary["judges"]] == ["embedding minilm", "embedding minilm 2"]
    assert summary["agreement"]["kendall_w"] == 1  # a batch size changes no ranking
    assert "agreement (Kendall's W) 1.00" in done.stdout


@pytest.mark.slow
def test_ascent_that_will_not_converge_is_told_before_anything_is_judged(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []

    @dataclass(frozen=True)
    class WatchingJudge(NoisyJudge):
        def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
            told.append(sum("will not converge" in record.message for record in caplog.records))
            return super().rank(criterion, windows, progress)

    judge = WatchingJudge("watched", 1.0)
    settings = {"theory": "pvq", "value": "power", "vidb": "demo", "judge": judge, "progress": False}
    few = evaluate_responses(RESPONSES, **settings, solver="ascent")
    assert "give iter=1067, or solver=newton" in caplog.text
    many = evaluate_responses(RESPONSES, **settings, solver="ascent", iter=1067)
    evaluate_responses(RESPONSES, **settings)
    assert told == [1, 1, 1]
    # It is as was said.
    assert few.summary["not_converged"] > 25
    assert many.summary["not_converged"] < 15
