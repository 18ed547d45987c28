"""`estimator=regression`: scores from utilities, and all that comes after them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from tests import command
from tests.command import refused, succeeded, summary_in
from tests.evaluation.simulated import VALUES, Reads, anchors_table, responses_table
from valueflow import compare, evaluate_responses
from valueflow.evaluation.anchor_utilities import ReadAnchors
from valueflow.evaluation.mean_of_utilities import mean_from_utilities
from valueflow.evaluation.pooling import pool_judges
from valueflow.judge import EmbeddingJudge, PanelJudge
from valueflow.run import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def vidb(tmp_path: Path) -> str:
    anchors_table().to_csv(tmp_path / "anchors.csv", index=False)
    return str(tmp_path / "anchors.csv")


def scored(vidb: str, judge: object = None, center: float = 3.0, **more: Any) -> Any:
    settings = {"responses": responses_table(center), "value": "power", "estimator": "regression", "progress": False}
    return evaluate_responses(**settings | {"judge": judge or Reads(), "vidb": vidb} | more)


def test_a_run_writes_scores_and_what_the_judge_said_of_each_text(vidb: str, tmp_path: Path) -> None:
    judge = Reads()
    found = scored(vidb, judge, output_dir=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "scores.csv",
        "summary.json",
        "text_scores.csv",
    ]
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    figures = [f"power_{name}" for name in ("score", "se", "low", "high")]
    assert list(scores.columns) == [
        *("query", "dataset", "response"),
        *figures,
        *("windows", "windows_failed", "outfit", "misfit", "mean_influence"),
    ]
    assert scores[figures].notna().all(axis=None)
    assert (scores["power_low"] <= scores["power_score"]).all()
    assert (scores["power_score"] <= scores["power_high"]).all()
    assert scores[["power_low", "power_high"]].abs().max(axis=None) <= 10
    assert scores["windows"].sum() == scores["windows_failed"].sum() == 0
    assert scores["outfit"].isna().all()
    assert abs(scores["mean_influence"].sum()) < 1e-9
    texts = pd.read_csv(tmp_path / "out" / "text_scores.csv")
    assert list(texts.columns) == ["text", "theory", "value", "role", "rating", "support", "utility", "failure"]
    assert texts["role"].value_counts().to_dict() == {"anchor": 4 * 14, "response": 40}
    assert texts[texts["role"] == "anchor"].groupby("value").size().to_dict() == dict.fromkeys(VALUES, 14)
    known = texts["rating"].notna()
    assert known.equals(texts["role"] == "anchor")
    assert texts.loc[known, "text"].str.split().str[-1].astype(float).tolist() == texts.loc[known, "rating"].tolist()
    summary = summary_in(tmp_path / "out")
    assert (
        summary["settings"] | {"k": None, "m": None, "sampling": None, "estimator": "regression"}
        == (summary["settings"])
    )
    assert (summary["n"], summary["scored"], summary["seed"], summary["share_failed"]) == (40, 40, None, 0.0)
    assert summary["reliability"]["source"] == "line"
    assert summary["regression"]["all_values"]["anchors"] == 56
    assert judge.read == sorted(found.scores["response"])


def test_with_one_value_the_scores_are_those_of_least_squares(tmp_path: Path) -> None:
    """Score, interval and figures against refits of numpy, the texts left out one by one."""
    anchors = anchors_table(values=["power"], each=20)
    anchors.to_csv(tmp_path / "one.csv", index=False)
    found = scored(str(tmp_path / "one.csv"))
    texts = found.text_scores
    x, y = (texts.loc[texts["role"] == "anchor", column].to_numpy() for column in ("utility", "rating"))
    u = texts.set_index("text").loc[found.scores["response"], "utility"].to_numpy()
    slope, intercept = np.polyfit(x, y, 1)
    np.testing.assert_allclose(found.scores["power_score"], np.clip(intercept + slope * u, -10, 10))
    fits = [np.polyfit(np.delete(x, i), np.delete(y, i), 1) for i in range(20)]
    predicted = np.array([np.polyval(fit, x[i]) for i, fit in enumerate(fits)])
    residuals = y - predicted
    # ceil(.9 * 21) = 19 of 20.
    high = np.sort([np.polyval(fit, u) + abs(r) for fit, r in zip(fits, residuals, strict=True)], axis=0)[18]
    low = np.sort([np.polyval(fit, u) - abs(r) for fit, r in zip(fits, residuals, strict=True)], axis=0)[1]
    np.testing.assert_allclose(found.scores["power_high"], np.minimum(high, 10))
    np.testing.assert_allclose(found.scores["power_low"], np.maximum(low, -10))
    np.testing.assert_allclose(found.scores["power_se"], np.sqrt(np.mean(residuals**2)), rtol=0.02)
    left_out = found.summary["regression"]["value"]
    assert left_out["rmse"] == pytest.approx(np.sqrt(np.mean((np.clip(predicted, -10, 10) - y) ** 2)))
    assert left_out["half_width"] == pytest.approx(np.sort(np.abs(residuals))[18])
    assert left_out["wrong_side"] == pytest.approx(np.mean(predicted * y < 0))
    assert found.summary["regression"]["all_values"] == left_out


def test_a_response_that_is_an_anchor_is_scored_without_it(tmp_path: Path) -> None:
    anchors = anchors_table(values=["power"], each=20)
    copied = anchors["text"][[1, 16]].tolist()
    asked = pd.concat([responses_table(3.0, n=6), pd.DataFrame({"query": "q", "dataset": "d", "response": copied})])
    anchors.to_csv(tmp_path / "all.csv", index=False)
    found = scored(str(tmp_path / "all.csv"), responses=asked).scores.set_index("response")
    for text in copied:
        anchors[anchors["text"] != text].to_csv(tmp_path / "rest.csv", index=False)
        expected = scored(str(tmp_path / "rest.csv"), responses=asked).scores.set_index("response")
        columns = ["power_score", "power_se", "power_low", "power_high"]
        np.testing.assert_allclose(found.loc[text, columns[:1]].astype(float), expected.loc[text, columns[:1]])
        np.testing.assert_allclose(
            found.loc[text, columns[2:]].astype(float), expected.loc[text, columns[2:]].astype(float)
        )
    # The mean knows none of the two ratings.
    anchors[~anchors["text"].isin(copied)].to_csv(tmp_path / "rest.csv", index=False)
    one = scored(str(tmp_path / "all.csv"), responses=asked).summary
    assert one["mean"] == pytest.approx(scored(str(tmp_path / "rest.csv"), responses=asked).summary["mean"])


def test_the_mean_is_not_drawn_to_the_middle_as_scores_are(vidb: str) -> None:
    """Responses at 8, judged by one who misreads texts by as much as intensities vary."""
    found = scored(vidb, Reads(misreading=5.0), responses=responses_table(8.0, n=400)).summary
    assert found["mean_of_scores"] < 6.9
    assert found["mean_low"] < 8 < found["mean_high"]
    errors = found["mean_errors"]
    assert found["mean_se"] == pytest.approx(np.sqrt(sum(error**2 for error in errors.values())))
    assert errors["anchors"] > errors["responses"] > 0


def test_the_interval_of_the_mean_is_fiellers() -> None:
    """With one value and least squares: against the definition, tried on a fine grid."""
    rng = np.random.default_rng(3)
    rating = np.linspace(-9, 9, 24)
    seen = 0.5 + 0.3 * rating + rng.normal(0, 1.2, 24)
    texts = np.array([f"anchor {i}" for i in range(24)], dtype=object)
    anchors = ReadAnchors(texts, seen, rating, np.zeros(24, int), np.arange(24), 0)
    utility = 0.5 + 0.3 * rng.normal(4, 1, 30) + rng.normal(0, 1.2, 30)
    queries = np.arange(30) // 3
    found, line = mean_from_utilities(utility, np.ones(30, bool), queries, anchors)
    (slope, intercept), covariance = np.polyfit(rating, seen, 1, cov=True)
    sums = np.bincount(queries, utility - utility.mean()) / 30
    variance = 10 / 9 * sums @ sums
    grid = np.linspace(-10, 10, 200_001)
    line_variance = covariance[1, 1] + 2 * grid * covariance[0, 1] + grid**2 * covariance[0, 0]
    far = np.abs(utility.mean() - intercept - slope * grid)
    inside = grid[far**2 <= t.isf(0.025, 9) ** 2 * variance + t.isf(0.025, 22) ** 2 * line_variance]
    assert found.mean == pytest.approx((utility.mean() - intercept) / slope)
    assert (found.low, found.high) == pytest.approx((inside[0], inside[-1]), abs=2e-4)
    assert found.responses_se == pytest.approx(np.sqrt(variance) / slope)
    at = np.interp(found.mean, grid, line_variance)
    assert found.anchors_se == pytest.approx(np.sqrt(at) / slope, rel=1e-4)
    assert line.variance_at(-3.0) == pytest.approx(np.interp(-3.0, grid, line_variance) / slope**2, rel=1e-4)
    # A line of 24 anchors of one value is worth 24 anchors, where they are.
    assert (line.n, line.mean, line.sum_of_squares) == pytest.approx((24, 0, (rating**2).sum()), abs=1e-6)
    assert found.clusters == 10
    np.testing.assert_allclose(found.influence, (utility - utility.mean()) / (30 * slope))


@pytest.mark.parametrize("center", [0.0, 7.0])
def test_intervals_of_means_hold_them(center: float) -> None:
    """Judges that misread each value in their own way, twelve anchors a value, none between -4 and 4."""
    held, means = [], []
    ratings = np.concatenate([np.linspace(-9, -4, 6), np.linspace(4, 9, 6)])
    for seed in range(150):
        rng = np.random.default_rng(seed)
        value = np.repeat(np.arange(10), 12)
        own = rng.normal(0, [0.5, 0.1], (10, 2))
        rating = np.tile(ratings, 10)

        def utility(r: np.ndarray, v: Any, rng: Any = rng, own: Any = own) -> np.ndarray:
            return own[v, 0] + (0.4 + own[v, 1]) * r + rng.normal(0, 1.5, len(r))

        texts = np.array([str(i) for i in range(120)], dtype=object)
        anchors = ReadAnchors(texts, utility(rating, value), rating, value, np.arange(120), 2)
        asked = utility(rng.normal(center, 1, 50), 2)
        found, _ = mean_from_utilities(asked, np.ones(50, bool), np.arange(50), anchors)
        held.append(found.low <= center <= found.high)
        means.append(found.mean)
    assert np.mean(held) >= 0.9
    assert np.median(means) == pytest.approx(center, abs=0.4)


def test_where_the_judge_tells_nothing_there_are_no_scores_and_the_mean_may_be_anything(
    vidb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = Reads(slope=0.01, misreading=400.0)
    found = scored(vidb, judge)
    assert found.summary["scored"] == 0
    assert found.summary["judge_check"]["passed"] is False
    assert found.scores["power_score"].isna().all()
    found.show()
    assert "is not shown to order the anchors" in capsys.readouterr().out
    anyway = scored(vidb, judge, judge_check=False)
    assert anyway.scores["power_score"].notna().all()
    assert (anyway.scores["power_high"] - anyway.scores["power_low"]).mean() > 12
    assert (anyway.summary["mean_low"], anyway.summary["mean_high"]) == (-10, 10)


def test_a_judge_that_reads_the_wrong_way_round_is_told_so(vidb: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = scored(vidb, Reads(slope=-0.4))
    found.show()
    assert found.summary["scored"] == 0
    assert "orders the anchors the wrong way round" in capsys.readouterr().out


def test_texts_that_cannot_be_read_are_counted(vidb: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = scored(vidb, Reads(fails_on=", 1"))
    failed = found.scores["response"].str.contains(", 1")
    assert found.scores["power_score"].isna().tolist() == failed.tolist()
    assert found.summary["failures"] == {"no answer": int(failed.sum())}
    assert found.summary["share_failed"] == pytest.approx(failed.mean())
    assert found.summary["scored"] == 40 - failed.sum()
    found.show()
    assert f"{failed.sum()} failed: no answer" in capsys.readouterr().out
    some = scored(vidb, Reads(fails_on="seen at -9.5"))
    assert some.summary["regression"]["all_values"]["anchors"] == 52
    assert some.summary["failures"] == {"no answer": 4}


def test_order_and_copies_of_rows_change_no_score(vidb: str) -> None:
    asked = responses_table(3.0)
    twice = pd.concat([asked, asked.iloc[[3]]], ignore_index=True)
    order = np.random.default_rng(1).permutation(len(twice))
    one, turned = scored(vidb, responses=twice), scored(vidb, responses=twice.iloc[order])
    for figure in ("mean", "mean_low", "mean_high", "mean_se", "population_sd"):
        assert one.summary[figure] == turned.summary[figure]
    expected = one.scores.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(turned.scores.reset_index(drop=True), expected, check_exact=True)
    assert one.scores["power_score"][3] == one.scores["power_score"][40]


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"judge": PanelJudge([EmbeddingJudge(), EmbeddingJudge()])}, ["judge=panel", "judge=embedding"]),
        ({"judge": "llm", "llm": "smollm2"}, ["judge=llm only ranks windows", "judge=embedding or judge=logprob"]),
        ({"sampling": "adaptive"}, ["sampling=adaptive", "draws no windows"]),
        ({"sampling": "random"}, ["sampling=random", "draws no windows"]),
        ({"rankings": "rankings.csv"}, ["rankings=rankings.csv", "use estimator=map"]),
        ({"calibration": "calibration.json"}, ["calibration=calibration.json", "drop calibration"]),
        ({"value": "face"}, ["no anchors of 'face'"]),
    ],
    ids=lambda part: "-".join(part) if isinstance(part, dict) else "",
)
def test_what_does_not_go_with_it_is_one_line(vidb: str, settings: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        scored(vidb, **settings)
    assert "\n" not in str(refusal.value)
    for part in parts:
        assert part in str(refusal.value)


def test_too_few_anchors_are_refused(tmp_path: Path) -> None:
    anchors_table(each=8, values=["power"]).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(InputError, match=r"8 anchors; estimator=regression needs 9"):
        scored(str(tmp_path / "few.csv"))
    anchors_table(each=10, values=["power"]).to_csv(tmp_path / "more.csv", index=False)
    with pytest.raises(InputError, match=r"8 anchors \(10, less 2 that the judge could not read\)"):
        scored(str(tmp_path / "more.csv"), Reads(fails_on="5.375"))


# ---- On the command line, in sweeps and comparisons

ENVIRONMENT = {key: entry for key, entry in os.environ.items() if not key.startswith(("WANDB_", "HYDRA_"))}


def run(folder: Path, *arguments: str) -> command.Finished:
    return command.run(ROOT / "evaluate.py", *arguments, folder=folder, env=ENVIRONMENT)


def test_calibrating_is_refused_on_the_command_line(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    done = run(work, "task=calibrate", "value=power", "estimator=regression")
    refused(done, work, "estimator=regression learns from all anchors in every run", "task=score")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sweep of three intensities, and what it printed."""
    work = tmp_path_factory.mktemp("work")
    (work / "configs" / "judge").mkdir(parents=True)
    (work / "configs" / "judge" / "reads.yaml").write_text("_target_: tests.evaluation.simulated.Reads\n")
    anchors_table().to_csv(work / "anchors.csv", index=False)
    parts = [
        responses_table(center, seed=number).assign(intensity=intensity)
        for number, (intensity, center) in enumerate({-2: -5.0, 0: 0.0, 2: 5.0}.items())
    ]
    pd.concat(parts).to_csv(work / "responses.csv", index=False)
    files = ("vidb=anchors.csv", "responses=responses.csv", "--config-dir", "configs")
    arguments = ("value=power", "intensity=-2,0,2", "estimator=regression", "judge=reads", *files)
    done = succeeded(run(work, *arguments, "hydra.sweep.dir=sweep", "-m"))
    return work / "sweep", done.stdout


