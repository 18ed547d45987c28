"""Profiles of groups: which lines are chosen, which file is a group's, and what is said of files that are none."""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.opinionqa.profiles import (
    ProfileLine,
    load_profiles,
    profile_file_name,
    select_lines,
    select_lines_as_published,
)
from valueflow.run import InputError
from valueflow.theory import load_theory, normalize_name

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "profiles"
THEORIES = {"pvq": "pvq", "mft": "mft", "duty": "duty", "right": "rights"}
BANDS = ("very_high", "high", "medium", "low", "very_low")
BRIEF = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def chosen_by_hand(scores: Sequence[float], n: int) -> list[int]:
    """Places of the chosen lines: the best that is left, so many times, and then the worst that is left."""
    left = list(range(len(scores)))
    taken: list[int] = []
    for _ in range(math.ceil(n / 2)):
        if left:
            best = left[0]
            for place in left:
                if scores[place] > scores[best]:
                    best = place
            left.remove(best)
            taken.append(best)
    for _ in range(math.floor(n / 2)):
        if left:
            worst = left[0]
            for place in left:
                if scores[place] <= scores[worst]:
                    worst = place
            left.remove(worst)
            taken.append(worst)
    reported: list[int] = []
    while taken:
        highest = taken[0]
        for place in taken:
            if (scores[place], -place) > (scores[highest], -highest):
                highest = place
        taken.remove(highest)
        reported.append(highest)
    return reported


def line(score: object = 0.5, **other: object) -> dict[str, object]:
    return {"score": score, "definition_prompt": "You care.", "value_key": "power"} | other


def profile(attribute: str = "SEX_Male", theory: str = "pvq", **bands: object) -> dict[str, object]:
    return {"attribute": attribute, "theories": {theory: bands or {"high": [line()]}}}


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(content: object, name: str = "SEX_Male.json") -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return written


def fault(folder: Path | str, attribute: str = "SEX_Male", theory: str = "pvq") -> str:
    with pytest.raises(InputError) as caught:
        load_profiles(str(folder), [attribute], load_theory(theory))
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# ---- Which lines


@pytest.mark.skipif(not REAL.is_dir(), reason="the real profiles are not on this machine")
@pytest.mark.parametrize("theory", THEORIES)
def test_lines_of_real_profiles_are_those_chosen_by_hand(theory: str) -> None:
    files = sorted(REAL.glob("*.json"))
    assert len(files) == 22
    for path in files:
        content = json.loads(path.read_text(encoding="utf-8"))
        bands = content["theories"][THEORIES[theory]]
        entries = [entry for band in BANDS for entry in bands.get(band, [])]
        keys = sorted(normalize_name(entry["value_key"]) for entry in entries)
        assert keys == sorted(map(normalize_name, load_theory(theory).values))
        (lines,) = load_profiles(str(REAL), [content["attribute"]], load_theory(theory)).values()
        assert [read.definition_prompt for read in lines] == [entry["definition_prompt"].strip() for entry in entries]
        for n in range(1, 9):
            wanted = [entries[place] for place in chosen_by_hand([entry["score"] for entry in entries], n)]
            got = [(read.value_key, read.score) for read in select_lines(lines, n)]
            assert got == [(entry["value_key"], entry["score"]) for entry in wanted], (path.name, n)


SCORES = st.one_of(
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), max_size=12), st.lists(st.floats(-1, 1), max_size=12)
)


@given(SCORES, st.integers(1, 15))
def test_lines_are_those_chosen_by_hand_whatever_ties(scores: list[float], n: int) -> None:
    lines = [
        ProfileLine(score=score, definition_prompt=f"line {place}", value_key="v") for place, score in enumerate(scores)
    ]
    assert select_lines(lines, n) == [lines[place] for place in chosen_by_hand(scores, n)]


