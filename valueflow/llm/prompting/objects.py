"""JSON objects that models write among other words, in code fences, or with the quotes of another language."""

import json
import re

_OBJECT = re.compile(r"\{[^{}]*\}")
_QUOTED = r"\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.)*)'"


def entries_of(answer: str, key: str) -> list[str]:
    """Return what stands under a key in the objects of an answer, in their order.

    Parameters
    ----------
    answer
        A whole answer; an object that is quoted in it as a text of its own does not count.
    key
        The key, in any case, with quotes of either kind or without.

    Returns
    -------
    list of str
        Texts without their quotes, and lists as they are written; other entries are left out.
    """
    entry = _entry(key)
    found = (entry.search(written.group()) for written in _OBJECT.finditer(answer) if not _is_quoted(answer, written))
    return [_unescaped(match) for match in found if match is not None]


def without_objects(answer: str, key: str) -> str:
    """Return an answer without those of its objects that `entries_of` reads."""
    entry = _entry(key)
    return _OBJECT.sub(lambda written: " " if entry.search(written.group()) else written.group(), answer)


def _entry(key: str) -> re.Pattern[str]:
    return re.compile(
        rf"[{{,]\s*[\"']?{re.escape(key)}[\"']?\s*:\s*(?:{_QUOTED}|(?P<list>\[[^\[\]]*\]))", re.IGNORECASE
    )


def _is_quoted(answer: str, written: re.Match[str]) -> bool:
    return written.start() > 0 and answer[written.start() - 1] in "\"'\u201c\u2018"


def _unescaped(entry: re.Match[str]) -> str:
    if entry["list"] is not None:
        return entry["list"]
    if entry["single"] is not None:
        return entry["single"].replace("\\'", "'")
    try:
        return str(json.loads(f'"{entry["double"]}"'))
    except ValueError:
        return entry["double"]
