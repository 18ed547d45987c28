"""Survey files: what is read of them, and what is said of the ones that are none."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.opinionqa.questions import SurveyQuestion, load_questions, once_per_group, stem
from valueflow.run import InputError

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "opinionqa_sample.json"
GROUPS = {"education", "ideology", "income", "party", "race", "region", "religion", "sex"}

Write = Callable[..., Path]


def entry(**changes: object) -> dict[str, object]:
    kept = {"question": "Do you?", "options": ["Yes", "No"], "attribute": "SEX_Male", "gold_distribution": [0.25, 0.75]}
    return kept | changes


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(content: object, encoding: str = "utf-8") -> Path:
        path = tmp_path / "survey.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding=encoding)
        return path

    return written


def fault(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        load_questions(str(path), None)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# ---- What is read


@pytest.mark.skipif(not REAL.is_file(), reason="the real survey is not on this machine")
def test_the_real_survey_is_read_whole() -> None:
    raw = json.loads(REAL.read_text(encoding="utf-8"))
    items = load_questions(str(REAL), None)
    assert len(items) == len(raw) == 660
    assert set(Counter(item.attribute for item in items).values()) == {30}
    assert len({item.attribute for item in items}) == 22
    assert {item.group for item in items} == GROUPS
    for item, source in zip(items, raw, strict=True):
        listed = " ".join(f"{letter}. {text}" for letter, text in zip("ABCDE", source["options"], strict=False))
        assert source["question"].replace("\n", " ").startswith(f"Question: {item.question} Options: {listed}")
        for mark in ("Question:", "Options:", "Answer:", "\n"):
            assert mark not in item.question
        assert item.question == item.question.strip() != ""
        assert list(item.options) == source["options"]
        assert list(item.gold) == source["gold_distribution"]
        assert item.attribute == source["attribute"]
        assert item.attribute.endswith(f"_{item.member}")
        highest = max(source["gold_distribution"])
        assert item.most_frequent == {place for place, share in enumerate(item.gold) if share == highest}
    assert sum(len(item.most_frequent) > 1 for item in items) == 14


def test_the_packaged_survey_is_read_by_name() -> None:
    items = load_questions("demo", None)
    assert len(items) == 24
    assert {item.attribute.partition("_")[0] for item in items} == {"CREGION", "EDUCATION", "INCOME"}


@pytest.mark.parametrize("limit", [None, 1, 2, 3, 4, 100])
def test_a_limit_takes_the_first_so_many(write: Write, limit: int | None) -> None:
    path = write([entry(question=f"Question {place}?") for place in range(3)])
    wanted = [f"Question {place}?" for place in range(3)][: 3 if limit is None else limit]
    assert [item.question for item in load_questions(str(path), limit)] == wanted


@pytest.mark.parametrize(
    ("attribute", "group", "member"),
    [
        ("CREGION_Northeast", "region", "Northeast"),
        ("EDUCATION_College graduate/some postgrad", "education", "College graduate/some postgrad"),
        ("INCOME_$100,000 or more", "income", "$100,000 or more"),
        ("POLIDEOLOGY_Moderate", "ideology", "Moderate"),
        ("POLPARTY_Democrat", "party", "Democrat"),
        ("RACE_Asian", "race", "Asian"),
        ("RELIG_Nothing in particular", "religion", "Nothing in particular"),
        ("SEX_Female", "sex", "Female"),
        ("AGE_18_to_29", "AGE", "18_to_29"),
        ("Islanders", "Islanders", "Islanders"),
        ("SEX_", "sex", "SEX_"),
    ],
)
def test_an_attribute_is_a_kind_of_group_and_a_member_of_it(attribute: str, group: str, member: str) -> None:
    item = SurveyQuestion("Do you?", ("Yes",), attribute, (1.0,))
    assert (item.group, item.member) == (group, member)


@pytest.mark.parametrize(
    ("gold", "most"),
    [([0.25, 0.75], {1}), ([0.5, 0.5], {0, 1}), ([0.4, 0.2, 0.4], {0, 2}), ([1.0], {0}), ([0, 0, 1], {2}),
     ([0.25] * 4, {0, 1, 2, 3}), ([0.333, 0.333, 0.334], {2})],
)  # fmt: skip
def test_the_most_frequent_options_are_all_that_tie(write: Write, gold: list[float], most: set[int]) -> None:
    path = write([entry(options=[f"option {place}" for place in range(len(gold))], gold_distribution=gold)])
    (item,) = load_questions(str(path), None)
    assert item.most_frequent == most


@pytest.mark.parametrize(
    "gold", [[0.33, 0.33, 0.33], [0.34, 0.33, 0.34], [0.2, 0.2, 0.2, 0.2, 0.18], [0.21, 0.2, 0.2, 0.2, 0.21]]
)
def test_shares_that_were_rounded_are_made_a_distribution_again(write: Write, gold: list[float]) -> None:
    path = write([entry(options=[f"option {place}" for place in range(len(gold))], gold_distribution=gold)])
    (item,) = load_questions(str(path), None)
    assert sum(item.gold) == pytest.approx(1)
    assert item.most_frequent == {place for place, share in enumerate(gold) if share == max(gold)}


def test_options_may_be_numbers(write: Write) -> None:
    path = write([entry(options=[1, 2.5, 10], gold_distribution=[0.2, 0.3, 0.5])])
    assert load_questions(str(path), None)[0].options == ("1", "2.5", "10")


def test_twenty_six_options_have_letters(write: Write) -> None:
    options = [f"option {place}" for place in range(26)]
    (item,) = load_questions(str(write([entry(options=options, gold_distribution=[1] + [0] * 25)])), None)
    assert item.options == tuple(options)


def test_a_byte_order_mark_and_keys_of_others_are_no_hindrance(write: Write) -> None:
    path = write(json.dumps([entry(id=5, pred_distribution=None)]), encoding="utf-8-sig")
    assert load_questions(str(path), None) == [SurveyQuestion("Do you?", ("Yes", "No"), "SEX_Male", (0.25, 0.75))]


@pytest.mark.parametrize("gold", [[0.3333, 0.3333, 0.3333], [0.3334, 0.3334, 0.3334], [1, 0, 0], [1e-300, 1, 0]])
def test_rounded_distributions_are_distributions(write: Write, gold: list[float]) -> None:
    (item,) = load_questions(str(write([entry(options=["a", "b", "c"], gold_distribution=gold)])), None)
    assert item.gold == tuple(gold)


# ---- Questions without their frame


@pytest.mark.parametrize(
    ("framed", "bare"),
    [
        ("Question: Do you?\nOptions: A. Yes B. No\nAnswer:", "Do you?"),
        ("  Question:Do you?  \n  Options:\nA. Yes\nB. No", "Do you?"),
        ("Question: Do you?\r\nOptions: A. Yes B. No\r\nAnswer:", "Do you?"),
        ("Question: Do you?", "Do you?"),
        ("Do you?\nOptions: A. Yes", "Do you?"),
        ("Do you?", "Do you?"),
        (" Do you?\n", "Do you?"),
        ("One line\nand another\nOptions: A. Yes", "One line\nand another"),
        ("What is the question: this or that?", "What is the question: this or that?"),
        ("Which Options: these or those?", "Which Options: these or those?"),
        ("Question: Which Options: these?\nOptions: A. These", "Which Options: these?"),
        ("Question:\nOptions: A. Yes\nAnswer:", ""),
        ("", ""),
    ],
)
def test_a_question_loses_its_frame(framed: str, bare: str) -> None:
    assert stem(framed) == bare


@given(
    st.text(max_size=80).filter(lambda text: "Options:" not in text and "Question:" not in text),
    st.text(max_size=80),
)
def test_any_question_comes_out_of_its_frame_as_it_went_in(question: str, options: str) -> None:
    assert stem(f"Question: {question}\nOptions: {options}\nAnswer:") == question.strip()
    assert stem(question) == question.strip()


# ---- What is no survey


@pytest.mark.parametrize("content", ["[]", "{}", "null", "5", '"text"', json.dumps(entry())])
def test_what_is_no_list_of_questions_is_told(write: Write, content: str) -> None:
    path = write(content)
    assert fault(path) == f"opinionqa.questions: {path} must hold a JSON list of one question or more"


@pytest.mark.parametrize("content", ["", "[", "[{]", "[1,]", "question,options\n", "[" * 100_000, "9" * 5000])
def test_what_is_no_json_is_told(write: Write, content: str) -> None:
    path = write(content)
    assert fault(path).startswith(f"opinionqa.questions: {path} is no readable JSON: ")


def test_another_encoding_is_told(write: Write) -> None:
    path = write(json.dumps([entry()]), encoding="utf-16")
    assert fault(path) == f"opinionqa.questions: {path} is not UTF-8; save it as UTF-8"


@pytest.mark.parametrize("name", ["nowhere.json", "", "nul\x00byte", "x" * 5000], ids=["no", "folder", "nul", "long"])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    assert fault(f"{tmp_path}/{name}").startswith(f"opinionqa.questions: there is no file {tmp_path}"[:200])


@pytest.mark.parametrize("other", [None, 5, "Do you?", [], ["Do you?"]])
def test_an_entry_that_is_no_object_is_told_with_its_index(write: Write, other: object) -> None:
    path = write([entry(), other])
    assert fault(path).startswith(f"{path}, index 1: an entry must be an object with question, options, ")


@pytest.mark.parametrize("key", ["question", "options", "attribute", "gold_distribution"])
def test_a_missing_key_is_told_with_the_keys_that_are_there(write: Write, key: str) -> None:
    lacking = entry(id=7)
    del lacking[key]
    path = write([entry(), entry(), lacking])
    assert fault(path) == f"{path}, index 2: '{key}' is missing; it has: {', '.join(lacking)}"


LONE = "half \ud83d of one"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": []}, "the question has no options"),
        ({"options": None}, "the question has no options"),
        ({"options": "Yes"}, "the question has no options"),
        ({"options": {"A": "Yes", "B": "No"}}, "the question has no options"),
        ({"options": [f"option {place}" for place in range(27)]}, "27 options; there are letters for 26"),
        ({"options": ["Yes", ""]}, "option B must be a text that is not blank"),
        ({"options": [" \n", "No"]}, "option A must be a text that is not blank"),
        ({"options": ["Yes", True]}, "option B must be a text that is not blank"),
        ({"options": [1, [2]]}, "option B must be a text that is not blank"),
        ({"options": ["Yes", None]}, "option B must be a text that is not blank"),
        ({"options": ["Yes", LONE]}, "option B holds half a character"),
        ({"question": ""}, "'question' must be a text that is not blank"),
        ({"question": " \t\n"}, "'question' must be a text that is not blank"),
        ({"question": None}, "'question' must be a text that is not blank"),
        ({"question": ["Do you?"]}, "'question' must be a text that is not blank"),
        ({"question": LONE}, "'question' holds half a character"),
        ({"question": "Question: \nOptions: A. Yes B. No\nAnswer:"}, "'question' holds no question"),
        ({"attribute": " "}, "'attribute' must be a text that is not blank"),
        ({"attribute": 5}, "'attribute' must be a text that is not blank"),
        ({"attribute": LONE}, "'attribute' holds half a character"),
        ({"gold_distribution": [1]}, "gold_distribution has 1 entries for 2 options"),
        ({"gold_distribution": [0.2, 0.3, 0.5]}, "gold_distribution has 3 entries for 2 options"),
        ({"gold_distribution": []}, "gold_distribution has 0 entries for 2 options"),
        ({"gold_distribution": None}, "gold_distribution has no entries for 2 options"),
        ({"gold_distribution": {"A": 0.5, "B": 0.5}}, "gold_distribution has no entries for 2 options"),
        ({"gold_distribution": "11"}, "gold_distribution has no entries for 2 options"),
        ({"gold_distribution": ["0.5", "0.5"]}, "gold_distribution holds something that is no number"),
        ({"gold_distribution": [1, None]}, "gold_distribution holds something that is no number"),
        ({"gold_distribution": [True, False]}, "gold_distribution holds something that is no number"),
        ({"gold_distribution": [[1], 0]}, "gold_distribution holds something that is no number"),
        ({"gold_distribution": [0.5, 0.4]}, "is no distribution"),
        ({"gold_distribution": [0.5, 0.502]}, "is no distribution"),
        ({"gold_distribution": [0.49, 0.48]}, "is no distribution"),
        ({"gold_distribution": [0.501, 0.501]}, "is no distribution"),
        ({"gold_distribution": [0, 0]}, "is no distribution"),
        ({"gold_distribution": [25, 75]}, "is no distribution"),
        ({"gold_distribution": [-0.5, 1.5]}, "is no distribution"),
        ({"gold_distribution": [-0.0005, 1]}, "is no distribution"),
        ({"gold_distribution": [math.nan, 1]}, "is no distribution"),
        ({"gold_distribution": [math.inf, 0]}, "is no distribution"),
        ({"gold_distribution": [math.inf, -math.inf]}, "is no distribution"),
        ({"gold_distribution": [1e308, 1e308]}, "is no distribution"),
        ({"gold_distribution": [10**400, 0]}, "is no distribution"),
    ],
)  # fmt: skip
def test_what_is_no_question_is_told_with_its_index(write: Write, changes: dict[str, object], said: str) -> None:
    path = write([entry(), entry(), entry(**changes), entry(options=[])])
    message = fault(path)
    assert message.startswith(f"{path}, index 2: ")
    assert said in message


def test_a_fault_beyond_the_limit_does_not_matter(write: Write) -> None:
    path = write([entry(), entry(options=[])])
    assert len(load_questions(str(path), 1)) == 1


def test_what_a_hostile_file_holds_is_told_in_one_short_line(write: Write) -> None:
    path = write([{"que\nstion\x1b[31m\u2028" + "x" * 10_000: 1}])
    message = fault(path)
    assert re.search(r"[\x00-\x1f\u2028]", message) is None
    assert len(message) <= 600


NUMBERS = st.one_of(
    st.integers(0, 1), st.floats(), st.integers(), st.sampled_from([10**400, -(10**400), 1e308, math.inf, -math.inf])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "question": JSON,
            "options": st.lists(st.text(min_size=1, max_size=3), max_size=3) | JSON,
            "attribute": JSON,
            "gold_distribution": st.lists(NUMBERS, max_size=3) | JSON,
        },
    )
)
def test_no_entry_is_more_than_a_fault(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any_survey.json"
    path.write_text(json.dumps([entry(**changes)]))
    try:
        (item,) = load_questions(str(path), None)
    except InputError:
        assert fault(path).startswith(f"{path}, index 0: ")
    else:
        assert len(item.options) == len(item.gold) >= 1
        assert sum(item.gold) == pytest.approx(1, abs=2e-3)
        assert min(item.gold) >= 0


def test_a_question_on_one_line_loses_its_whole_frame_only() -> None:
    assert stem("Question: Do you? Options: A. Yes B. No Answer:") == "Do you?"
    assert stem("Do you? Options: A. Yes B. No Answer:") == "Do you? Options: A. Yes B. No Answer:"
    assert stem("Question: Which Options: are yours?") == "Which Options: are yours?"


def test_a_question_that_a_group_is_asked_twice_counts_once(write: Write) -> None:
    again = {"question": "Question: Do  you?\nOptions: A. Yes B. No\nAnswer:", "gold_distribution": [1, 0]}
    others = ({"attribute": "SEX_Female"}, {"options": ["Yes", "Never"]})
    path = write([entry(), *(entry(**other) for other in others), entry(**again)])
    items = load_questions(str(path), None)
    assert once_per_group(items) == items[:3]
