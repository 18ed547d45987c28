"""Answers that choose one of several options by its text: what they may be, and how they are read."""

import json
import re
import unicodedata
from collections.abc import Sequence

from valueflow.llm.prompting.objects import entries_of
from valueflow.llm.protocol import Constraint

_LONGEST_READ = 10_000

_MARKUP = re.compile(r"[*`$\"\u201c\u201d]+|\\boxed\{|</?[a-z]+>")
_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff]")
_DASH = re.compile("[\u00ad\u2010-\u2015\u2043\u2212]")
_FENCED = re.compile(r"\A\s*```(\w*)\s*\n((?:(?!```).)*?)\n?\s*```\s*\Z", re.DOTALL)
_ANSWER = r"(?:the\s+|my\s+)?(?:(?:final|best|correct)\s+)?(?:answer|option|choice)\b"
_INTRODUCTION = re.compile(rf"\A{_ANSWER}(?:\s+is\b)?\s*[:-]?\s*", re.IGNORECASE)
_LATER = re.compile(
    rf"(?:\n|[.!?]\s)\s*(?:(?:so|thus|therefore|hence),?\s+)?{_ANSWER}\s*(?P<sign>:|is\b\s*:?)\s*", re.IGNORECASE
)

# Between words of a name; how they are joined makes no difference.
_JOINT = r"[\s_/-]*"
_END_OF_NAME = r"(?=$|[.,;:!)}]|\s?\(|\s-+\s)"
_SIGN_OR_WORD = r"(?:[.,;:/|&+\n(\[]|-+(?=\s)|\b(?:and|or|versus|vs)\b)"
_BULLET = r"(?:[-\u2022]\s+|(?:\d{1,2}|[a-z])[.)]\s*)?"
_HEDGE = r"(?:(?:maybe|perhaps|possibly|also|both|even|then)\s+)?"


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
    """Read which name stands at the START of an answer, alone or followed by a sign, or after `Answer:`.

    Parameters
    ----------
    answer
        What the model said, also as a JSON object with `answer`, in a code fence or among words. Dashes of any kind,
        `/`, `_`, spaces and case make no difference. Where the start of a later line or sentence is `Answer:`, what
        follows it counts.
    names
        The names that there are.
    truncated
        Whether the answer ended at its token limit; then the beginning of one name alone is that name.

    Returns
    -------
    int or None
        Index of the name; None where the answer names none there, or more than one.
    """
    found = (named_option(said, names, truncated=truncated) for said in readings(answer, names))
    return next((index for index in found if index is not None), None)


def readings(answer: str, options: Sequence[str]) -> tuple[str, ...]:
    """Return the texts in which an answer may name its choice at the start, the one that counts most first.

    They are without JSON object, markup and superfluous space. What follows a later `Answer:` alone counts, unless all
    of the text is an option's own. Otherwise it is the whole text, and that without `Answer:` at its start.
    """
    # Models that think in Chinese write letters and signs in full width.
    text = _MARKUP.sub("", _plain(_unwrapped(answer, options))).strip()
    text = re.sub(r" ?\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text))[:_LONGEST_READ]
    start = text, _INTRODUCTION.sub("", text, count=1)
    later = [*_LATER.finditer(text)]
    if not later or folded(text) in map(folded, options):
        return start
    said = text[later[-1].end() :]
    # "The answer is obvious" only looks like one.
    return (said,) if later[-1]["sign"] == ":" else (said, *start)


def named_option(text: str, options: Sequence[str], *, truncated: bool) -> int | None:
    """Return the index of the option that a reading begins with; the longest, where one option begins another.

    None where it begins with none, or names others beside it.
    """
    first, _, later = text.partition("\n")
    own = [folded(option) for option in options]
    said = folded(first)
    # What looks like a bullet may be part of an option.
    if not any(option and re.match(re.escape(option) + _END_OF_NAME, said) for option in own):
        said = _without_bullet(said)
    matching = _begun_by(said, own) if truncated else []
    if matching:
        # The answer may have been about to name any of these.
        return matching[0] if len(matching) == 1 else None
    exact = [re.match(re.escape(option) + _END_OF_NAME, said) if option else None for option in own]
    matches = exact if any(exact) else [re.match(_loosely(option), said) if option else None for option in own]
    named = {index: match.end() for index, match in enumerate(matches) if match is not None}
    # "No, not at all" may be an option beside "No": the longest counts.
    longest = [index for index, end in named.items() if end == max(named.values())]
    if len(longest) != 1:
        return None
    rest = "\n".join([said[named[longest[0]] :], *(folded(line) for line in later.split("\n"))])
    others = {option for option in own if _joined(option) and _joined(option) != _joined(own[longest[0]])}
    names_others = _holds_only_names(rest, own) or any(_is_named_in(rest, other) for other in others)
    return None if names_others and any(re.search(_words(other), rest) for other in others) else longest[0]


def folded(text: str) -> str:
    """Reduce a text to what an answer must have in common with it: no markup, case, superfluous space or full stop."""
    return " ".join(_MARKUP.sub("", _plain(text)).split()).casefold().strip(" .")


def _plain(text: str) -> str:
    """Write a text with one kind of letters, digits and dashes."""
    return _DASH.sub("-", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))


