"""The packaged open questions and the invented survey of Tarvane."""

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from valueflow.theory import load_theory

ASSETS = Path(__file__).parents[2] / "valueflow" / "assets"
THEORIES = ("pvq", "mft", "duty", "right")
ATTRIBUTES = (
    "CREGION_Harbour side",
    "CREGION_Hill side",
    "EDUCATION_Evening school/college",
    "INCOME_$200 a week or more",
)
BANDS = ("very_high", "high", "medium", "low", "very_low")
LETTERS = "ABCDE"


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(ASSETS / name, keep_default_na=False)


def survey() -> list[dict[str, Any]]:
    return json.loads((ASSETS / "opinionqa" / "questions.json").read_text(encoding="utf-8"))


def profile_path(attribute: str) -> Path:
    return ASSETS / "opinionqa" / "profiles" / (re.sub(r"[^A-Za-z0-9_-]+", "_", attribute) + ".json")


def profile(attribute: str) -> dict[str, Any]:
    return json.loads(profile_path(attribute).read_text(encoding="utf-8"))


def band(score: float) -> str:
    if score >= 0.6:
        return "very_high"
    if score >= 0.2:
        return "high"
    if score > -0.2:
        return "medium"
    return "low" if score > -0.6 else "very_low"


def names(label: str) -> list[str]:
    """Return the words by which a text would name a value: `care/harm` is named by either of its poles."""
    return [label, *label.split("/")]


# ---- Open questions


def test_there_are_fifty_open_questions() -> None:
    queries = table("queries.csv")
    assert list(queries.columns) == ["query", "dataset"]
    assert len(queries) == 50
    assert set(queries["dataset"]) == {"open_questions"}
    assert queries["query"].str.casefold().is_unique
    assert queries["query"].str.len().between(50, 250).all()
    assert queries["query"].str.endswith("?").all()
    assert queries["query"].equals(queries["query"].str.strip())


def test_no_open_question_is_one_of_the_demo_responses() -> None:
    demo = set(table("responses.csv")["query"].str.casefold())
    assert not demo & set(table("queries.csv")["query"].str.casefold())


@pytest.mark.parametrize("name", THEORIES)
def test_no_open_question_names_a_value(name: str) -> None:
    theory = load_theory(name)
    words = [word for value in theory.values for word in names(theory.nodes[value].label)]
    named = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
    assert [query for query in table("queries.csv")["query"] if named.search(query)] == []


# ---- Survey


def test_the_survey_has_six_questions_for_each_attribute() -> None:
    items = survey()
    assert Counter(item["attribute"] for item in items) == dict.fromkeys(ATTRIBUTES, 6)
    assert len({(item["attribute"], item["question"]) for item in items}) == 24
    # The first few are of all groups, for a run with a small limit.
    assert {item["attribute"] for item in items[:4]} == set(ATTRIBUTES)
    # Some are put to two groups, which answer them differently.
    assert len({item["question"] for item in items}) < 24


def test_survey_questions_list_their_options() -> None:
    for item in survey():
        assert set(item) - {"ordinal"} == {"question", "options", "attribute", "gold_distribution"}
        assert item.get("ordinal", False) is False  # there only where options have no order
        assert 2 <= len(item["options"]) <= 5
        assert len(set(item["options"])) == len(item["options"])
        listed = " ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, item["options"], strict=False))
        first, options, last = item["question"].split("\n")
        assert first.startswith("Question: ")
        assert first.endswith("?")
        assert options == f"Options: {listed}"
        assert last == "Answer:"


def test_gold_distributions_are_distributions_with_one_favorite() -> None:
    favorites = set()
    for item in survey():
        gold = item["gold_distribution"]
        assert len(gold) == len(item["options"])
        assert min(gold) >= 0
        assert math.isclose(math.fsum(gold), 1, abs_tol=1e-9)
        assert gold.count(max(gold)) == 1
        favorites.add(LETTERS[gold.index(max(gold))])
    # A model that always says A must not do well.
    assert favorites >= set("ABCD")


# ---- Profiles


def test_every_attribute_has_its_profile_and_no_other_is_there() -> None:
    paths = [profile_path(attribute) for attribute in ATTRIBUTES]
    assert paths[-1].name == "INCOME__200_a_week_or_more.json"
    assert sorted((ASSETS / "opinionqa" / "profiles").iterdir()) == sorted(paths)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_profile_has_every_value_once_in_its_band(attribute: str) -> None:
    read = profile(attribute)
    assert set(read) == {"attribute", "theories"}
    assert read["attribute"] == attribute
    assert tuple(read["theories"]) == THEORIES
    for name, bands in read["theories"].items():
        assert tuple(bands) == BANDS
        keys = [entry["value_key"] for entries in bands.values() for entry in entries]
        assert sorted(keys) == sorted(value.replace("-", "_") for value in load_theory(name).values)
        for where, entries in bands.items():
            scores = [entry["score"] for entry in entries]
            assert [band(score) for score in scores] == [where] * len(scores)
            assert scores == sorted(scores, reverse=True)
            assert all(-1 <= score <= 1 and score == round(score, 2) for score in scores)
        # Each group has values to steer up and values to steer down.
        assert bands["very_high"] + bands["high"]
        assert bands["very_low"] + bands["low"]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_profile_speaks_to_the_reader_in_single_sentences(attribute: str) -> None:
    for bands in profile(attribute)["theories"].values():
        for entry in (entry for entries in bands.values() for entry in entries):
            assert set(entry) == {"score", "definition_prompt", "definition_raw", "value_key"}
            assert re.fullmatch(r"[^.!?]*\byou\b[^.!?]*\.", entry["definition_prompt"])
            assert re.fullmatch(r"[^.!?]+\.", entry["definition_raw"])


# ---- Files


def test_files_are_utf8_with_line_feeds_and_end_in_one() -> None:
    for path in (ASSETS / "queries.csv", *(ASSETS / "opinionqa").rglob("*.json")):
        text = path.read_bytes().decode("utf-8")
        assert "\r" not in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        if path.suffix == ".json":
            assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
