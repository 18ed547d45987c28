"""Training, validation and test texts: which is which, with near-duplicates on one side."""

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.hives.tiny import training_rows
from valueflow.hives.data import TEST, TRAINING, VALIDATION, load_splits, near_duplicates, parts_of
from valueflow.hives.settings import DataSettings

NOTHING = {"train": None, "validation": None, "test": None, "theory": None, "names": None, "name_similarity": None}
NOTHING |= {"several_values": "branch", "texts": None}


def data_settings(**given: object) -> DataSettings:
    return DataSettings.model_validate(NOTHING | {"held_out": 0.2} | given)


def sentences(n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    words = (
        "river mother promise vote honest market prayer neighbor steal guard music law hungry winter secret".split()  # noqa: SIM905
    )
    return [" ".join(rng.choices(words, k=rng.randint(6, 14))) for _ in range(n)]


def shingles(text: str) -> set[str]:
    words = "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
    folded = " ".join(words).ljust(5)
    return {folded[start : start + 5] for start in range(len(folded) - 4)}


def similarity(one: str, other: str) -> float:
    both = shingles(one), shingles(other)
    return len(both[0] & both[1]) / len(both[0] | both[1])


def test_near_duplicates_are_found_and_others_are_not() -> None:
    base = sentences(120)
    changed = [f"  {text.upper()}!" for text in base[:30]] + [f"{text} today" for text in base[30:60] if len(text) > 60]
    texts = [*base, *changed]
    groups = near_duplicates(texts)
    found = {(i, j) for i, j in combinations(range(len(texts)), 2) if groups[i] == groups[j]}
    exact = {(i, j): similarity(texts[i], texts[j]) for i, j in combinations(range(len(texts)), 2)}
    # MinHash estimates the share of common shingles with a standard deviation of .035.
    assert {pair for pair, share in exact.items() if share >= 0.92} <= found
    assert all(exact[pair] > 0.68 for pair in found)
    assert sum(exact[pair] == 1.0 for pair in found) >= 30


def test_near_duplicates_are_found_among_texts_of_one_template() -> None:
    # All resemble each other; those that hardly differ must not be lost among them.
    template = (
        "A homeowners' association in our town wants to dictate the colour of all front doors; the board says that"
    )
    texts = sorted({f"{template} {' '.join(sentence.split()[:6])}" for sentence in sentences(600, 9)})
    texts += [f"{text.rsplit(' ', 1)[0]} door" for text in texts[::3]]
    known = sorted(set().union(*map(shingles, texts)))
    has = np.array([[name in own for name in known] for own in map(shingles, texts)], dtype=np.float64)
    common = has @ has.T
    sizes = has.sum(axis=1)
    exact = common / (sizes[:, None] + sizes - common)
    one, other = np.nonzero(np.triu(exact >= 0.84, 1))
    assert np.triu(exact >= 0.6, 1).sum() > 500 * len(one) > 100_000
    groups = near_duplicates(texts)
    # MinHash takes some similarities of .84 for less than .8.
    assert (groups[one] != groups[other]).mean() < 0.04


@settings(deadline=None, max_examples=examples(25))
@given(seed=st.integers(0, 10**6))
def test_groups_do_not_depend_on_the_order(seed: int) -> None:
    texts = sentences(20, seed) + [f"{text}." for text in sentences(20, seed)[:7]]
    groups = near_duplicates(texts)
    order = np.random.default_rng(seed).permutation(len(texts))
    shuffled = near_duplicates([texts[row] for row in order])
    names, others = np.array(texts, dtype=object)[groups][order], np.array(texts, dtype=object)[order][shuffled]
    assert names.tolist() == others.tolist()
    # The group is named by its first text in alphabetical order.
    for row, group in enumerate(groups):
        assert texts[group] == min(texts[other] for other in np.flatnonzero(groups == groups[row]))


def test_hostile_texts_have_groups_too() -> None:
    texts = [
        "",
        "?!",
        "...",
        "a",
        "\ud800 lone",
        "x" * 100_000,
        "x" * 100_001,
        "日本語の文章です",
        "{text} <b>",
        "\x00\x07",
    ]
    groups = near_duplicates(texts)
    assert groups[5] == groups[6]
    assert len(set(groups.tolist())) == len(texts) - 1
    assert near_duplicates([]).size == 0


def test_parts_are_the_same_wherever_texts_stand() -> None:
    texts = np.array(sentences(900, 3), dtype=object)
    parts = parts_of(texts, 0.2, 1)
    for part, share in ((VALIDATION, 0.2), (TEST, 0.2), (TRAINING, 0.6)):
        assert (parts == part).mean() == pytest.approx(share, abs=0.05)
    order = np.random.default_rng(0).permutation(len(texts))
    assert parts_of(texts[order], 0.2, 1).tolist() == parts[order].tolist()
    # A larger share adds to validation and test and takes nothing from either.
    larger = parts_of(texts, 0.3, 1)
    for part in (VALIDATION, TEST):
        assert set(np.flatnonzero(parts == part)) < set(np.flatnonzero(larger == part))
    assert parts_of(texts, 0.2, 2).tolist() != parts.tolist()
    assert set(parts_of(texts, 0.0, 1)) == {TRAINING}


def test_near_duplicates_are_on_one_side() -> None:
    base = [text for text in sentences(400, 5) if len(text) > 50]
    texts = np.array([*base, *(f"{text.title()}!!" for text in base)], dtype=object)
    parts = parts_of(texts, 0.3, 7)
    assert parts[: len(base)].tolist() == parts[len(base) :].tolist()
    assert len(set(parts)) == 3


def test_splits_of_one_table(table_file: Path) -> None:
    splits = load_splits(data_settings(train=[str(table_file)]), 42)
    assert splits.validation is not None
    assert splits.test is not None
    texts = [set(part.texts) for part in (splits.training, splits.validation, splits.test)]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 108
    assert splits.left_out == {}


def test_given_tables_take_the_place_of_what_is_held_out(table_file: Path, tmp_path: Path) -> None:
    rows = training_rows()
    # Nearly the same as a training text, and new ones.
    other = rows.iloc[:3].assign(text=[f"{rows['text'][0].upper()}!", "quite another sentence", "and a third one here"])
    other.to_csv(tmp_path / "test.csv", index=False)
    splits = load_splits(data_settings(train=[str(table_file)], test=[str(tmp_path / "test.csv")]), 42)
    assert splits.test is not None
    assert splits.validation is not None
    assert len(splits.test) == 3
    offered = 108 - len(splits.validation)
    is_validation = rows["text"][0] in set(splits.validation.texts)
    assert len(splits.training) == offered - (0 if is_validation else 1)
    assert rows["text"][0] not in set(splits.training.texts)


@pytest.mark.parametrize("given", [("validation",), ("test",), ("validation", "test")])
def test_parts_have_no_text_in_common_whatever_is_given(
    given: tuple[str, ...], table_file: Path, tmp_path: Path
) -> None:
    # Tables for validation and test that repeat texts of data.train, and each other's, in other spelling.
    rows = training_rows()
    for part, every in (("validation", 2), ("test", 3)):
        own = rows.iloc[::every]
        own.assign(text=[f"{text.upper()}!" for text in own["text"]]).to_csv(tmp_path / f"{part}.csv", index=False)
    tables = {part: [str(tmp_path / f"{part}.csv")] for part in given}
    splits = load_splits(data_settings(train=[str(table_file)], **tables), 42)
    assert splits.validation is not None
    assert splits.test is not None
    parts = [
        {text.casefold().rstrip("!") for text in part.texts}
        for part in (splits.training, splits.validation, splits.test)
    ]
    for one, other in combinations(parts, 2):
        assert not one & other
    # Nothing is lost but what stands in several: each text of data.train and of the tables is in one part.
    assert set.union(*parts) == set(rows["text"])
    if "test" in given:
        assert len(splits.test) == 36
    if given == ("validation", "test"):
        assert splits.left_out["validation texts that are test texts too, or nearly"] == 18


def test_a_text_of_several_theories_is_in_one_part(tmp_path: Path) -> None:
    rows = training_rows().assign(theory="pvq")
    both = pd.concat([rows, rows.assign(theory="duty", direction="neutral")])
    both.to_csv(tmp_path / "t.csv", index=False)
    splits = load_splits(data_settings(train=[str(tmp_path / "t.csv")]), 42)
    parts = [part for part in (splits.training, splits.validation, splits.test) if part is not None]
    assert sum(map(len, parts)) == 216
    for one, other in combinations(parts, 2):
        assert not set(one.texts) & set(other.texts)
