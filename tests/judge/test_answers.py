"""What an answer may look like."""

import json
import re
from itertools import permutations, product

import pytest

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
