"""What an answer may look like, and how it is read."""

import json
import re
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueflow.judge import MAX_ITEMS_IN_GRAMMAR, MAX_ITEMS_IN_SCHEMA, permutation_constraint, read_ranking


def sentences(grammar: str) -> set[str]:
    """Every sentence of a grammar without recursion, expanded literally."""
    rules = dict(line.split(" ::= ") for line in grammar.splitlines())

    def expand(rule: str) -> set[str]:
        found: set[str] = set()
        for branch in rules[rule].split(" | "):
            parts = re.findall(r'"[^"]*"|\S+', branch)
            choices = [{part[1:-1]} if part.startswith('"') else expand(part) for part in parts]
            found |= {"".join(chosen) for chosen in product(*choices)}
        return found

    return expand("root")


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_the_grammar_holds_the_permutations_and_nothing_else(k: int) -> None:
    wanted = {json.dumps(order) for order in permutations(range(1, k + 1))}
    assert sentences(permutation_constraint(k).grammar) == wanted


def test_the_grammar_grows_with_the_sets_of_items_not_with_their_orders() -> None:
    grammar = permutation_constraint(MAX_ITEMS_IN_GRAMMAR).grammar
    assert len(grammar.splitlines()) == 2**MAX_ITEMS_IN_GRAMMAR


@pytest.mark.parametrize("k", [2, 4, MAX_ITEMS_IN_SCHEMA])
def test_the_schema_lists_the_permutations(k: int) -> None:
    schema = permutation_constraint(k).schema["properties"]["ranking"]
    assert [tuple(map(int, order.split())) for order in schema["enum"]] == list(permutations(range(1, k + 1)))
    for order in schema["enum"]:
        assert read_ranking(json.dumps({"ranking": order}), k)[0] == tuple(map(int, order.split()))


def test_longer_windows_ask_for_so_many_numbers() -> None:
    constraint = permutation_constraint(12)
    assert constraint.schema["properties"]["ranking"]["minItems"] == 12
    assert constraint.grammar.count("item") == 12 + 1
    assert read_ranking(json.dumps({"ranking": list(range(12, 0, -1))}), 12)[0] == tuple(range(12, 0, -1))


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
