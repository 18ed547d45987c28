"""How rankings are read from answers."""

import json
import re
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.judge import read_ranking


@pytest.mark.parametrize(
    "answer",
    [
        "[2, 3, 1]",
        "  [2,3,1]\n",
        "```json\n[2, 3, 1]\n```",
        "The ranking is [2, 3, 1], since item 2 supports it most.",
        '["2", "3", "1"]',
        "[Item 2, Item 3, Item 1]",
        '{"ranking": [2, 3, 1]}',
        '{"ranking": "2 3 1"}',
        "2, 3, 1",
        "2 > 3 > 1",
        "2\n3\n1",
        "Item 2, then item 3, then item 1.",
        "1. Item 2\n2. Item 3\n3. Item 1",
        "1) 2\n2) 3\n3) 1",
        "[2, 3, 1] and once more: [2, 3, 1]",
        "I saw the list [1, 2] in a text. [2, 3, 1]",
        "[2] > [3] > [1]",
        "2-3-1",
        "2 -> 3 -> 1",
        "**1.** 2\n**2.** 3\n**3.** 1",
        "Ranking:\n1. Item 2\n2. Item 3\n3. Item 1",
        "My ranking: 2 > 3 > 1",
        "Ranking: 2, 3, 1.",
        "Item 2 > Item 3 > Item 1, as I see it.",
        'Text 2 says "[1, 2, 3]", which I ignore. [2, 3, 1]',
        'Text 2 says "[1, 2, 3]", which I ignore. My ranking: 2 > 3 > 1',
        # Objects, dressed in any way
        '```json\n{"ranking": "2 3 1"}\n```',
        '```\n{"ranking": [2, 3, 1]}\n```\nItem 2 shares most.',
        '{"ranking": "2 3 1"}\n\nThe second text supports it most.',
        'Here you are: {"ranking": "2 3 1"}',
        "{'ranking': '2 3 1'}",
        "{'ranking': [2, 3, 1]}",
        '{"Ranking": "2, 3, 1"}',
        '{"ranking": "2 > 3 > 1"}',
        '{"ranking": ["Item 2", "Item 3", "Item 1"]}',
        '{"reason": "Text 1 is cold", "ranking": "2 3 1",}',
        '{"answer": {"ranking": [2, 3, 1]}}',
        "{\u201cranking\u201d: \u201c2 3 1\u201d}",
        "{ranking: [2, 3, 1]}",
        '{"texts": [1, 2, 3], "ranking": [2, 3, 1]}',
        # Other brackets and signs
        "(2, 3, 1)",
        "Ranking: (2,3,1).",
        "[2 3 1]",
        "[2 > 3 > 1]",
        "2, 3, and 1",
        "2, 3 and 1.",
        "[2, 3, and 1]",
        "2 \u227b 3 \u227b 1",
        "2 \u2192 3 \u2192 1",
        "2 => 3 => 1",
        "2 \u2013 3 \u2013 1",
        "2\u20143\u20141",
        "- 2\n- 3\n- 1",
        "\u2022 Item 2\n\u2022 Item 3\n\u2022 Item 1",
        "\uff3b2\uff0c3\uff0c1\uff3d",
        "2\u30013\u30011",
        "Item 2, followed by item 3, followed by item 1",
        "Rank 1: Item 2\nRank 2: Item 3\nRank 3: Item 1",
        "1st: item 2\n2nd: item 3\n3rd: item 1",
        "| Rank | Item |\n|------|------|\n| 1 | 2 |\n| 2 | 3 |\n| 3 | 1 |",
        "| Item | Rank | Reason |\n|:--|--:|---|\n| 1 | 3 | cold |\n| 2 | 1 | warm |\n| 3 | 2 | so so |",
        "Position | Text\n1. | Text 2\n2. | Text 3\n3. | Text 1",
        # Words that only look like a refusal, a tie or another direction
        "I apologize for the confusion. [2, 3, 1]",
        "From most supportive to least supportive: [2, 3, 1]",
        "Most supportive first, least supportive last: [2, 3, 1]",
        "The author of text 1 won't help anybody, so it comes last: [2, 3, 1]",
        'Text 3 says "I cannot rank my friends", text 1 less. [2, 3, 1]',
        "All other texts are unrelated. [2, 3, 1]",
        "[2, 3, 1]\n\nTexts 3 and 1 are close to each other.",
    ],
)
def test_rankings_are_found_in_what_models_write(answer: str) -> None:
    assert read_ranking(answer, 3) == ((2, 3, 1), "")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("I would rather not rank these.", "no ranking"),
        ("2", "no ranking"),
        ("[]", "no ranking"),
        ("[2, 3]", "each item exactly once"),
        ("[2, 3, 3]", "each item exactly once"),
        ("[2, 3, 4]", "each item exactly once"),
        ("[2, 3, 1, 4]", "each item exactly once"),
        ("[0, 1, 2]", "each item exactly once"),
        ("[1.5, 2, 3]", "no ranking"),
        ("[-1, 2, 3]", "no ranking"),
        ("[2, 3, 1] or [1, 2, 3]", "different rankings"),
        ("2, 3", "each item exactly once"),
        ("I cannot rank texts 1, 2 and 3.", "no ranking"),
        ("None of the texts (1, 2, 3) support it.", "no ranking"),
        ("1. Text one\n2. Text two\n3. Text three", "no ranking"),
        ('1. "Cooked for all"\n2. "I help nobody"\n3. "The bus is late"', "no ranking"),
        ("1. I cooked 1 meal\n2. He gave 2 coins\n3. We are 3", "no ranking"),
        ("3 < 1 < 2", "no ranking"),
        ("2 = 1 > 3", "each item exactly once"),
        ('Text 2 says "[1, 2, 3]".', "no ranking"),
        ("I first thought [1, 2, 3]. My ranking: 3 > 2 > 1", "different rankings"),
        ("1" * 5000 + ". 2\n2. 1\n3. 3", "no ranking"),
        ("2, 3" + " " * 15_000 + "x", "no ranking"),
        ("2" + " -" * 9_000, "no ranking"),
        ("[" * 5000, "no ranking"),
        ("9" * 3000, "no ranking"),
        ("[2, 3, 1] " * 5000, "too long"),
        ('{"ranking": null}', "no ranking"),
        ('{"ranking": "2 of the 3, then 1"}', "no ranking"),
        ('{"ranking": "2 3"}', "each item exactly once"),
        ('{"ranking": "2 3 1"} or {"ranking": "1 3 2"}', "different rankings"),
        ('{"ranking": "2 3 1"} or rather [1, 3, 2]', "different rankings"),
        ('Text 2 says "{"ranking": "1 3 2"}".', "no ranking"),
        ("| Item | Rank |\n|---|---|\n| 1 | 2 |\n| 2 | 2 |\n| 3 | 1 |", "no ranking"),
        ("| 1 | 2 |\n| 2 | 3 |\n| 3 | 1 |", "no ranking"),
        ("The texts (2, 3, 1) are short.", "no ranking"),
        # Refusals
        ("I'm sorry, but I can't rank these: 2, 3, 1", "refuses"),
        ("I\u2019m sorry, but I can\u2019t rank these texts: [2, 3, 1].", "refuses"),
        ("I cannot assist with that. Ranking: 2 > 3 > 1", "refuses"),
        ("I won't do this. [2, 3, 1]", "refuses"),
        ("I am unable to order texts by that: 2, 3, 1", "refuses"),
        ("These texts cannot be ranked: [2, 3, 1]", "refuses"),
        ("It is not possible to rank them: 2, 3, 1", "refuses"),
        ("I would rather not judge people. [2, 3, 1]", "refuses"),
        ("There is no meaningful ranking of these: [2, 3, 1]", "refuses"),
        ("As an AI, I do not feel comfortable to rank them: 2, 3, 1", "refuses"),
        # Ties
        ("They are all equal: 2, 3, 1", "equal"),
        ("All three texts are tied: [2, 3, 1]", "equal"),
        ("The texts seem equally relevant to me: [2, 3, 1]", "equal"),
        ("All of the texts support it in the same way. [2, 3, 1]", "equal"),
        ("None has to do with it, so I use an arbitrary order: [2, 3, 1]", "equal"),
        ("In no particular order: 2, 3, 1", "equal"),
        # The other direction
        ("From least to most supportive: [2, 3, 1]", "least supportive item first"),
        ("Ranked from the least supportive to the most supportive: 2 > 3 > 1", "least supportive item first"),
        ('{"ranking": "2 3 1"} (least supportive first)', "least supportive item first"),
        ("Weakest to strongest: 2, 3, 1", "least supportive item first"),
        ("In ascending order of support: [2, 3, 1]", "least supportive item first"),
        ("Starting with the least supportive: [2, 3, 1]", "least supportive item first"),
        ("[2, 3, 1], the most supportive last", "least supportive item first"),
        ("least -> most: [2, 3, 1]", "least supportive item first"),
        ('{"least_to_most": [2, 3, 1]}', "least supportive item first"),
        ('{"ranking": "2 3 1", "direction": "from least to most"}', "least supportive item first"),
        # Counting
        ("The texts are: 1, 2, 3", "ascending"),
        ("Here are the texts: 1, 2, and 3.", "ascending"),
        ("I have read texts [1, 2, 3] and will think about them.", "ascending"),
        ("Texts:\n1. Item 1\n2. Item 2\n3. Item 3", "ascending"),
        ("None of them supports it. Ranking: [1, 2, 3]", "ascending"),
        ("They are the same to me, so my answer is [1, 2, 3].", "ascending"),
    ],
)
def test_what_is_no_ranking_says_what_is_wrong(answer: str, fault: str) -> None:
    order, reported = read_ranking(answer, 3)
    assert order == ()
    assert fault in reported


