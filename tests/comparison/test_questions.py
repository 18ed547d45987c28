"""Which jobs are compared with which, and which way is the right one."""

from pathlib import Path

import pandas as pd
import pytest

from tests.comparison.simulated import INTENSITIES
from valueflow.comparison.jobs import Condition, Job
from valueflow.comparison.questions import Question, ask

ONE_QUERY = pd.DataFrame({"query": ["q"], "score": [0.0], "influence": [0.0]})


def job(intensity: int | None = None, value: str = "power", targets: str = "", **condition: str) -> Job:
    steered = [target.rpartition(" ") for target in targets.split(", ") if target]
    summary = {"values": [name for name, _, _ in steered], "intensities": [int(at) for _, _, at in steered]}
    how = {"run": "", "model": "", "steered_by": ""} | condition
    return Job(Path(), "pvq", value, value, Condition(**how, targets=targets, intensity=intensity), summary, ONE_QUERY)


def worded(questions: list[Question]) -> list[str]:
    return [
        f"{question.family}: {question.compared} - {question.against}".removesuffix(" - ") for question in questions
    ]


@pytest.mark.parametrize(
    ("intensities", "expected"),
    [
        ((-2, 0, 2), ["-2 - 0", "+2 - 0", "+2 - -2"]),
        ((-2, 0, 2, None), ["-2 - all", "0 - all", "+2 - all", "+2 - -2"]),
        ((1, 2), ["+2 - +1"]),
        ((0, 2), ["+2 - 0"]),
        ((2, None), ["+2 - all"]),
        ((2,), []),
    ],
)
def test_intensities_are_compared_with_the_reference(intensities: tuple[int | None, ...], expected: list[str]) -> None:
    questions = ask([job(intensity) for intensity in reversed(intensities)], "auto", "reference")
    found = [word.removeprefix("intensity: ") for word in worded(questions) if word.startswith("intensity")]
    assert found == expected
    has_slope = sum(intensity is not None for intensity in intensities) > 1
    assert any(question.family == "slope" for question in questions) == has_slope


def test_the_right_way_is_that_of_the_intensities() -> None:
    questions = ask([job(intensity) for intensity in (*INTENSITIES, None)], "auto", "reference")
    ways = {question.compared: question.direction for question in questions if question.against == "all"}
    assert ways == {"-2": -1, "-1": -1, "0": 0, "+1": 1, "+2": 1}


def test_slopes_are_least_squares() -> None:
    (slope,) = (
        question for question in ask([job(at) for at in (-2, -1, 2)], "auto", "reference") if question.family == "slope"
    )
    means = {-2: 1.0, -1: 4.0, 2: 5.0}
    # Covariance over variance, by hand: levels about their mean -1/3.
    levels = [-2 + 1 / 3, -1 + 1 / 3, 2 + 1 / 3]
    by_hand = sum(level * mean for level, mean in zip(levels, means.values(), strict=True)) / sum(x * x for x in levels)
    assert sum(w * m for w, m in zip(slope.weights, means.values(), strict=True)) == pytest.approx(by_hand)


def test_jobs_that_differ_in_two_ways_are_not_compared() -> None:
    jobs = [job(2, model="a", steered_by="x"), job(2, model="b", steered_by="y"), job(2, value="face", model="a")]
    assert ask(jobs, "auto", "reference") == []


def test_several_values_at_once_are_compared_with_unsteered_responses() -> None:
    together = "power -1, face 2"
    steered = {name: job(None, name, targets=together, steered_by="multi_anchor") for name in ("power", "face")}
    for name, way in (("power", -1), ("face", 1)):
        questions = ask([job(None, name, steered_by="none"), steered[name]], "auto", "reference")
        assert worded(questions) == [f"targets: {together} - all"]
        assert questions[0].direction == way


def test_the_unsteered_job_of_the_same_model_is_the_reference() -> None:
    jobs = [job(None, model="a"), job(None, model="b"), job(2, model="a"), job(2, model="b")]
    questions = [question for question in ask(jobs, "auto", "reference") if question.family == "intensity"]
    assert [question.jobs for question in questions] == [(2, 0), (3, 1)]


def test_slopes_of_two_models_are_compared() -> None:
    jobs = [job(at, model=model) for model in ("a", "b") for at in (-1, 0, 1)]
    (question,) = (question for question in ask(jobs, "auto", "reference") if question.family == "slope by model")
    assert (question.compared, question.against) == ("b", "a")
    assert question.jobs == (3, 4, 5, 0, 1, 2)
    assert question.weights == (-0.5, 0.0, 0.5, 0.5, 0.0, -0.5)
