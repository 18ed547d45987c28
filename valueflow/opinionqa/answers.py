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
_LATER = re.compile(r"(?<![^\W_])[(\[]?([A-Z])[.:)\]]\s*(?=(\S.{0,300})?)")
_SIGNS = " .:;,()[]{}-"


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
        after `Answer:`, which counts wherever it begins a line or sentence. A letter that begins a sentence
        (`A Democrat`, `I am`) is a word and no option. Whoever repeats the options has named all of them.
    options
        The texts of the options, in the order of their letters.
    truncated
        Whether the answer ended at its token limit; then the beginning of one option alone is that option.

    Returns
    -------
    int or None
        Index of the option; None where the answer names none there, or several.
    """
    for said in readings(answer, options):
        index = _letter(said, options)
        if index is None:
            index = named_option(said, options, truncated=truncated)
        if index is not None:
            return index
    return None


def _letter(text: str, options: Sequence[str]) -> int | None:
    match = _ALONE.match(text)
    if match is not None:
        index = _index(match[1] or match[2], options)
        another = _ANOTHER.match(text, match.end())
        # Whoever lists several letters has chosen none; an option's text may be a letter, too.
        hedged = another is not None and _index(another[1] or another[2], options) not in (None, index)
        if index is None or (hedged and not _is_text_of(text[match.end() :], options[index])):
            return None
        return None if _names_another(text[match.end() :], options, index) else index
    match = _BEFORE_ITS_TEXT.match(text)
    index = None if match is None else _index(match[1], options)
    if match is None or index is None:
        return None
    own, rest = folded(options[index]), folded(match[2].partition("\n")[0])
    is_its_text = rest and own.startswith(rest)
    return index if is_its_text and not _names_another(match[2], options, index) else None


def _is_text_of(rest: str, option: str) -> bool:
    own = folded(option).lstrip(_SIGNS)
    return bool(own) and folded(rest).lstrip(_SIGNS) == own


def _names_another(rest: str, options: Sequence[str], index: int) -> bool:
    """Return whether what follows a letter is another option's text, or lists another letter with its text."""
    own, said = folded(options[index]).lstrip(_SIGNS), folded(rest).lstrip(_SIGNS)
    has_own_text = bool(own) and said.startswith(own)
    named = None if has_own_text else named_option(rest.lstrip(_SIGNS), options, truncated=False)
    if named is not None and folded(options[named]) != folded(options[index]):
        return True
    words = re.findall(r"[^\W_]+", rest)
    if not has_own_text and all(len(word) == 1 or word in ("and", "or") for word in words):
        return any(_index(word, options) not in (None, index) for word in words if re.fullmatch("[A-Za-z]", word))
    for later in _LATER.finditer(rest):
        other = _index(later[1], options)
        if other is None or other == index:
            continue
        _, is_new_line, before = rest[: later.start()].rpartition("\n")
        if is_new_line and not before.strip(" -\u2022"):
            return True
        if named_option(later[2] or "", options[other : other + 1], truncated=False) == 0:
            return True
    return False


def _index(letter: str, options: Sequence[str]) -> int | None:
    index = LETTERS.index(letter.upper())
    return index if index < len(options) else None
