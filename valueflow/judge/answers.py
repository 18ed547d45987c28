"""What a language model may answer to a ranking prompt, and how its answer is read."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations
from typing import Any

from valueflow.llm import Constraint

MOST_ITEMS_IN_GRAMMAR = 10
"""Windows of more items: the grammar holds the number of items only; its rules double with every item."""

MOST_ITEMS_IN_SCHEMA = 6
"""The same for JSON schemas, which must list every permutation; servers take some 1,000 entries."""

_NUMBERED_LINE = re.compile(r"^\s*(\d+)\s*[.):]\s+(.*)$")
_LIST = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LONGEST_READ = 20_000


@cache
def permutation_constraint(k: int) -> Constraint:
    """Return what lets only a permutation of 1 to k through.

    Parameters
    ----------
    k
        Items in a window. With more than `MOST_ITEMS_IN_GRAMMAR` (or `_IN_SCHEMA`) of them an item could come twice;
        reading the answer finds it.
    """
    exact = k <= MOST_ITEMS_IN_GRAMMAR
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
    return "of-" + "-".join(map(str, left))


def _list_grammar(k: int) -> str:
    items = " | ".join(f'"{item}"' for item in range(1, k + 1))
    return f'root ::= "[" {" ".join(["item"] + [chr(34) + ", " + chr(34) + " item"] * (k - 1))} "]"\nitem ::= {items}'


def _ranking_schema(k: int) -> dict[str, Any]:
    if k <= MOST_ITEMS_IN_SCHEMA:
        orders = permutations(range(1, k + 1))
        return {"type": "string", "enum": [" ".join(map(str, order)) for order in orders]}
    return {
        "type": "array",
        "items": {"type": "integer", "enum": list(range(1, k + 1))},
        "minItems": k,
        "maxItems": k,
    }


def read_ranking(answer: str, k: int) -> tuple[tuple[int, ...], str]:
    """Read the ranking in an answer.

    Parameters
    ----------
    answer
        What the model said. Besides `[2, 1, 3]`, alone or among words, it may be a JSON object with
        `ranking`, bare numbers (`2 > 1 > 3`), or a numbered list with one item a line.
    k
        Items in the window.

    Returns
    -------
    (order, fault)
        The k item numbers and an empty fault; or no numbers and what is wrong with the answer.
    """
    answer = answer.strip()
    if not answer:
        return (), "the answer is empty"
    if len(answer) > _LONGEST_READ:
        return (), "the answer is far too long"
    candidates = list(_candidates(answer))
    items = list(range(1, k + 1))
    found = {tuple(numbers) for numbers in candidates if sorted(numbers) == items}
    if len(found) == 1:
        return found.pop(), ""
    if found:
        return (), "the answer holds different rankings"
    if any(len(numbers) > 1 for numbers in candidates):
        return (), "the answer does not name each item exactly once"
    return (), "the answer holds no ranking"


def _candidates(answer: str) -> Iterator[list[int]]:
    """Yield the lists of whole numbers that could be meant, the plainest reading first found."""
    listed = False
    for match in _LIST.finditer(answer):
        numbers = _whole_numbers(match.group(1))
        if numbers:
            listed = True
            yield numbers
    if listed:
        return
    lines = [_NUMBERED_LINE.match(line) for line in answer.splitlines() if line.strip()]
    if len(lines) > 1 and all(lines):
        rows = [(int(line.group(1)), _whole_numbers(line.group(2))) for line in lines if line]
        if [place for place, _ in rows] == list(range(1, len(rows) + 1)) and all(len(row) == 1 for _, row in rows):
            yield [row[0] for _, row in rows]
            return
    yield _whole_numbers(_ranking_in_object(answer) or answer)


def _ranking_in_object(answer: str) -> str | None:
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    ranking = content.get("ranking") if isinstance(content, dict) else None
    return ranking if isinstance(ranking, str) else None


def _whole_numbers(text: str) -> list[int]:
    """Return the numbers in a text, or none where one of them is no small whole number."""
    found = _NUMBER.findall(text)
    return [int(number) for number in found] if all(number.isdigit() and len(number) < 6 for number in found) else []