def test_of_an_answer_that_was_cut_only_a_whole_list_counts() -> None:
    assert read_ranking("[2, 3, 1], since item 2", 3, truncated=True) == ((2, 3, 1), "")
    for answer in ("2, 3, 1", "1. 2\n2. 3\n3. 1", "[2, 3"):
        assert read_ranking(answer, 3, truncated=True) == ((), "the answer was cut at its token limit")


@pytest.mark.parametrize(
    "answer",
    [
        "[1, 2, 3]",
        "1, 2, 3",
        "1 > 2 > 3",
        "My ranking: 1 > 2 > 3",
        "The ranking is [1, 2, 3], since item 1 supports it most.",
        "Answer: [1, 2, 3].",
        "[1, 2, 3]\n\nText 1 shares most.",
        "Item 1, then item 2, then item 3.",
        "1\n2\n3",
        '{"ranking": "1 2 3"}',
    ],
)
def test_a_ranking_in_the_order_shown_is_one_where_it_is_called_so(answer: str) -> None:
    assert read_ranking(answer, 3) == ((1, 2, 3), "")


@given(st.text(max_size=200), st.integers(2, 12))
def test_whatever_comes_back_is_a_permutation_or_a_fault(answer: str, k: int) -> None:
    order, fault = read_ranking(answer, k)
    assert bool(order) != bool(fault)
    assert not order or sorted(order) == list(range(1, k + 1))


