"""Surveys: statements, expectations over answers, and the answers of models."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.judge.test_logprob_judge import Program
from tests.profiling.simulated import DUTY, Every, KnowingJudge, write_anchors
from valueflow import profile
from valueflow.llm import Completion, Conversation
from valueflow.opinionqa import load_profiles, load_questions
from valueflow.profiling import Profiles
from valueflow.profiling.surveys import read_survey, survey_texts
from valueflow.run import InputError

SAYS = "|".join(["{0}"] * len(DUTY.values))


@dataclass(frozen=True)
class Question:
    """A question whose options say how strongly they support every value."""

    name: str
    levels: tuple[float, ...]
    shares: dict[str, tuple[float, ...]]

    def entries(self) -> list[dict[str, Any]]:
        options = [*(SAYS.format(level) for level in self.levels), "Refused"]
        return [
            {"question": f"What of {self.name}?", "options": options, "attribute": group}
            | {"gold_distribution": list(shares)}
            for group, shares in self.shares.items()
        ]


QUESTIONS = [
    Question(
        f"number {number}",
        (8.0, 0.0, -8.0),
        {"for": (0.7 - wobble, 0.2, 0.0 + wobble, 0.1), "against": (0.05 + wobble, 0.2, 0.75 - wobble, 0.0)},
    )
    for number, wobble in enumerate((0.0, 0.05, 0.1, 0.02, 0.08, 0.04))
]


def survey_file(folder: Path, questions: list[Question] = QUESTIONS) -> str:
    path = folder / "questions.json"
    path.write_text(json.dumps([entry for question in questions for entry in question.entries()]), encoding="utf-8")
    return str(path)


def found_in(folder: Path, **more: Any) -> Profiles:
    given = {
        "survey": survey_file(folder) if "survey" not in more else None,
        "theory": "duty",
        "vidb": write_anchors(folder),
        "judge": KnowingJudge(),
        "relevance": Every(),
        "statement": "{option}",
        "m": 20,
        "progress": False,
    }
    return profile(**(given | more))


def test_a_profile_is_the_expectation_over_the_answers(tmp_path: Path) -> None:
    judge = KnowingJudge()
    found = found_in(tmp_path, judge=judge, output_dir=tmp_path / "out")
    # One statement for each of three levels, whatever the question; who refuses says nothing.
    assert judge.batches == [(value, 20 * 3) for value in DUTY.values]
    for value in DUTY.values:
        scores = found.pairs[found.pairs["value"] == value].set_index("text")["score"]
        for group in ("for", "against"):
            expected = []
            for question in QUESTIONS:
                shares = question.shares[group][:3]
                levels = [scores[SAYS.format(level)] for level in question.levels]
                expected.append(sum(share * level for share, level in zip(shares, levels, strict=True)) / sum(shares))
            row = found.table.query("group == @group and value == @value").iloc[0]
            assert row["mean"] == pytest.approx(np.mean(expected))
            assert (row["n"], row["clusters"]) == (6, 6)
            assert row["low"] < row["mean"] < row["high"]
    assert found.table.query("group == 'for'")["differs"].all()
    assert found.summary["no_opinion"] == pytest.approx(0.6 / 12)
    assert pd.read_csv(tmp_path / "out" / "relevance.csv").columns.tolist() == ["question", "top_score"]
    assert len(pd.read_csv(tmp_path / "out" / "relevance.csv")) == 6
    assert load_profiles(str(tmp_path / "out" / "profiles"), ["for", "against"], DUTY)


@pytest.mark.slow
def test_the_answers_of_a_model_are_read_from_a_run_of_steer(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    items = load_questions(survey_file(tmp_path), None)
    swapped = {"for": "against", "against": "for"}
    by_key = {(item.question, item.attribute): item.gold for item in items}
    pd.DataFrame(
        {
            "attribute": [item.attribute for item in items],
            "question": [item.question for item in items],
            "options": [json.dumps(item.options) for item in items],
            "gold_distribution": [json.dumps(item.gold) for item in items],
            "default_distribution": [
                json.dumps([10 * share for share in by_key[item.question, swapped[item.attribute]]]) if place else ""
                for place, item in enumerate(items)
            ],
        }
    ).to_csv(run / "details.csv", index=False)
    of_file, of_run = found_in(tmp_path), found_in(tmp_path, survey=str(run))
    pd.testing.assert_frame_equal(of_file.table, of_run.table)
    of_model = found_in(tmp_path, survey=str(run), answers="default")
    assert of_model.summary["left_out"] == 1
    own, people = (found.table.set_index(["group", "value"])["mean"] for found in (of_model, of_file))
    # A question without the model's answer is left out: counts are as good as shares.
    np.testing.assert_allclose(own["against"], people["for"])
    assert (own["for"] < -3).all()


def test_statements_are_worded_by_a_model_where_it_can(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> Completion:
        said = conversation[-1]["content"]
        level = next(level for level in ("-8.0", "0.0", "8.0") if f'"{level}|' in said)
        if level == "0.0":
            return Completion("", error="the server is down")
        return Completion(f'"I say {SAYS.format(level)}"\n', 10, 5)

    asked = Program(answer)
    found = found_in(tmp_path, statements="model", llm=asked, cache="off")
    assert found.summary["statements_failed"] == 6
    assert found.summary["failures"] == {"the server is down": 6}
    assert set(found.pairs["text"]) == {
        SAYS.format("0.0"),
        *(f"I say {SAYS.format(level)}" for level in ("8.0", "-8.0")),
    }
    dry = Program(answer)
    plan = found_in(tmp_path, statements="model", llm=dry, dry_run=True).summary["plan"]
    assert plan["most_calls"] == 18
    assert dry.asked == []


def test_an_option_that_says_no_opinion_has_no_statement() -> None:
    items = load_questions("demo", None)
    survey = survey_texts(items, lambda answers: [f"{question} {option}" for question, option in answers])
    assert survey.shares.sum(axis=1) == pytest.approx(1, abs=0.02)
    for row, item in enumerate(items):
        for option, text in enumerate(item.options):
            assert survey.texts[survey.statement[row, option]] == f"{item.question} {text}"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"gold_distribution": [1.0]}, "index 0: gold_distribution has 1 entries for 4 options"),
        ({"options": []}, "index 0: the question has no options"),
    ],
)
def test_a_question_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(json.dumps([QUESTIONS[0].entries()[0] | entry]), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        found_in(tmp_path, survey=str(path))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("[0.5]", "row 1, column 'gold_distribution': 1 entries for 2 options"),
        ("[0.5, -1]", "is no distribution"),
        ("half", "is no distribution"),
    ],
)
def test_a_broken_cell_of_details_is_told_in_one_line(tmp_path: Path, cell: str, message: str) -> None:
    row = {"attribute": "x", "question": "q?", "options": '["a", "b"]', "gold_distribution": cell}
    pd.DataFrame([row]).to_csv(tmp_path / "details.csv", index=False)
    with pytest.raises(InputError, match=message):
        read_survey(str(tmp_path), "gold")


def test_answers_of_a_model_are_in_no_question_file() -> None:
    with pytest.raises(InputError, match="holds the groups' own answers alone"):
        read_survey("demo", "default")


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no details\.csv"):
        read_survey(str(tmp_path), "gold")
