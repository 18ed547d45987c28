"""What a model may answer to a question with options, and how its answer is read."""

import json
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from valueflow.llm import Constraint
from valueflow.steering.opinionqa.questions import LETTERS

_LONGEST_READ = 10_000

_MARKUP = re.compile(r"[*`$\"\u201c\u201d]+|\\boxed\{|</?[a-z]+>")
_INTRODUCTION = re.compile(
    r"(?:the\s+)?(?:(?:final|best|correct)\s+)?(?:answer|option|choice)\b(?:\s+is\b)?\s*[:-]?\s*", re.IGNORECASE
)

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


def read_option(answer: str, options: Sequence[str], *, cut: bool = False) -> int | None:
    """Read the chosen option at the START of an answer.

    Parameters
    ----------
    answer
        What the model said: a letter by itself (`B`), with a sign after it (`B. Very likely`, `(B)`), before the text
        of its option (`B Very likely`), or an option's own text with nothing or a sign after it; each of these also
        after `Answer:`. A letter that begins a sentence (`A Democrat`, `I am`) is a word and no option.
    options
        The texts of the options, in the order of their letters.
    cut
        Whether the answer ended at its token limit; then the beginning of one option alone is that option.

    Returns
    -------
    int or None
        Index of the option; None where the start of the answer names none.
    """
    # Models that think in Chinese write letters and signs in full width.
    text = _MARKUP.sub("", unicodedata.normalize("NFKC", _unwrapped(answer))).strip()
    text = re.sub(r"[^\S\n]+", " ", text)[:_LONGEST_READ]
    for said in (text, _INTRODUCTION.sub("", text, count=1)):
        index = _letter(said, options)
        if index is None:
            index = _own_text(said, options, cut=cut)
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
    own, rest = _folded(options[index]), _folded(match[2])
    return index if rest and own.startswith(rest) else None


def _own_text(text: str, options: Sequence[str], *, cut: bool) -> int | None:
    said = _folded(text.partition("\n")[0])
    own = [_folded(option) for option in options]
    begun = [index for index, option in enumerate(own) if said and option.startswith(said)]
    if cut and begun:
        # The answer may have been about to name any of these.
        return begun[0] if len(begun) == 1 else None
    named = [
        index for index, option in enumerate(own) if option and re.match(rf"{re.escape(option)}(?=$|[.,;:!?)])", said)
    ]
    # "No, not at all" may be an option beside "No": the longest counts.
    longest = [index for index in named if len(own[index]) == max(len(own[other]) for other in named)]
    return longest[0] if len(longest) == 1 else None


def _index(letter: str, options: Sequence[str]) -> int | None:
    index = LETTERS.index(letter.upper())
    return index if index < len(options) else None


def _folded(text: str) -> str:
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