@given(
    st.permutations(list(range(1, 8))),
    st.sampled_from(["{}", "Answer: {}.", "{}\n\nI hope this helps!", "```\n{}\n```"]),
)
def test_every_ranking_is_read_back(order: list[int], around: str) -> None:
    assert read_ranking(around.replace("{}", json.dumps(order)), 7) == (tuple(order), "")


# ---- Against a strict reader


def strictly(answer: str, k: int) -> set[tuple[int, ...]]:
    """All permutations of 1 to k that stand in an answer as its numbers in a row, whatever is between them."""
    numbers = [int(number) for number in re.findall(r"\d+", answer)]
    # Of a numbered list or a table, every other number.
    rows = [numbers, numbers[::2], numbers[1::2]]
    runs = {tuple(row[at : at + k]) for row in rows for at in range(len(row) - k + 1)}
    by_rank = {tuple(item for _, item in sorted(zip(row, other, strict=False))) for row in rows for other in rows}
    return {run for run in runs | by_rank if sorted(run) == list(range(1, k + 1))}


PIECES = st.sampled_from(
    [
        *(*"123123[](){}|*#", ", ", " ", "\n", " > ", "-", ". ", ": ", '"', "'", " and ", "then ", "\u227b", "\u2013"),
        *("Item ", "Text ", "ranking", '{"ranking": "', '"}', "Ranking: ", "```json\n", "\n```", "no. "),
        *("I ", "can't ", "rank ", "all ", "equal ", "least ", "to ", "most ", "The texts ", "| Rank | Item |\n"),
    ]
)


def check_against_strict_reader(answer: str) -> None:
    order, fault = read_ranking(answer, 3)
    assert bool(order) != bool(fault)
    if order:
        assert order in strictly(answer, 3)
        assert not re.search(r"can't rank|all equal|least to most", answer)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_no_answer_is_read_that_a_strict_reader_contradicts(answer: str) -> None:
    check_against_strict_reader(answer)


@pytest.mark.slow
@settings(max_examples=examples(4_000))
@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_answer_of_many_is_read_that_a_strict_reader_contradicts(answer: str) -> None:
    check_against_strict_reader(answer)


@pytest.mark.parametrize("form", ["{}", "The ranking: {}", "```json\n{}\n```", "{}\nSo it is.", "**{}**"])
@pytest.mark.parametrize("write", [
    lambda order: json.dumps(order),
    lambda order: json.dumps({"ranking": " ".join(map(str, order))}),
    lambda order: str({"ranking": order}),
    lambda order: str({"ranking": " ".join(map(str, order))}),
    lambda order: f"[{' '.join(map(str, order))}]",
    lambda order: " > ".join(map(str, order)),
    lambda order: " \u227b ".join(f"Item {item}" for item in order),
])  # fmt: skip
def test_every_order_is_read_in_every_dress(form: str, write: object) -> None:
    for order in permutations(range(1, 5)):
        answer = form.replace("{}", write([*order]))  # type: ignore[operator]
        assert read_ranking(answer, 4) == (order, ""), answer


HUGE = (
    *("2" + ", and 2" * 2_500, "(" * 20_000, "{" * 20_000, "{'ranking': '" * 1_500, "| 1 " * 5_000, "1. 2\n" * 4_000),
    *("Rank | Item\n" + "1 | 2\n" * 3_000, "I can't " * 2_500, "least " * 3_000, "all " * 5_000, "> " * 9_000),
    *("ranking" * 2_500, "2, " * 6_000, "I" * 20_000, "no " * 6_000),
)


@pytest.mark.parametrize("answer", HUGE, ids=[answer[:12] for answer in HUGE])
def test_twenty_kilobytes_of_nothing_are_no_ranking(answer: str) -> None:
    assert read_ranking(answer, 3)[0] == ()
