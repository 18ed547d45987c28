"""What reasoning models write before their answer: thoughts, which are never a part of it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

CUT_IN_THOUGHTS = "the model did not get to an answer, its thoughts used up the tokens: raise llm.reasoning_tokens"
"""Why there is no answer where the token limit was reached among thoughts."""

_TAG = r"(?P<name>think|thinking|thoughts?|reasoning|seed:think)"

_WRITTEN = (
    (rf"(?i)<{_TAG}(?![\w:-])[^<>\n]{{0,80}}>", rf"(?i)</{_TAG}\s*>", "</{name}>"),
    (r"(?i)\[THINK\]", r"(?i)\[/THINK\]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7", "\u25c1/think\u25b7"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>", "<|END_THINKING|>"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>", "<|end_of_thought|>"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>", "<|inner_suffix|>"),
    (r"<\|channel>", r"<channel\|>", "<channel|>"),
    # The channels of gpt-oss, with their special tokens and as they read once those are left out.
    (
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)\b[^<>\n]{0,80}<\|message\|>",
        r"<\|channel\|>final\b[^<>\n]{0,80}<\|message\|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    (r"\A\s*analysis(?=[A-Z\"'])", r"assistantfinal", "assistantfinal"),
)
"""For each way in which models mark thoughts: patterns of what opens and what closes them, and a closing mark."""

_FAMILIES = tuple((re.compile(opening), re.compile(closing)) for opening, closing, _ in _WRITTEN)

_MAY_HOLD_THOUGHTS = re.compile(r"(?i)think|thought|reasoning|channel|inner_|assistantfinal|\A\s*analysis")
"""Found in every text that holds a mark of thoughts; most texts are done with this one search."""

_AROUND_THE_ANSWER = re.compile(
    r"\A\s*<\|(?:START_RESPONSE|begin_of_solution)\|>|<\|(?:END_RESPONSE|end_of_solution|return|end)\|>\s*\Z"
)


class Said(NamedTuple):
    """What a text says.

    Attributes
    ----------
    answer
        The text without thoughts: as it is where it holds none, empty where they do not end.
    thinks
        Whether it holds thoughts.
    is_unfinished
        Whether these do not end.
    """

    answer: str
    thinks: bool = False
    is_unfinished: bool = False


class _Mark(NamedTuple):
    start: int
    end: int
    opens: bool
    kind: tuple[int, str]


def without_thoughts(text: str) -> Said:
    """Take thoughts out of what a model has written.

    Thoughts are what stands between two marks, such as `<think>` and `</think>`, at the start of a text; what comes
    before a closing mark that nothing opens, since a chat template may have opened it; and, in a text with thoughts,
    later blocks that begin a line. Marks of many models are known. One that stands elsewhere is a part of the text,
    which may be about it.
    """
    marks = _marks(text)
    start = place = 0
    thinks = False
    while place < len(marks):
        is_first = not text[start : marks[place].start].strip()
        end = _end_of_block(marks, place) if marks[place].opens and is_first else _last_unopened(marks, place)
        if end is None and marks[place].opens and is_first:
            return Said("", thinks=True, is_unfinished=True)
        if end is None:
            break
        start, place, thinks = marks[end].end, end + 1, True
    if not thinks:
        return Said(text)
    answer = _without_blocks(text, start, marks[place:])
    return Said(_AROUND_THE_ANSWER.sub("", answer).strip(), thinks=True)


def opened_by(prompt: str) -> str:
    """Return the mark with which a prompt ends if it opens thoughts: the model goes on within them; else nothing."""
    marks = _marks(prompt)
    if marks and marks[-1].opens and not prompt[marks[-1].end :].strip():
        return prompt[marks[-1].start : marks[-1].end]
    return ""


def leaving_empty(opening: str) -> str:
    """Return what a model writes to end thoughts at once that a mark, as `opened_by` returns it, has opened."""
    family, name = _marks(opening)[0].kind
    return f"\n{_WRITTEN[family][2].format(name=name)}\n\n"


def is_mark(token: str) -> bool:
    """Return whether a token opens or closes thoughts."""
    return any(mark.start == 0 and mark.end == len(token) for mark in _marks(token))


def _marks(text: str) -> list[_Mark]:
    """Return the marks in a text in their order."""
    if not _MAY_HOLD_THOUGHTS.search(text):
        return []
    return sorted(
        _Mark(found.start(), found.end(), opens, (family, (found.groupdict().get("name") or "").casefold()))
        for family, patterns in enumerate(_FAMILIES)
        for opens, pattern in zip((True, False), patterns, strict=True)
        for found in pattern.finditer(text)
    )


def _end_of_block(marks: Sequence[_Mark], place: int) -> int | None:
    """Return which mark closes the one at a place."""
    kind = marks[place].kind
    return next((at for at in range(place + 1, len(marks)) if not marks[at].opens and marks[at].kind == kind), None)


def _last_unopened(marks: Sequence[_Mark], place: int) -> int | None:
    """Return the last mark from a place on that closes what nothing has opened."""
    opened: set[tuple[int, str]] = set()
    last = None
    for at in range(place, len(marks)):
        kind = marks[at].kind
        if marks[at].opens:
            opened.add(kind)
        elif kind in opened:
            opened.remove(kind)
        else:
            last = at
    return last


def _without_blocks(text: str, start: int, marks: Sequence[_Mark]) -> str:
    """Return a text from `start` on without blocks that begin a line; one that does not end takes the rest along."""
    kept: list[str] = []
    place = 0
    while place < len(marks):
        mark = marks[place]
        line = text[start : mark.start].rpartition("\n")
        if mark.opens and line[1] and not line[2].strip():
            kept.append(text[start : mark.start])
            end = _end_of_block(marks, place)
            if end is None:
                return "".join(kept)
            start, place = marks[end].end, end
        place += 1
    return "".join(kept) + text[start:]
