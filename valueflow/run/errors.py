"""The one error type for input that cannot be used, and how its line is worded."""

import difflib
import re
from collections.abc import Iterable

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_LINE = 600


class InputError(ValueError):
    """Input or settings that cannot be used; apps print it as one line and exit with code 2.

    Parameters
    ----------
    message
        What is wrong, where (file, row, column, key) and what would be right. Control characters
        and line breaks are escaped and overlong messages shortened, since parts of it may come
        from hostile files.
    """

    def __init__(self, message: str) -> None:
        line = _UNPRINTABLE.sub(lambda match: repr(match.group())[1:-1], message)
        if len(line) > _LONGEST_LINE:
            line = line[: _LONGEST_LINE - 4] + " ..."
        super().__init__(line)


class UnfinishedError(InputError):
    """What was to be done with results that are complete and written has failed; apps exit with code 1."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names was probably meant.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that would have been right.

    Returns
    -------
    str
        `did you mean 'x'? Known: x, y, z`, without the question where nothing is near.
    """
    names = list(known)
    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    question = f"did you mean '{by_folded[close[0]]}'? " if close else ""
    listing = ", ".join(names) if names else "none"
    return f"{question}Known: {listing}"


def shorten(text: str, length: int = 60) -> str:
    """Cut a text that is quoted in a message to at most `length` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."


def unknown_setting(key: str, known: Iterable[str]) -> str:
    """Word that a key, which may be dotted, is none of the known ones."""
    return f"unknown setting '{key}'; {nearest(key.rpartition('.')[2], known)}"
