"""Responses of a sweep over steering methods: unsteered ones count once, and drift can be measured on any value."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.steering.planted import write_anchors
from valueflow import evaluate_responses
from valueflow.responses import REPEATED, filter_responses, load_responses
from valueflow.run import InputError
from valueflow.theory import load_theory

PVQ = load_theory("pvq")


def write_job(
    folder: Path, steering: str, intensity: str, responses: list[str], value: str = "power", **drawn: Any
) -> None:
    folder.mkdir(parents=True)
    said = {"query": "Q?", "dataset": "d", "response": responses, "theory": "pvq", "value": value}
    pd.DataFrame({**said, "intensity": intensity, "steering": steering, "model": "m"}).to_csv(
        folder / "responses.csv", index=False
    )
    settings = {"temperature": 0.0, "max_tokens": 256, "method": {"name": steering}} | drawn
    seed = settings.pop("seed", 42)
    (folder / "summary.json").write_text(json.dumps({"seed": seed, "settings": settings}), encoding="utf-8")


@pytest.mark.slow
def test_unsteered_responses_that_jobs_have_in_common_count_once(tmp_path: Path) -> None:
    # One job says the same twice, as one may where queries repeat: that stays. Order does not matter.
    for job, responses in enumerate((["a", "b", "a"], ["a", "b", "a"], ["b", "a", "a"])):
        write_job(tmp_path / str(job), "none", "", responses)
    write_job(tmp_path / "3", "none", "", ["a", "c", "a"])  # not the same throughout: a run of its own
    write_job(tmp_path / "4", "none", "", ["a"], value="security")
    for job in (5, 6):
        write_job(tmp_path / str(job), "anchor", "2", ["a"])
    frame, source = load_responses(str(tmp_path), {})
    kept = frame.groupby(["steering", "value"], sort=False)["response"].apply(list).to_dict()
    assert kept == {
        ("none", "power"): ["a", "b", "a", "a", "c", "a"],
        ("none", "security"): ["a"],
        ("anchor", "power"): ["a", "a"],
    }
    assert frame.attrs[REPEATED] == 6
    vidb = tmp_path / "anchors.csv"
    write_anchors(vidb)
    given = {"value": "power", "steered_by": "none", "m": 1, "vidb": str(vidb), "progress": False}
    scored = evaluate_responses(source, **given, judge_check=False)
    assert (scored.summary["n"], scored.summary["unsteered_repeats"]) == (6, 6)


@pytest.mark.parametrize(
    ("drawn", "n"),
    [
        ([{"seed": 1}, {"seed": 2}, {"seed": 3}], 6),
        ([{"temperature": 1.0}, {"temperature": 0.5}, {"temperature": 1.0}], 4),
        ([{"max_tokens": 8}, {"max_tokens": 9}, {"max_tokens": 9}], 4),
        ([{"method": {"user": "{query}"}}, {"method": {"user": "Q: {query}"}}], 4),
    ],
)
def test_samples_drawn_otherwise_are_samples_though_they_say_the_same(
    drawn: list[dict[str, Any]], n: int, tmp_path: Path
) -> None:
    for job, settings in enumerate(drawn):
        write_job(tmp_path / str(job), "none", "", ["a", "b"], **settings)
    assert len(load_responses(str(tmp_path), {})[0]) == n


def test_responses_of_which_no_summary_says_how_they_were_drawn_all_count(tmp_path: Path) -> None:
    for job in range(2):
        write_job(tmp_path / str(job), "none", "", ["a", "b"])
        (tmp_path / str(job) / "summary.json").unlink()
    frame, _ = load_responses(str(tmp_path), {})
    assert (len(frame), frame.attrs[REPEATED]) == (4, 0)


def test_a_value_that_was_not_steered_to_is_scored_where_the_steered_ones_are_named(tmp_path: Path) -> None:
    for job, (value, intensity) in enumerate(
        (value, intensity) for value in ("power", "security") for intensity in (-2, 2)
    ):
        write_job(tmp_path / str(job), "anchor", str(intensity), [f"{value} {intensity}"], value=value)
    frame, where = load_responses(str(tmp_path), {})
    kept, _ = filter_responses(frame, where, PVQ, "tradition", values=["power"], intensities=[2])
    assert kept["response"].tolist() == ["power 2"]
    kept, _ = filter_responses(frame, where, PVQ, "tradition", values=["security"])
    assert kept["response"].tolist() == ["security -2", "security 2"]
    with pytest.raises(InputError, match=r"intensity=2.*intensities=\[2\]"):
        filter_responses(frame, where, PVQ, "tradition", values=["security"], intensity=2)
    kept, _ = filter_responses(frame, where, PVQ, "security", values=["security"], intensity=2)
    assert kept["response"].tolist() == ["security 2"]
    with pytest.raises(InputError, match="no response has value 'tradition'"):
        filter_responses(frame, where, PVQ, "tradition")
