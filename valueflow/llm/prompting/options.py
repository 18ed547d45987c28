"""Answers that choose one of several options by its text: what they may be, and how they are read."""

import json
import re
import unicodedata
from collections.abc import Sequence

from valueflow.llm.protocol import Constraint

_LONGEST_READ = 10_000

_MARKUP = re.compile(r"[*`$\"\u201c\u201d]+|\\boxed\{|</?[a-z]+>")
_INTRODUCTION = re.compile(
    r"(?:the\s+)?(?:(?:final|best|correct)\s+)?(?:answer|option|choice)\b(?:\s+is\b)?\s*[:-]?\s*", re.IGNORECASE
)


def name_constraint(names: Sequence[str]) -> Constraint:
    """Return what lets only one of some names through; the order of the names makes no difference."""
    ordered = sorted(set(names))
    # A string of the grammar has the escapes of a JSON string.
    literals = " | ".join(json.dumps(name, ensure_ascii=False) for name in ordered)
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": ordered}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    return Constraint(name=f"one_of_{len(ordered)}_names", grammar=f"root ::= {literals}", schema=schema)


def read_name(answer: str, names: Sequence[str], *, truncated: bool = False) -> int | None:
    """Read which name stands at the START of an answer, alone or followed by a sign, perhaps after `Answer:`.

    Parameters
    ----------
    answer
        What the model said, also as a JSON object with `answer`.
    names
        The names that there are.
    truncated
        Whether the answer ended at its token limit; then the beginning of one name alone is that name.

    Returns
    -------
    int or None
        Index of the name; None where the start of the answer names none, or more than one.
    """
    found = (named_option(said, names, truncated=truncated) for said in readings(answer))
    return next((index for index in found if index is not None), None)


def readings(answer: str) -> tuple[str, str]:
    """Return an answer without its JSON object, markup and superfluous space; and that without a leading `Answer:`."""
    # Models that think in Chinese write letters and signs in full width.
    text = _MARKUP.sub("", unicodedata.normalize("NFKC", _unwrapped(answer))).strip()
    text = re.sub(r"[^\S\n]+", " ", text)[:_LONGEST_READ]
    return text, _INTRODUCTION.sub("", text, count=1)


def named_option(text: str, options: Sequence[str], *, truncated: bool) -> int | None:
    """Return the index of the option that a reading begins with; the longest, where one option begins another."""
    said = folded(text.partition("\n")[0])
    own = [folded(option) for option in options]
    matching = [index for index, option in enumerate(own) if said and option.startswith(said)]
    if truncated and matching:
        # The answer may have been about to name any of these.
        return matching[0] if len(matching) == 1 else None
    named = [
        index for index, option in enumerate(own) if option and re.match(rf"{re.escape(option)}(?=$|[.,;:!?)])", said)
    ]
    # "No, not at all" may be an option beside "No": the longest counts.
    longest = [index for index in named if len(own[index]) == max(len(own[other]) for other in named)]
    return longest[0] if len(longest) == 1 else None


def folded(text: str) -> str:
    """Reduce a text to what an answer must have in common with it: no markup, case, superfluous space or full stop."""
    return " ".join(_MARKUP.sub("", text).split()).casefold().strip(" .")


def _unwrapped(answer: str) -> str:
    """Return the answer in a JSON object, or its only text; anything else as it is."""
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    if isinstance(content, dict):
        content = content.get("answer", next(iter(content.values()), None) if len(content) == 1 else None)
    return content if isinstance(content, str) else answer