def test_of_equal_lines_the_first_counts_as_the_highest_and_the_last_as_the_lowest() -> None:
    lines = [ProfileLine(score=0, definition_prompt=text, value_key="v") for text in "abcde"]
    assert [read.definition_prompt for read in select_lines(lines, 3)] == ["a", "b", "e"]
    assert [read.definition_prompt for read in select_lines(lines, 4)] == ["a", "b", "d", "e"]


def test_a_short_profile_shows_each_line_once() -> None:
    lines = [ProfileLine(score=score, definition_prompt="d", value_key=str(score)) for score in (-0.5, 0.5, 0.1)]
    for n in (3, 4, 8):
        assert [read.score for read in select_lines(lines, n)] == [0.5, 0.1, -0.5]


# ---- Which file


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("SEX_Male", "SEX_Male.json"),
        ("INCOME_$100,000 or more", "INCOME__100_000_or_more.json"),
        ("INCOME_Less than $30,000", "INCOME_Less_than_30_000.json"),
        ("EDUCATION_College graduate/some postgrad", "EDUCATION_College_graduate_some_postgrad.json"),
        ("EDUCATION_Less than high school", "EDUCATION_Less_than_high_school.json"),
        ("RELIG_Nothing in particular", "RELIG_Nothing_in_particular.json"),
        ("AGE_18-29", "AGE_18-29.json"),
        ("a_ _b", "a___b.json"),
    ],
)
def test_an_attribute_names_its_file(attribute: str, name: str) -> None:
    assert profile_file_name(attribute) == name


@given(BRIEF)
def test_a_file_name_holds_plain_signs_only_and_runs_of_others_become_one(attribute: str) -> None:
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    wanted, before = "", True
    for sign in attribute:
        if sign in plain:
            wanted += sign
        elif before:
            wanted += "_"
        before = sign in plain
    assert profile_file_name(attribute) == wanted + ".json"


@given(BRIEF)
def test_a_name_that_is_plain_already_names_the_same_file(attribute: str) -> None:
    name = profile_file_name(attribute)
    assert profile_file_name(name.removesuffix(".json")) == name


@pytest.mark.skipif(not REAL.is_dir(), reason="the real profiles are not on this machine")
def test_every_attribute_of_the_real_survey_finds_its_profile() -> None:
    items = json.loads((REAL.parent / "opinionqa_sample.json").read_text(encoding="utf-8"))
    attributes = {item["attribute"] for item in items}
    assert {profile_file_name(attribute) for attribute in attributes} == {path.name for path in REAL.glob("*.json")}
    for theory in THEORIES:
        profiles = load_profiles(str(REAL), (item["attribute"] for item in items), load_theory(theory))
        assert set(profiles) == attributes


def test_lines_come_band_by_band_as_they_stand_in_the_file(tmp_path: Path, write: Write) -> None:
    values = iter(load_theory("pvq").values)
    bands = {
        band: [line(definition_prompt=f"{band} {place}", value_key=next(values)) for place in range(2)]
        for band in reversed(BANDS)
    }
    write(profile(**bands))
    (lines,) = load_profiles(str(tmp_path), ["SEX_Male"] * 2, load_theory("pvq")).values()
    assert [read.definition_prompt for read in lines] == [f"{band} {place}" for band in BANDS for place in range(2)]


def test_a_file_may_name_its_group_as_the_survey_or_as_the_file_does(tmp_path: Path, write: Write) -> None:
    attribute, name = "INCOME_$100,000 or more", "INCOME__100_000_or_more"
    for named in (attribute, name):
        write(profile(named), f"{name}.json")
        assert list(load_profiles(str(tmp_path), [attribute], load_theory("pvq"))) == [attribute]


@pytest.mark.parametrize("name", ["right", "rights", "Rights", "RIGHT"])
@pytest.mark.parametrize("asked", ["right", "rights"])
def test_right_finds_rights(tmp_path: Path, write: Write, name: str, asked: str) -> None:
    write(profile(theory=name, high=[line(value_key="Civil Rights")]))
    (lines,) = load_profiles(str(tmp_path), ["SEX_Male"], load_theory(asked)).values()
    assert lines == [ProfileLine(score=0.5, definition_prompt="You care.", value_key="Civil Rights")]