def _begun_by(said: str, own: Sequence[str]) -> list[int]:
    """Return which options a text may be the beginning of; their words may be joined where it begins none otherwise."""
    for written in (_spaced, _joined):
        start = written(said)
        found = [index for index, option in enumerate(own) if start and written(option).startswith(start)]
        if found:
            return found
    return []


def _spaced(name: str) -> str:
    return re.sub(r"[\s_/-]+", " ", name).strip()


def _joined(name: str) -> str:
    return re.sub(_JOINT, "", name)


def _without_bullet(line: str) -> str:
    return re.sub(r"\A[-\u2022]\s+", "", line)


def _words(name: str) -> str:
    return _JOINT.join(re.escape(word) for word in re.split(r"[\s_/-]+", name) if word)


def _loosely(name: str) -> str:
    """Return a pattern of a name at the start of a text, however its words are joined; a mere sign fits nothing."""
    return _words(name) + _END_OF_NAME if _words(name) else r"(?!)"


def _is_named_in(text: str, name: str) -> bool:
    """Return whether what follows a chosen name names this one beside it: next to it, in a line, or with a colon."""
    words = _words(name)
    next_to_it = rf"\A(?:\s*{_SIGN_OR_WORD}){{1,4}}\s*{_BULLET}{_HEDGE}{words}\s*(?=$|[!?)\]]|{_SIGN_OR_WORD})"
    in_a_line = rf"\n\s*{_BULLET}{words}\s*(?=$|[.,;:)=\n]|-+\s)"
    with_a_colon = rf"[.,;:!?|\n]\s*{_BULLET}{words}\s*[:=]"
    return any(re.search(pattern, text) for pattern in (next_to_it, in_a_line, with_a_colon))


def _holds_only_names(text: str, names: Sequence[str]) -> bool:
    """Return whether nothing but names, signs, `and` and `or` is in a text: that is a list, in whatever form."""
    words = [_words(name) for name in sorted(names, key=len, reverse=True) if _joined(name)]
    return not re.search(r"[^\W\d_]", re.sub("|".join([*words, r"\b(?:and|or)\b"]), " ", text))


def _unwrapped(answer: str, options: Sequence[str]) -> str:
    """Return the answer in a JSON object, or its only text; anything else as it is."""
    fenced = _FENCED.match(answer)
    # An option in the place of the fence's language is part of what the answer names.
    if fenced and (not fenced[1] or folded(fenced[1]) not in map(folded, options)):
        answer = fenced[2]
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        said = set(entries_of(answer, "answer"))
        return said.pop() if len(said) == 1 else answer
    if isinstance(content, dict):
        content = content.get("answer", next(iter(content.values()), None) if len(content) == 1 else None)
    return content if isinstance(content, str) else answer
