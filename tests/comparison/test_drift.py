"""Drift on the values that were not steered to, from folders as `evaluate.py` leaves them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.comparison.simulated import write_job
from valueflow import compare
from valueflow.comparison.price import price_cells

VALUES = ("benevolence", "power", "tradition")
EFFECTS = pd.DataFrame([[4.0, -2.0, 1.0], [-3.0, 5.0, 0.0], [0.5, 0.0, 3.0]], VALUES, VALUES)
"""Points from -2 to 2: value steered to in rows, value measured in columns."""
QUERIES = [f"q{n}" for n in range(8)]


def write_matrix(folder: Path, *, order: tuple[int, ...] = (-2, 0, 2)) -> None:
    noise = np.random.default_rng(1).normal(size=8)
    for steered in VALUES:
        for measured in VALUES:
            for place, intensity in enumerate(order):
                wiggle = 0.1 * np.random.default_rng(intensity + 5).normal(size=8)
                scores = EFFECTS.loc[steered, measured] * intensity / 4 + noise + wiggle - wiggle.mean()
                # Numbered, as a sweep numbers its jobs.
                job = folder / f"{VALUES.index(steered)}{VALUES.index(measured)}{place}"
                more = {"values": [steered], "intensities": [intensity]}
                write_job(job, scores, QUERIES, value=measured, model="m", steered_by="anchor", **more)


@pytest.mark.parametrize("order", [(-2, 0, 2), (2, 0, -2)])
@pytest.mark.slow
def test_the_matrix_has_the_difference_from_the_lowest_to_the_highest_intensity(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    write_matrix(tmp_path / "runs", order=order)
    found = compare(str(tmp_path / "runs"), output_dir=tmp_path / "out")
    matrix = found.drift.pivot(index="steered", columns="measured", values="estimate")
    np.testing.assert_allclose(matrix.loc[list(VALUES), list(VALUES)], EFFECTS, atol=1e-9)
    assert (found.drift["compared"] == 2).all()
    assert (found.drift["against"] == -2).all()
    assert (found.drift["low"] <= found.drift["estimate"]).all()
    assert (found.drift["estimate"] <= found.drift["high"]).all()
    assert found.drift.loc[found.drift["is_target"], "measured"].tolist() == list(VALUES)
    # Each row is that of the comparison, with its interval.
    rows = found.table[(found.table["family"] == "targets") & (found.table["label"] == "power")]
    (one,) = [row for row in rows.to_dict("records") if {row["compared"], row["against"]} == {"power+2", "power-2"}]
    cell = found.drift.query("steered == 'power' and measured == 'power'").iloc[0]
    assert cell["high"] - cell["low"] == pytest.approx(one["high"] - one["low"])
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"drift.csv", "drift.png", "drift.svg"} <= written
    assert len(pd.read_csv(tmp_path / "out" / "drift.csv")) == 9


def test_where_nothing_but_the_own_value_is_scored_there_is_no_matrix(tmp_path: Path) -> None:
    for intensity in (-2, 2):
        write_job(tmp_path / "runs" / str(intensity), np.arange(8.0) + intensity, QUERIES, intensity=intensity)
    found = compare(str(tmp_path / "runs"), output_dir=tmp_path / "out")
    assert found.drift.empty
    assert not list((tmp_path / "out").glob("drift*"))


def test_responses_steered_to_several_values_have_no_matrix(tmp_path: Path) -> None:
    for intensity in (1, 2):
        more = {"values": ["power", "universalism"], "intensities": [2, intensity]}
        for measured in ("universalism", "benevolence"):
            job = tmp_path / "runs" / f"{intensity}{measured}"
            write_job(job, np.arange(8.0) + intensity, QUERIES, value=measured, model="m", steered_by="anchor", **more)
    found = compare(str(tmp_path / "runs"), output_dir=tmp_path / "out")
    assert (found.table["family"] == "targets").any()
    assert found.drift.empty


def test_the_price_of_a_job_is_the_mean_over_its_responses_clustered_by_query() -> None:
    scores = pd.DataFrame(
        {
            "query": ["a", "a", "b", "c"],
            "perplexity": [2.0, 16.0, 4.0, np.nan],
            "repetition": [0.0, 0.5, 0.1, 0.2],
            "refused": [0, 1, 0, 0],
        }
    )
    cells = price_cells(scores)
    assert cells["perplexity"] == pytest.approx((2 * 16 * 4) ** (1 / 3))
    assert cells["perplexity_low"] < cells["perplexity"] < cells["perplexity_high"]
    assert cells["repetition"] == pytest.approx(0.2)
    assert cells["refused"] == 0.25
    assert 0 <= cells["refused_low"] < 0.25 < cells["refused_high"] <= 1
    assert price_cells(scores[["query"]]) == {}


def test_prices_stand_beside_the_means(tmp_path: Path) -> None:
    for intensity in (-2, 2):
        job = write_job(tmp_path / "runs" / str(intensity), np.arange(8.0) + intensity, QUERIES, intensity=intensity)
        table = pd.read_csv(job / "scores.csv")
        table.assign(perplexity=2.0 + abs(intensity + 2), repetition=0.25, refused=0).to_csv(job / "scores.csv")
    means = compare(str(tmp_path / "runs")).means
    assert means["perplexity"].tolist() == pytest.approx([2.0, 6.0])
    assert means["repetition"].tolist() == pytest.approx([0.25, 0.25])