def test_a_profile_speaks_of_each_value_of_the_theory_once(tmp_path: Path, write: Write) -> None:
    write(profile(high=[line(value_key="pwr")]))
    assert "theories.pvq: value 'pwr' is not in it; did you mean 'power'?" in fault(tmp_path, "SEX_Male")
    write(profile(high=[line()], low=[line(value_key="Power")]))
    assert "theories.pvq: value 'Power' appears twice" in fault(tmp_path, "SEX_Male")
    twice = profile(high=[line()])
    twice["theories"]["PVQ"] = {"low": [line()]}
    write(twice)
    assert "theories: pvq and PVQ are the same theory; keep one of them" in fault(tmp_path, "SEX_Male")
    write(profile(hgih=[line()]))
    assert "theories.pvq: 'hgih' is no band; did you mean 'high'?" in fault(tmp_path, "SEX_Male")


def test_two_groups_never_share_a_file(tmp_path: Path, write: Write) -> None:
    write(profile("INCOME_<$30,000"), "INCOME__30_000.json")
    with pytest.raises(InputError, match=r"'INCOME_<\$30,000' and 'INCOME_>\$30,000' would share the file"):
        load_profiles(str(tmp_path), ["INCOME_<$30,000", "INCOME_>$30,000"], load_theory("pvq"))


def test_the_packaged_profiles_are_read_by_name() -> None:
    profiles = load_profiles("demo", ["INCOME_$200 a week or more", "CREGION_Hill side"], load_theory("right"))
    assert [len(lines) for lines in profiles.values()] == [7, 7]


# ---- What is no profile


def test_a_missing_profile_is_told_with_its_group_and_the_file_looked_for(tmp_path: Path, write: Write) -> None:
    write(profile("INCOME_$30,000"), "INCOME__30_000.json")
    message = fault(tmp_path, "INCOME_$300,000")
    assert "INCOME_$300,000" in message
    assert str(tmp_path / "INCOME__300_000.json") in message
    assert "did you mean 'INCOME__30_000'" in message


def test_a_folder_without_profiles_has_none(tmp_path: Path) -> None:
    assert str(tmp_path / "SEX_Male.json") in fault(tmp_path)


def test_another_group_s_profile_is_refused(tmp_path: Path, write: Write) -> None:
    path = write(profile("SEX_Female"))
    message = fault(tmp_path)
    assert str(path) in message
    assert "the profile of 'SEX_Female', not of 'SEX_Male'" in message


def test_a_profile_without_the_theory_is_refused(tmp_path: Path, write: Write) -> None:
    path = write(profile(theory="duty"))
    message = fault(tmp_path, theory="mft")
    assert str(path) in message
    assert "nothing of theory 'mft'" in message
    assert "Known: duty" in message


@pytest.mark.parametrize("bands", [{"high": []}, {band: [] for band in BANDS}])
def test_a_theory_without_a_line_is_a_theory_that_is_lacking(
    tmp_path: Path, write: Write, bands: dict[str, list[object]]
) -> None:
    write(profile(**bands))
    assert "nothing of theory 'pvq'" in fault(tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"attribute": "SEX_Male",}', "[" * 100_000, "1" * 5000])
def test_broken_json_is_told(tmp_path: Path, write: Write, content: str) -> None:
    path = write(content)
    message = fault(tmp_path)
    assert "opinionqa.profiles" in message
    assert f"{path} is no readable JSON" in message


def test_a_profile_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "SEX_Male.json").write_bytes(json.dumps(profile()).encode("utf-16"))
    assert "is not UTF-8" in fault(tmp_path)


@pytest.mark.parametrize("score", [1.01, -1.5, 100, math.nan, math.inf, -math.inf, None, "high", [0.5]])
def test_a_score_out_of_its_range_is_told_with_its_place(tmp_path: Path, write: Write, score: object) -> None:
    path = write(profile(low=[line(), line(score)]))
    message = fault(tmp_path)
    assert str(path) in message
    assert "theories.pvq.low.1.score" in message


