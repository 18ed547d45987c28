"""What a language model may answer to a ranking prompt."""

from functools import cache
from itertools import combinations, permutations
from typing import Any

from valueflow.llm import Constraint

MAX_ITEMS_IN_GRAMMAR = 8
"""Windows of more items: the grammar holds the number of items only; its rules double with every item."""

MAX_ITEMS_IN_SCHEMA = 6
"""The same for JSON schemas, which must list every permutation; servers take some 1,000 entries."""


@cache
def permutation_constraint(k: int) -> Constraint:
    """Return what lets only a permutation of 1 to k through.

    Parameters
    ----------
    k
        Items per window. With more than `MAX_ITEMS_IN_GRAMMAR` (or `_IN_SCHEMA`), an answer can repeat an item, which
        `read_ranking` finds.
    """
    exact = k <= MAX_ITEMS_IN_GRAMMAR
    return Constraint(
        name=f"ranking_of_{k}",
        grammar=_permutation_grammar(k) if exact else _list_grammar(k),
        schema={
            "type": "object",
            "properties": {"ranking": _ranking_schema(k)},
            "required": ["ranking"],
            "additionalProperties": False,
        },
    )


def _permutation_grammar(k: int) -> str:
    """Write the grammar of `[2, 1, 3]`: one rule for each set of items still to come, 2^k in all."""
    rules = [f'root ::= "[" {_rule_name(tuple(range(1, k + 1)))}']
    for size in range(k, 0, -1):
        for left in combinations(range(1, k + 1), size):
            branches = (
                f'"{item}, " {_rule_name(tuple(other for other in left if other != item))}'
                if size > 1
                else f'"{item}]"'
                for item in left
            )
            rules.append(f"{_rule_name(left)} ::= {' | '.join(branches)}")
    return "\n".join(rules)


def _rule_name(left: tuple[int, ...]) -> str:
    # Servers get the grammar with every call, so names are short: the set as a number, one bit per item.
    return f"s{sum(1 << item for item in left):x}"


def _list_grammar(k: int) -> str:
    items = " | ".join(f'"{item}"' for item in range(1, k + 1))
    return f'root ::= "[" {" ".join(["item"] + [chr(34) + ", " + chr(34) + " item"] * (k - 1))} "]"\nitem ::= {items}'


def _ranking_schema(k: int) -> dict[str, Any]:
    if k <= MAX_ITEMS_IN_SCHEMA:
        orders = permutations(range(1, k + 1))
        return {"type": "string", "enum": [" ".join(map(str, order)) for order in orders]}
    return {"type": "array", "items": {"type": "integer", "enum": list(range(1, k + 1))}, "minItems": k, "maxItems": k}