@pytest.mark.slow
def test_a_sweep_has_a_table_and_a_picture(sweep: tuple[Path, str]) -> None:
    folder, shown = sweep
    table = pd.read_csv(folder / "sweep.csv").set_index("intensity")
    assert table["mean"].is_monotonic_increasing
    for intensity, truth in ((-2, -5), (0, 0), (2, 5)):
        assert table["mean_low"][intensity] < truth < table["mean_high"][intensity]
    assert (table["regression.all_values.anchors"] == 56).all()
    assert (folder / "dose_response.png").read_bytes().startswith(b"\x89PNG")
    assert "56 anchors, each left out: Spearman" in shown
    assert shown.count("each left out") == 1


@pytest.mark.slow
def test_judges_are_not_pooled_over_jobs_without_rankings(sweep: tuple[Path, str]) -> None:
    jobs = {sweep[0] / str(job): summary_in(sweep[0] / str(job)) for job in range(3)}
    before = {file: file.read_bytes() for file in sweep[0].rglob("*.[cj]s*")}
    assert pool_judges(jobs) == jobs
    assert {file: file.read_bytes() for file in sweep[0].rglob("*.[cj]s*")} == before
    assert "pooled_jobs" not in jobs[sweep[0] / "0"]


def test_its_jobs_can_be_compared_and_what_they_share_cancels(sweep: tuple[Path, str]) -> None:
    summaries = [summary_in(sweep[0] / str(job)) for job in range(3)]
    table = compare(sweep[0]).table
    differences = table[table["family"] != "slope"].set_index("intensity")
    assert len(differences) >= 2
    top = table[(table["family"] != "slope") & (table["estimate"] > 0)].iloc[0]
    errors = [summaries[job]["mean_errors"] for job in (1, 2)]
    means = [summaries[job]["mean"] for job in (1, 2)]
    line = summaries[0]["anchors"]
    assert line == summaries[2]["anchors"]
    shared = line["misreading_sd"] ** 2 * (means[1] - means[0]) ** 2 / line["sum_of_squares"]
    assert top["estimate"] == pytest.approx(means[1] - means[0])
    whole = errors[0]["responses"] ** 2 + errors[1]["responses"] ** 2 + shared
    # Queries are shared, and their errors independent: the variance is about that of the sum.
    assert top["se"] ** 2 == pytest.approx(whole, rel=0.6)
    assert top["se"] ** 2 < errors[0]["anchors"] ** 2 + errors[1]["anchors"] ** 2 + whole


@pytest.mark.slow
def test_the_demo_rises_with_the_steering_by_the_default_judge_too(tmp_path: Path) -> None:
    done = succeeded(run(tmp_path, "value=benevolence", "intensity=-2,0,2", "estimator=regression", "-m"))
    (folder,) = (tmp_path / "multirun").glob("*/*")
    table = pd.read_csv(folder / "sweep.csv")
    assert table["mean"].is_monotonic_increasing
    assert (table["scored"] == table["n"]).all()
    texts = pd.read_csv(folder / "0" / "text_scores.csv", keep_default_na=False)
    assert (texts["role"] == "anchor").sum() == 768
    assert json.loads((folder / "0" / "summary.json").read_text())["judge"]["anchors"] == 24
    assert "each left out" in done.stdout
