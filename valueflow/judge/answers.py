"""What a language model may answer to a ranking prompt, and how its answer is read."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations
from typing import Any

from valueflow.llm import Constraint

MAX_ITEMS_IN_GRAMMAR = 8
"""Windows of more items: the grammar holds the number of items only; its rules double with every item."""

MAX_ITEMS_IN_SCHEMA = 6
"""The same for JSON schemas, which must list every permutation; servers take some 1,000 entries."""

_LONGEST_READ = 20_000

_ITEM = r"(?:(?:item|text|no\.?|#)\s*)?(\d{1,5})"
_BARE_ITEM = _ITEM.replace("(\\d", "(?:\\d")
_LIST = re.compile(r"\[([^\[\]]*)\]")
_LISTED = re.compile(rf"\s*[\"']?{_ITEM}[\"']?\s*", re.IGNORECASE)
_CHAIN = re.compile(rf"{_BARE_ITEM}(?:\s*(?:,?\s*then\s+|->|[,;>\u2192\s-])\s*{_BARE_ITEM})+\s*\.?", re.IGNORECASE)
_ABOVE = re.compile(rf"{_BARE_ITEM}(?:\s*(?:->|[>\u2192])\s*{_BARE_ITEM})+", re.IGNORECASE)
_NUMBERED_LINE = re.compile(rf"\s*(\d{{1,5}})\s*[.):]\s*{_ITEM}\s*\.?\s*", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,5}")


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


def read_ranking(answer: str, k: int, *, truncated: bool = False) -> tuple[tuple[int, ...], str]:
    """Read the ranking in an answer.

    Numbers in prose are not a ranking: answers that repeat the texts or refuse to rank them name the items, too.

    Parameters
    ----------
    answer
        What the model said. Besides `[2, 1, 3]`, alone or among words, it may be a JSON object with `ranking`, a line
        of bare numbers (`2 > 1 > 3`, also after a colon), or a numbered list with only an item's number on each line.
    k
        Items in the window.
    truncated
        Whether the answer ended at its token limit; then only a whole list counts.

    Returns
    -------
    (order, fault)
        The k item numbers and an empty fault; or no numbers and what is wrong with the answer.
    """
    if len(answer) > _LONGEST_READ:
        return (), "the answer is far too long"
    # Runs of blanks go, since patterns that allow some between items would try every way to part them.
    answer = re.sub(r"[^\S\n]+", " ", re.sub(r"[*`]", "", answer)).strip()
    if not answer:
        return (), "the answer is empty"
    candidates = [*_lists(answer), *([] if truncated else _chains(answer))]
    items = list(range(1, k + 1))
    found = {tuple(numbers) for numbers in candidates if sorted(numbers) == items}
    if len(found) == 1:
        return found.pop(), ""
    if found:
        return (), "the answer holds different rankings"
    if truncated:
        return (), "the answer was cut at its token limit"
    if any(len(numbers) > 1 for numbers in candidates):
        return (), "the answer does not name each item exactly once"
    return (), "the answer holds no ranking"


def _lists(answer: str) -> Iterator[list[int]]:
    """Yield the lists in brackets, except those quoted among other words."""
    for match in _LIST.finditer(answer):
        around = answer[max(match.start() - 1, 0) : match.start()] + answer[match.end() : match.end() + 1]
        is_quoted = len(around) == 2 and around[0] in "\"'\u201c" and around[1] in "\"'\u201d.,"
        if is_quoted and len(answer) > len(match.group()) + 2:
            continue
        parts = [_LISTED.fullmatch(part) for part in match.group(1).split(",")]
        if len(parts) > 1 and all(parts):
            yield [int(part.group(1)) for part in parts if part]


def _chains(answer: str) -> Iterator[list[int]]:
    """Yield rankings without brackets: in an object, in a line or at its end, down the lines, as a numbered list."""
    ranking = _ranking_in_object(answer)
    if ranking is not None:
        yield _numbers(ranking)
        return
    # `[2] > [1]` is `2 > 1`.
    lines = [line.strip() for line in re.sub(r"\[\s*(\d{1,5})\s*\]", r"\1", answer).splitlines() if line.strip()]
    for line in lines:
        for part in {line, line.rpartition(":")[2].strip()}:
            if _CHAIN.fullmatch(part):
                yield _numbers(part)
        yield from (_numbers(chain.group()) for chain in _ABOVE.finditer(line) if not _CHAIN.fullmatch(line))
    if len(lines) > 1 and all(re.fullmatch(_ITEM, line.rstrip("."), re.IGNORECASE) for line in lines):
        yield _numbers(" ".join(lines))
    rows = [row for line in lines if (row := _NUMBERED_LINE.fullmatch(line))]
    if len(rows) > 1 and [int(row.group(1)) for row in rows] == list(range(1, len(rows) + 1)):
        yield [int(row.group(2)) for row in rows]


def _ranking_in_object(answer: str) -> str | None:
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    ranking = content.get("ranking") if isinstance(content, dict) else None
    return ranking if isinstance(ranking, str) else None


def _numbers(text: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(text)]
