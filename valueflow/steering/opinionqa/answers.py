"""What a model may answer to a question with options, and how its answer is read."""

import json
import re
from collections.abc import Sequence
from functools import cache

from valueflow.llm import Constraint
from valueflow.steering.opinionqa.questions import LETTERS

# A letter is one by what follows it: nothing or a sign, or else the text of its own option.
_ALONE = re.compile(r"\(?\s*([A-Z](?=\s*(?:$|[.:](?!\w)|\)|\n|-\s))|[a-z](?=\s*(?:$|[.:](?!\w)|\))))")
_BEFORE_ITS_TEXT = re.compile(r"([A-Z])[\s.:)-]+(.+)", re.DOTALL)


@cache
def letter_constraint(n: int) -> Constraint:
    """Return what lets only the letter of one of n options through.

    There is no JSON schema: an object around a letter takes more tokens than an answer has. A server that knows no
    grammars answers freely, and `read_option` reads.
    """
    letters = " | ".join(f'"{letter}"' for letter in LETTERS[:n])
    return Constraint(name=f"one_of_{n}_letters", grammar=f"root ::= {letters}")


def read_option(answer: str, options: Sequence[str], *, cut: bool = False) -> int | None:
    """Read the chosen option at the START of an answer.

    Parameters
    ----------
    answer
        What the model said: a letter by itself (`B`), with a sign after it (`B. Very likely`, `(B)`), after `Answer:`,
        or an option's own text. A letter that begins a sentence (`A Democrat`, `I am`) is a word and no option.
    options
        The texts of the options, in the order of their letters.
    cut
        Whether the answer ended at its token limit; then the beginning of two options is neither.

    Returns
    -------
    int or None
        Index of the option; None where the start of the answer names none.
    """
    text = re.sub(r"[*`\"\u201c\u201d]+", "", _unwrapped(answer)).strip()
    text = re.sub(r"^(?:the\s+)?(?:final\s+)?answer(?:\s+is)?\s*[:\-]?\s*", "", text, flags=re.IGNORECASE)
    text = re.sub(r"^option\s+(?=\(?[A-Za-z]\b)", "", text, flags=re.IGNORECASE)
    named = _letter(text, options)
    return named if named is not None else _own_text(text, options, cut=cut)


def _letter(text: str, options: Sequence[str]) -> int | None:
    match = _ALONE.match(text)
    if match is not None:
        return _index(match[1], options)
    match = _BEFORE_ITS_TEXT.match(text)
    index = None if match is None else _index(match[1], options)
    if match is None or index is None:
        return None
    own, rest = _folded(options[index]), _folded(match[2])
    return index if rest and (own.startswith(rest) or rest.startswith(own)) else None


def _own_text(text: str, options: Sequence[str], *, cut: bool) -> int | None:
    said = _folded(text)
    own = [_folded(option) for option in options]
    # The longest first: "No opinion" begins with "No".
    for index in sorted(range(len(own)), key=lambda index: -len(own[index])):
        if re.match(rf"{re.escape(own[index])}(?!\w)", said) and own[index]:
            longer = [other for other in own if other != own[index] and other.startswith(said)]
            return None if (cut and longer) or own.count(own[index]) > 1 else index
    return None


def _index(letter: str, options: Sequence[str]) -> int | None:
    index = LETTERS.index(letter.upper())
    return index if index < len(options) else None


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold().strip(" .")


def _unwrapped(answer: str) -> str:
    """Return what a JSON object with one text holds; anything else as it is."""
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    if isinstance(content, dict) and len(content) == 1:
        (content,) = content.values()
    return content if isinstance(content, str) else answer
