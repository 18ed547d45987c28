"""Texts that come back from a spreadsheet: which of ours each one is."""

import re
from collections.abc import Iterable

_LINE_BREAK = re.compile(r"\r\n?|\u2028|\u2029|\x85")
_LONGEST_CELL = 32_767
"""Characters that a cell of a spreadsheet holds; it cuts longer texts."""


class TextIndex:
    """Finds a text among others though its line breaks, or the blanks around it, have changed.

    Parameters
    ----------
    texts
        Those to be found. Of equal ones the first is.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = list(texts)
        self._exact: dict[str, int] = {}
        self._alike: dict[str, set[str]] = {}
        for number, text in enumerate(self._texts):
            self._exact.setdefault(text, number)
            self._alike.setdefault(_folded(text), set()).add(text)

    def find(self, text: str) -> int | None:
        """Return the number of a text, from 0; None where it is none of them, or could be several."""
        if text in self._exact:
            return self._exact[text]
        alike = self._alike.get(_folded(text), set())
        return self._exact[next(iter(alike))] if len(alike) == 1 else None

    def may_be(self, text: str, number: int) -> bool:
        """Return whether a text has the letters and digits of the one with this number, or begins it as a full cell."""
        ours, theirs = (re.sub(r"[\W_]", "", words.casefold()) for words in (self._texts[number], text))
        return ours == theirs or (len(text) >= _LONGEST_CELL and ours.startswith(theirs))


def _folded(text: str) -> str:
    return _LINE_BREAK.sub("\n", text).replace("\xa0", " ").strip()
