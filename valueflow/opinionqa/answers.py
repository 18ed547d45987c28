"""What a model may answer to a question with options, and how its answer is read."""

import re
from collections.abc import Sequence
from functools import cache

from valueflow.llm import Constraint, folded, named_option, readings
from valueflow.opinionqa.questions import LETTERS

# A letter is one by what follows it: nothing or a sign, or else the text of its own option.
_ALONE = re.compile(
    r"(?:-\s+)?[\[(']?\s*(?:([A-Z])\s*(?=$|[.:](?!\w)|[)\]};\n\u3002]|\s\(|'(?!\w)|[-\u2013\u2014]\s|,)"
    r"|([a-z])\s*(?=$|[.:](?!\w)|[)\]}\n]))"
)
_ANOTHER = re.compile(
    r"[\s.,:;/)\]}]*(?:(?:or|and)\s+[(\[]?([A-Z])\b|[(\[]?([A-Z])(?=[.,:;)\]}\n]|\s*$))",
)
_BEFORE_ITS_TEXT = re.compile(r"([A-Z])[\s.:)-]+(.+)", re.DOTALL)


@cache
def letter_constraint(n: int) -> Constraint:
    """Return what lets only the letter of one of n options through.

    There is no JSON schema: an object around a letter takes more tokens than an answer has. A server that knows no
    grammars answers freely, and `read_option` reads.
    """
    letters = " | ".join(f'"{letter}"' for letter in LETTERS[:n])
    return Constraint(name=f"one_of_{n}_letters", grammar=f"root ::= {letters}")


def read_option(answer: str, options: Sequence[str], *, truncated: bool = False) -> int | None:
    """Read the chosen option at the START of an answer.

    Parameters
    ----------
    answer
        What the model said: a letter by itself (`B`), with a sign after it (`B. Very likely`, `(B)`), before the text
        of its option (`B Very likely`), or an option's own text with nothing or a sign after it; each of these also
        after `Answer:`. A letter that begins a sentence (`A Democrat`, `I am`) is a word and no option.
    options
        The texts of the options, in the order of their letters.
    truncated
        Whether the answer ended at its token limit; then the beginning of one option alone is that option.

    Returns
    -------
    int or None
        Index of the option; None where the start of the answer names none.
    """
    for said in readings(answer):
        index = _letter(said, options)
        if index is None:
            index = named_option(said, options, truncated=truncated)
        if index is not None:
            return index
    return None


def _letter(text: str, options: Sequence[str]) -> int | None:
    match = _ALONE.match(text)
    if match is not None:
        another = _ANOTHER.match(text, match.end())
        # Whoever lists several letters has chosen none.
        hedged = another is not None and _index(another[1] or another[2], options) is not None
        return None if hedged else _index(match[1] or match[2], options)
    match = _BEFORE_ITS_TEXT.match(text)
    index = None if match is None else _index(match[1], options)
    if match is None or index is None:
        return None
    own, rest = folded(options[index]), folded(match[2])
    return index if rest and own.startswith(rest) else None


def _index(letter: str, options: Sequence[str]) -> int | None:
    index = LETTERS.index(letter.upper())
    return index if index < len(options) else None
