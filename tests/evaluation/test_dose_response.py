"""The dose-response picture, drawn for real and looked at as a file."""

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from valueflow.evaluation.dose_response import draw_dose_response

INTENSITIES = (-2, -1, 0, 1, 2)


def results(theories: dict[str, int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means and points of so many values a theory."""
    rows = [
        {"theory": theory, "label": f"{theory} value {number}", "intensity": intensity, "mean": 2.0 * intensity}
        for theory, count in theories.items()
        for number in range(count)
        for intensity in INTENSITIES
    ]
    means = pd.DataFrame(rows)
    means["mean_low"], means["mean_high"] = means["mean"] - 1, means["mean"] + 0.5
    points = means.assign(score=means["mean"] + 0.1)[["theory", "label", "intensity", "score"]]
    return means, points


def texts_of(svg: Path) -> set[str]:
    """Matplotlib draws letters as shapes and leaves what they spell in comments."""
    return {text.strip() for text in re.findall(r"<!--(.*?)-->", svg.read_text(encoding="utf-8"), flags=re.DOTALL)}


@pytest.mark.parametrize("theories", [{"pvq": 1}, {"pvq": 12}, {"pvq": 2, "mft": 1}, {"a": 1, "b": 8, "c": 3, "d": 1}])
def test_both_formats_are_written_with_a_panel_a_theory_and_a_line_a_value(
    tmp_path: Path, theories: dict[str, int]
) -> None:
    means, points = results(theories)
    files = draw_dose_response(means, points, tmp_path / "dose_response")
    assert files == [tmp_path / "dose_response.png", tmp_path / "dose_response.svg"]
    assert sorted(tmp_path.iterdir()) == files
    png = files[0].read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert width > 600
    assert height > 400
    tree = ElementTree.parse(files[1]).getroot()
    panels = [node for node in tree.iter() if re.fullmatch(r"axes_\d+", node.get("id", ""))]
    assert len(panels) == len(theories)
    shown = texts_of(files[1])
    assert set(theories) <= shown
    assert set(means["label"]) <= shown
    assert "steering intensity" in shown


@pytest.mark.slow
def test_the_same_results_give_the_same_files(tmp_path: Path) -> None:
    means, points = results({"pvq": 3, "mft": 2})
    for name in ("one", "two"):
        draw_dose_response(means, points, tmp_path / name)
    for suffix in (".svg", ".png"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_other_results_give_another_picture(tmp_path: Path) -> None:
    means, points = results({"pvq": 1})
    draw_dose_response(means, points, tmp_path / "one")
    draw_dose_response(means.assign(mean=means["mean"] + 0.25), points, tmp_path / "two")
    assert (tmp_path / "one.svg").read_bytes() != (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize("missing", [["mean_low", "mean_high"], ["mean", "mean_low", "mean_high"]])
@pytest.mark.parametrize("rows", [[1], range(5)])
def test_means_that_are_missing_are_left_out(tmp_path: Path, missing: list[str], rows: list[int]) -> None:
    means, points = results({"pvq": 1})
    means.loc[list(rows), missing] = np.nan
    for path in draw_dose_response(means, points.assign(score=np.nan), tmp_path / "gaps"):
        assert path.stat().st_size > 1000


def test_a_value_that_is_hostile_to_markup_is_drawn_as_it_is_written(tmp_path: Path) -> None:
    means, points = results({"pvq": 1})
    label = "cost $5 & <b>$\\frac{1}$"
    _, svg = draw_dose_response(means.assign(label=label), points.assign(label=label), tmp_path / "odd")
    ElementTree.parse(svg)
