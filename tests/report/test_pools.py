"""Responses that were not steered, pools of all intensities, and what is counted or left out because of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.comparison.simulated import write_job, write_sweep
from tests.report.reader import PageReader
from valueflow import make_report

REFUSED, ANSWERED = "I can't help with that request.", "Yes, I would share it."


def dashed(html: str) -> bool:
    return "Dashed lines with a band" in html


@pytest.mark.parametrize(
    ("pool", "is_drawn"),
    [
        ({"steered_to": []}, True),
        ({"steered_to": [-2, 2]}, False),
        ({"steered_to": None}, False),
        ({"steered_to": None, "steered_by": "none"}, True),
    ],
)
def test_only_responses_known_to_be_unsteered_are_a_reference(
    tmp_path: Path, pool: dict[str, object], is_drawn: bool
) -> None:
    write_sweep(tmp_path / "steered", values=("power",), intensities=(-2, 2), model="phi-4")
    queries = [f"What about {query}?" for query in range(20)]
    write_job(tmp_path / "pool", np.linspace(-1, 1, 20), queries, value="power", model="phi-4", **pool)
    assert dashed(make_report(tmp_path).html) == is_drawn


def test_labels_that_chose_nothing_are_named(tmp_path: Path) -> None:
    for job, value in enumerate(("power", "benevolence")):
        write_job(tmp_path / str(job), [1.0, 2.0, 3.0], "abc", value=value, intensity=2, labels_only=["intensity"])
    words = "intensity=2 is a label only: the responses do not say what they are, so all of them were scored"
    assert f"{words} (2 evaluations: pvq/power, pvq/benevolence)" in make_report(tmp_path).html


def refusals(folder: Path) -> list[list[str]]:
    _, *rows = PageReader(make_report(folder).html).tables["Refusals by intensity"]
    return [[cell.partition(":")[0] for cell in row] for row in rows]


@pytest.mark.parametrize("more", [{"intensity": None}, {"intensity": 0, "labels_only": ["intensity"]}])
def test_unsteered_responses_scored_on_several_values_count_once(tmp_path: Path, more: dict[str, object]) -> None:
    # Two of the responses are the same, and both count.
    said = [REFUSED, REFUSED, ANSWERED]
    for job, value in enumerate(("power", "benevolence", "security")):
        write_job(tmp_path / str(job), [1.0, 2.0, 3.0], "aab", value=value, responses=said, **more)  # type: ignore[arg-type]
    assert refusals(tmp_path) == [["all responses", "2 of 3"]]


def test_unsteered_responses_of_which_each_value_has_its_own_all_count(tmp_path: Path) -> None:
    for job, (value, said) in enumerate({"power": [REFUSED, ANSWERED], "benevolence": ["No.", REFUSED]}.items()):
        write_job(tmp_path / str(job), [1.0, 2.0], ["a", "b"], value=value, responses=said)
    assert refusals(tmp_path) == [["all responses", "2 of 4"]]


def test_refusals_of_responses_steered_to_different_values_count_for_each(tmp_path: Path) -> None:
    for job, value in enumerate(("power", "benevolence")):
        write_job(tmp_path / str(job), [1.0, 2.0], ["a", "b"], value=value, intensity=2, responses=[REFUSED, ANSWERED])
    assert refusals(tmp_path) == [["all responses", "2 of 4"]]


def test_what_is_not_compared_is_counted_without_runs_of_other_kinds(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", values=("power",), intensities=(-2, 2))
    for job in range(7):
        write_job(tmp_path / f"silent{job}", [1.0, 2.0], "ab", value=f"value{job}", mean=None)
    unordered = {"mean": None, "judge_check": {"passed": False}}
    write_job(tmp_path / "unordered", [1.0, 2.0], "ab", value="value8", **unordered)
    for kind in range(6):
        folder = tmp_path / f"a{kind}"
        folder.mkdir()
        (folder / "summary.json").write_text('{"task": "train"}')
    html = make_report(tmp_path).html
    assert f"{tmp_path}/silent0 and 6 more: not compared: no response has a score" in html
    assert f"{tmp_path}/unordered: not compared: the judge is not shown to order the anchors" in html
    assert "left out: no evaluation" not in html


def test_jobs_that_share_no_query_are_counted(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", values=("power",), intensities=(-2, 2))
    for intensity in (-2, 2):
        write_job(tmp_path / f"other{intensity}", [1.0, 2.0, 3.0], "xyz", value="benevolence", intensity=intensity)
    write_job(tmp_path / "alone", [1.0, 2.0], "pq", value="benevolence", intensity=0)
    assert re.search(
        r"\d comparisons are left out: their jobs share fewer than two queries", make_report(tmp_path).html
    )


@pytest.mark.slow
def test_many_slopes_are_drawn_without_their_differences_or_it_is_said_why_not(tmp_path: Path) -> None:
    values = [f"value{number}" for number in range(25)]
    for model, slope in (("phi-4", 1.0), ("qwen3", 0.5)):
        write_sweep(tmp_path / model, values=values, intensities=(-2, 2), model=model, slope=slope, n_queries=4)
    # 50 slopes and 25 differences of slopes.
    assert 'aria-label="50 estimates with 95% intervals' in make_report(tmp_path).html
    write_sweep(tmp_path / "third", values=values, intensities=(-2, 2), model="third", n_queries=4)
    assert "75 estimates are too many for a picture here; compare.py draws all" in make_report(tmp_path).html
