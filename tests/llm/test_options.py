"""Which of several names an answer chooses."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.llm import read_name

VALUES = ("growth", "self-protection", "Neutral")
LEVEL_2 = ("self-transcendence", "self-enhancement", "openness to change", "conservation")
MFT = ("care/harm", "fairness/cheating", "loyalty/betrayal", "authority/subversion")
SIDES = ("support", "oppose", "neutral")


@pytest.mark.parametrize(
    "answer",
    [
        "self-protection",
        "Self-Protection",
        "SELF-PROTECTION.",
        " self-protection\n",
        "**self-protection**",
        '"self-protection"',
        "`self-protection`",
        "self-protection, since it is about safety",
        "self-protection: it is about safety",
        "self-protection (safety)",
        "self-protection \u2014 it is about safety",
        "- self-protection",
        "Answer: self-protection",
        "The answer is self-protection.",
        "\\boxed{self-protection}",
        "<answer>self-protection</answer>",
        # However its words are joined
        "self\u2011protection",
        "self\u2010protection",
        "self\u2013protection",
        "self\u2212protection",
        "self\u00adprotection",
        "self\uff0dprotection",
        "Self Protection",
        "self_protection",
        "self  protection",
        "self\u00a0protection",
        "self - protection",
        "selfprotection",
        "self/protection",
        "\u200bself-protection",
        # Objects, dressed in any way
        '{"answer": "self-protection"}',
        '```json\n{"answer": "self-protection"}\n```',
        '```\n{"answer": "self-protection"}\n```\nIt is about safety, not growth.',
        '{"answer": "self-protection"}\n\nIt is about safety.',
        'I choose {"answer": "self-protection"} here.',
        "{'answer': 'self-protection'}",
        '{"Answer": "Self Protection"}',
        '```json\n{"option": "self-protection"}\n```',
        '{"reason": "It is not growth", "answer": "self\\u2011protection"}',
        "```\nself-protection\n```",
        # A later "Answer:" wins
        "- growth: change\n- self-protection: safety\n\nAnswer: self-protection",
        "growth, self-protection\nAnswer: self-protection",
        "It could be growth. Answer: self-protection",
        "growth? No.\n\n**Final answer:** Self-Protection",
        "Growth would be change.\nThe answer is self-protection.",
        "Answer: growth\nNo, that is wrong.\nAnswer: self-protection",
        # Other names among other words
        "self-protection, not growth",
        "self-protection. Growth has nothing to do with it.",
        "self-protection\nGrowth does not fit.",
    ],
)
def test_the_second_name_is_read(answer: str) -> None:
    assert read_name(answer, VALUES) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "growth, self-protection",
        "growth and self-protection",
        "growth or self-protection",
        "growth or maybe self-protection",
        "growth / self-protection",
        "growth/self-protection",
        "growth & self-protection",
        "growth; self-protection.",
        "growth\nself-protection",
        "- growth\n- self-protection",
        "1. growth\n2. self-protection",
        "- growth: change\n- self-protection: safety\n- Neutral: none",
        "growth: change\nself-protection: safety",
        "growth: no. self-protection: yes.",
        "growth (self-protection)",
        "growth. Self-protection.",
        "growth - self\u2011protection",
        "Growth, Self Protection and Neutral",
        "Both growth and self-protection",
        "Neither growth nor self-protection",
        "Either growth or self-protection",
        "Answer: growth, self-protection",
        "growth\nAnswer: growth or self-protection",
        '{"answer": "growth, self-protection"}',
        '{"answer": "growth"} {"answer": "self-protection"}',
        "growth?",
        "not growth",
        "growths",
        "grow",
        "I would say growth",
        "protection",
        "self",
        "",
        " ",
        "{}",
        '{"answer": null}',
        "None",
    ],
)
def test_several_names_or_none_are_no_vote(answer: str) -> None:
    assert read_name(answer, VALUES) is None


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("names", [LEVEL_2, MFT])
def test_names_are_read_however_their_words_are_joined(names: tuple[str, ...], index: int) -> None:
    words = re.split("[-/ ]", names[index])
    for joint in ("-", " ", "_", "/", " / ", "\u2011", "\u2013", "", "  "):
        for cased in (str, str.upper, str.title):
            answer = joint.join(cased(word) for word in words)
            assert read_name(answer, names) == index, answer
            assert read_name(f"Answer: {answer}.", names) == index, answer


@pytest.mark.parametrize("side", range(3))
def test_sides_are_read_and_hedges_are_not(side: int) -> None:
    assert read_name(SIDES[side].title() + ".", SIDES) == side
    assert read_name(f"{SIDES[side]}. It does not {SIDES[side - 1]} it.", SIDES) == side
    assert read_name(f"{SIDES[side]} or {SIDES[side - 1]}", SIDES) is None


def test_a_name_that_begins_another_is_told_from_it() -> None:
    names = ("benevolence", "benevolence-caring", "benevolence: dependability")
    assert [read_name(name, names) for name in names] == [0, 1, 2]
    assert read_name("Benevolence Caring", names) == 1
    assert read_name("benevolence", names, truncated=True) is None


def test_of_a_cut_answer_the_beginning_of_one_name_is_that_name() -> None:
    assert read_name("self-pro", VALUES, truncated=True) == 1
    assert read_name("Self\u2011Pro", VALUES, truncated=True) == 1
    assert read_name("selfpro", VALUES, truncated=True) == 1
    assert read_name("self-pro", VALUES) is None
    assert read_name("self-", LEVEL_2, truncated=True) is None
    assert read_name("", VALUES, truncated=True) is None


def test_a_fence_around_a_fence_names_nothing() -> None:
    assert read_name("```\ngrowth\n```", VALUES) == 0
    assert read_name("```growth\n```self-protection\n```", VALUES) is None
    assert read_name("\n```growth\nself-protection\n```", VALUES) is None
    assert read_name("```text\nself-protection\n```", VALUES) == 1


# ---- Against a strict reader


def bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def strictly(answer: str, names: tuple[str, ...]) -> set[int]:
    """The names whose letters stand in the answer in a row, whatever is between them."""
    return {index for index, name in enumerate(names) if bare(name) in bare(answer)}


PIECES = st.sampled_from(
    [
        *("growth", "self-protection", "Self Protection", "self\u2011protection", "Neutral", "neutral", "Growth"),
        *(", ", " ", "\n", ". ", ": ", "; ", " / ", " - ", "?", "!", "(", ")", '"', "'", "*", "`", "- ", "1. "),
        *(" and ", " or ", " not ", "Both ", "Answer: ", "The answer is ", '{"answer": "', '"}', "```json\n", "\n```"),
    ]
)


def check_against_strict_reader(answer: str) -> None:
    for truncated in (False, True):
        index = read_name(answer, VALUES, truncated=truncated)
        if index is None or truncated:
            continue
        named = strictly(answer, VALUES)
        assert index in named
        # Where the names stand by themselves, with nothing but signs between, there is no choice among them.
        only_names = re.sub("|".join(["growth", "self.?protection", "neutral"]), "", answer.casefold())
        assert len(named) == 1 or re.search(r"[a-z]", only_names), answer


@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_vote_is_read_that_a_strict_reader_contradicts(answer: str) -> None:
    check_against_strict_reader(answer)


@pytest.mark.slow
@settings(max_examples=examples(4_000))
@given(st.lists(PIECES, max_size=20).map("".join))
def test_no_vote_of_many_is_read_that_a_strict_reader_contradicts(answer: str) -> None:
    check_against_strict_reader(answer)


@given(st.text(max_size=100), st.lists(st.text(max_size=10), min_size=1, max_size=6), st.booleans())
def test_no_answer_and_no_name_breaks_the_reader(answer: str, names: list[str], truncated: bool) -> None:
    index = read_name(answer, names, truncated=truncated)
    assert index is None or 0 <= index < len(names)
    read_name(json.dumps({"answer": answer}), names, truncated=truncated)


HUGE = (
    *(
        "growth, " * 12_000,
        "growth\n" * 14_000,
        "\n" * 100_000 + "?",
        "-" * 100_000,
        '{"answer": "' * 8_000,
        "{" * 100_000,
    ),
    *("Answer: " * 12_000, "growth " + "- " * 50_000, "self" + "-" * 100_000, "a\n" * 50_000, ". Answer" * 12_000),
)


@pytest.mark.parametrize("answer", HUGE, ids=[answer[:10].strip() for answer in HUGE])
def test_a_hundred_kilobytes_choose_nothing_but_what_they_name(answer: str) -> None:
    for truncated in (False, True):
        assert read_name(answer, VALUES, truncated=truncated) in (None, 0, 1)