@pytest.mark.parametrize("score", [-1, 1, 0, -1.0, 1.0])
def test_the_ends_of_the_range_are_scores(tmp_path: Path, write: Write, score: float) -> None:
    write(profile(low=[line(score)]))
    (lines,) = load_profiles(str(tmp_path), ["SEX_Male"], load_theory("pvq")).values()
    assert [read.score for read in lines] == [score]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"theories": {}}, "'attribute' is missing"),
        ({"attribute": "SEX_Male"}, "'theories' is missing"),
        ({"attribute": "SEX_Male", "theories": []}, "theories"),
        (profile(high=5), "theories.pvq.high"),
        (profile(high=[{"score": 0.5, "value_key": "v"}]), "'theories.pvq.high.0.definition_prompt' is missing"),
        (profile(high=[line(definition_prompt=" \n")]), "theories.pvq.high.0.definition_prompt"),
        (profile(high=[line(definition_prompt="\ud800")]), "theories.pvq.high.0.definition_prompt"),
        (profile(high=[line(value_key="")]), "theories.pvq.high.0.value_key"),
    ],
)
def test_what_is_no_profile_is_told_with_its_place(tmp_path: Path, write: Write, content: object, place: str) -> None:
    path = write(content)
    assert fault(tmp_path).startswith(f"{path}: {place}")


@pytest.mark.parametrize("content", [[], 5, None, "text"])
def test_json_of_another_kind_is_no_profile(tmp_path: Path, write: Write, content: object) -> None:
    path = write(json.dumps(content))
    message = fault(tmp_path)
    assert re.match(rf"{re.escape(str(path))}: \w", message), "the fault begins with a word"


@pytest.mark.parametrize(
    "folder", ["nowhere", "file.json", "nul\x00byte", "x" * 5000], ids=["no", "file", "nul", "long"]
)
def test_what_is_no_folder_is_told(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file.json").write_text("{}")
    assert "opinionqa.profiles: there is no folder" in fault(f"{tmp_path}/{folder}")


def test_a_group_whose_name_no_file_can_bear_has_no_profile(tmp_path: Path) -> None:
    assert "opinionqa.profiles: the profile of" in fault(tmp_path, "RELIG_" + "x" * 300)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["attribute", "theories", "pvq", "high", "score"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(50))
@given(st.one_of(JSON, JSON.map(lambda inner: {"attribute": "SEX_Male", "theories": inner})))
def test_no_json_is_more_than_a_fault(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "any_json"
    folder.mkdir(exist_ok=True)
    (folder / "SEX_Male.json").write_text(json.dumps(content))
    fault(folder)


# ---- The published rule


@pytest.mark.parametrize(
    ("scores", "n", "wanted"),
    [
        # Worked by hand: cut to whole numbers these are 0 0 0 0 0 0, so that only the order in the file decides.
        ([0.9, 0.7, 0.2, -0.1, -0.6, -0.9], 4, [5, 4, 0, 1]),
        ([0.9, 0.7, 0.2, -0.1, -0.6, -0.9], 5, [5, 4, 3, 0, 1]),
        # 1 stays 1 and -1 stays -1.
        ([0.5, 1.0, 0.99, -1.0, -0.2], 2, [1, 3]),
        ([0.5, 1.0, 0.99, -1.0, -0.2], 4, [1, 4, 3, 0]),
        ([0.5, -0.5], 6, [1, 0]),
        ([0.5], 4, [0]),
    ],
)
def test_the_published_rule_cuts_scores_to_whole_numbers(scores: list[float], n: int, wanted: list[int]) -> None:
    lines = [
        ProfileLine(score=score, definition_prompt=f"{place}", value_key="v") for place, score in enumerate(scores)
    ]
    assert [int(line.definition_prompt) for line in select_lines_as_published(lines, n)] == wanted
