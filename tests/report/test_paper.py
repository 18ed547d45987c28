"""The figures of the paper: every number in their tables beside pandas on what the jobs have written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.comparison.simulated import write_job, write_sweep
from valueflow import compare, make_report
from valueflow.run import InputError, write_json


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for model, slope in (("phi-4", 1.0), ("qwen3", 0.4)):
        write_sweep(folder / model, model=model, slope=slope, steered_by="anchor", n_queries=12)
        write_sweep(folder / f"{model}-plain", model=model, intensities=(None,), steered_by="none", n_queries=12)
    rng = np.random.default_rng(1)
    queries = [f"What about {query}?" for query in range(12)]
    for aim, intensities in enumerate(([2, 2], [2, -1])):
        for value in ("benevolence", "power"):
            more: dict[str, Any] = {"values": ["benevolence", "power"], "intensities": intensities}
            place = folder / "pairs" / f"{aim}{value}"
            write_job(
                place,
                rng.normal(intensities[0], 1, 12),
                queries,
                value=value,
                model="phi-4",
                steered_by="multi",
                **more,
            )
    return folder


@pytest.fixture(scope="module")
def figures(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    make_report(sorted(runs.iterdir()), output_dir=folder, figures="paper", per_cell=1)
    return folder / "figures"


def jobs(runs: Path) -> pd.DataFrame:
    """Return what the jobs have written, a row per job, with the mean of their scores by pandas."""
    rows = []
    for file in runs.rglob("summary.json"):
        summary = json.loads(file.read_text())
        scores = pd.read_csv(file.with_name("scores.csv"))[f"{summary['value']}_score"]
        rows.append(summary | {"of_scores": scores.mean(), "count": len(scores)})
    return pd.DataFrame(rows)


@pytest.mark.slow
def test_each_figure_is_there_in_three_formats(figures: Path) -> None:
    names = {"steerability", "value_wise", "two_values"}
    assert {path.name for path in figures.iterdir()} == {
        f"{name}.{suffix}" for name in names for suffix in ("png", "svg", "csv")
    }
    for name in names:
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (figures / f"{name}.svg").read_text()


def test_value_wise_is_what_the_jobs_say(runs: Path, figures: Path) -> None:
    table = pd.read_csv(figures / "value_wise.csv")
    expected = jobs(runs)
    expected = expected[expected["values"].isna()]
    shown = expected["intensity"].map(lambda level: "all" if np.isnan(level) else f"{level:+.0f}" if level else "0")
    expected = expected.assign(intensity=shown)
    keys = ["label", "model", "steered_by", "intensity"]
    merged = table.merge(expected, left_on=["value", "model", "method", "intensity"], right_on=keys, validate="1:1")
    assert len(merged) == len(table) == len(expected) == 24
    for ours, theirs in (("mean_x", "mean_y"), ("low", "mean_low"), ("high", "mean_high"), ("n_x", "count")):
        np.testing.assert_allclose(merged[ours], merged[theirs])
    np.testing.assert_allclose(merged["mean_of_scores_x"], merged["of_scores"])


def test_steerability_is_the_difference_from_unsteered_and_its_interval_that_of_compare(
    runs: Path, figures: Path
) -> None:
    table = pd.read_csv(figures / "steerability.csv")
    assert len(table) == 2 * 2 * 4
    means = jobs(runs)
    found = compare(sorted(runs.iterdir())).table
    found = found[(found["family"] == "intensity") & (found["against"] == "all")]
    for row in table.to_dict("records"):
        own = means[(means["label"] == row["value"]) & (means["model"] == row["model"]) & means["values"].isna()]
        steered = own.loc[own["intensity"] == row["intensity"], "of_scores"].item()
        unsteered = own.loc[own["intensity"].isna(), "of_scores"].item()
        assert [row["mean"], row["unsteered"]] == pytest.approx([steered, unsteered])
        assert row["difference"] == pytest.approx(steered - unsteered)
        shown = f"{row['intensity']:+d}" if row["intensity"] else "0"
        same = found[(found["label"] == row["value"]) & (found["model"] == row["model"])]
        (contrast,) = same[same["compared"] == shown].to_dict("records")
        assert [row["difference"], row["low"], row["high"]] == pytest.approx(
            [contrast["estimate"], contrast["low"], contrast["high"]]
        )


def test_arrows_go_from_unsteered_to_steered_means(runs: Path, figures: Path) -> None:
    table = pd.read_csv(figures / "two_values.csv")
    means = jobs(runs)
    assert table["targets"].tolist() == ["benevolence+2 power+2", "benevolence+2 power-1"]
    assert table[["asked_x", "asked_y"]].to_numpy().tolist() == [[2, 2], [2, -1]]
    plain = means[(means["model"] == "phi-4") & means["intensity"].isna() & means["values"].isna()]
    for row in table.to_dict("records"):
        asked = [row["asked_x"], row["asked_y"]]
        own = means[means["intensities"].map(lambda given, asked=asked: given == asked)]
        for axis, value in (("x", "benevolence"), ("y", "power")):
            assert row[f"value_{axis}"] == value
            assert row[f"from_{axis}"] == pytest.approx(plain.loc[plain["label"] == value, "of_scores"].item())
            assert row[f"to_{axis}"] == pytest.approx(own.loc[own["label"] == value, "of_scores"].item())


def test_several_values_a_training_and_a_survey(tmp_path: Path) -> None:
    values = ["benevolence", "power", "tradition"]
    for number, value in enumerate(values):
        more: dict[str, Any] = {"values": values, "intensities": [2, 0, -2]}
        write_job(tmp_path / "runs" / str(number), [number, number + 1.0], ["a", "b"], value=value, **more)
    metrics = {"overall": {"ranking_accuracy": 0.6}, "standard_errors": {"overall": {"ranking_accuracy": 0.02}}}
    training = {"task": "train", "before": {"overall": {"ranking_accuracy": 0.5}}, "after": metrics}
    write_json(training, tmp_path / "runs" / "train" / "summary.json")
    group = {"n": 10, "default_accuracy": 0.4, "profile_accuracy": 0.5, "difference": 0.1}
    group |= {"difference_low": -0.1, "difference_high": 0.3}
    survey = {
        "task": "opinionqa",
        "preset": "phi4",
        "model": "m",
        "groups": [{"name": "party", **group}],
        "overall": group,
    }
    write_json(survey, tmp_path / "runs" / "survey" / "summary.json")
    make_report(tmp_path / "runs", output_dir=tmp_path / "page", figures="paper")
    figures = tmp_path / "page" / "figures"
    several = pd.read_csv(figures / "several_values.csv")
    assert several[["value", "asked", "mean"]].to_numpy().tolist() == [
        ["benevolence", 2, 0.5],
        ["power", 0, 1.5],
        ["tradition", -2, 2.5],
    ]
    assert several["unsteered"].isna().all()
    hives = pd.read_csv(figures / "hives.csv")
    columns = ["metric", "before", "after", "standard_error"]
    assert hives[columns].to_numpy().tolist() == [["ranking_accuracy", 0.5, 0.6, 0.02]]
    opinionqa = pd.read_csv(figures / "opinionqa.csv").drop(columns=["preset", "model"])
    assert opinionqa.to_numpy().tolist() == [
        ["party", 10, 0.4, 0.5, 0.1, -0.1, 0.3],
        ["overall", 10, 0.4, 0.5, 0.1, -0.1, 0.3],
    ]


def test_runs_that_no_figure_is_about_are_refused(tmp_path: Path) -> None:
    write_json({"task": "convert"}, tmp_path / "summary.json")
    with pytest.raises(InputError, match="figures=paper: .*: no figure can be drawn of these runs"):
        make_report(tmp_path, figures="paper")
