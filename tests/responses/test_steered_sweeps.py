"""Responses of a sweep over steering methods: unsteered ones count once, and drift can be measured on any value."""

from pathlib import Path

import pandas as pd
import pytest

from valueflow.responses import filter_responses, load_responses
from valueflow.run import InputError
from valueflow.theory import load_theory

PVQ = load_theory("pvq")


def write_job(folder: Path, steering: str, intensity: str, responses: list[str], value: str = "power") -> None:
    folder.mkdir(parents=True)
    said = {"query": "Q?", "dataset": "d", "response": responses, "theory": "pvq", "value": value}
    pd.DataFrame({**said, "intensity": intensity, "steering": steering, "model": "m"}).to_csv(
        folder / "responses.csv", index=False
    )


def test_unsteered_responses_that_jobs_repeat_count_once(tmp_path: Path) -> None:
    # One job says the same twice, as one may where queries repeat: that stays.
    for job in range(3):
        write_job(tmp_path / str(job), "none", "", ["a", "b", "a"])
    write_job(tmp_path / "3", "none", "", ["a", "c"])
    write_job(tmp_path / "4", "none", "", ["a"], value="security")
    for job in (5, 6):
        write_job(tmp_path / str(job), "anchor", "2", ["a"])
    frame, _ = load_responses(str(tmp_path), {})
    kept = frame.groupby(["steering", "value"], sort=False)["response"].apply(list).to_dict()
    assert kept == {
        ("none", "power"): ["a", "b", "a", "c"],
        ("none", "security"): ["a"],
        ("anchor", "power"): ["a", "a"],
    }


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
    with pytest.raises(InputError, match="no response has value 'tradition'"):
        filter_responses(frame, where, PVQ, "tradition")
