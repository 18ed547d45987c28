"""Which texts that are not UTF-8 are certainly Windows-1252, the code page of Western Windows."""

import re
from collections.abc import Iterable

_CODE_PAGES = ("cp1252", "cp1250")
_MOST_FOREIGN = 0.7
"""Share of a word's letters beyond which it is of another script."""
_SIGNS = frozenset(
    "\u20ac\u2026\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\xab\xbb\u2013\u2014\u2022\u2122\xa9\xae\xb0\xa0"
)
"""Signs that texts hold besides letters: quotation marks, dashes, the euro."""
_OF_UTF_8 = re.compile(rb"[\xc2-\xde][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""What is a letter of UTF-8, and in Windows-1252 a capital or several signs in a row: the file is of neither alone."""
_BEFORE_CLOSING_QUOTE = re.compile(rb"(?<=[\xe0-\xef])\xa0(?=\xbb)")
"""The space that French has there: three bytes that are one letter of UTF-8."""
_QUOTE_IN_WORD = re.compile(r"[^\W\d_][\u201a\u201e\u201d][^\W\d_]")
"""Where the code pages of DOS have letters."""
_WORD = re.compile(r"[^\W\d_]+")

_LANGUAGES = {
    "\u00e0\u00e6\u00e8\u00ea\u00ef\u00f9\u00fb\u00ff\u0153": frozenset(
        ["avec", "cette", "dans", "des", "elle", "est", "leur", "les", "mais", "nous", "pour", "que", "qui", "sont"]
    ),
    "\u00f1\u00bf\u00a1": frozenset(["como", "con", "del", "en", "las", "los", "pero", "por", "que", "una", "y"]),
}
"""Of French and Spanish the letters and signs that other code pages have others for, and frequent words.

None of these words is frequent in a language of Central Europe, Romanian included.
"""
_FEWEST_WORDS = 3
_LOWEST_SHARE = 0.05
"""How many such words, and what share, lines with these letters must have; in these languages it is 3 times that."""


def certain_windows_1252(content: bytes) -> str | None:
    """Decode bytes as Windows-1252 where they can mean nothing else; None where they could.

    That is certain of letters and signs that mean the same in the code page of Central Europe, and of those of French
    and Spanish in lines whose other words are of that language.
    """
    text, foreign = content.decode("cp1252", "replace"), set()
    for byte in {byte for byte in content if byte >= 0x80}:
        readings = {bytes([byte]).decode(page, "replace") for page in _CODE_PAGES}
        if len(readings) > 1:
            foreign.add(bytes([byte]).decode("cp1252", "replace"))
        elif "\ufffd" in readings:
            return None
    if foreign and not _is_of_language(text, foreign):
        return None
    signs = {letter for letter in text if not (letter.isascii() or letter.isalpha())}
    if signs - _SIGNS - (foreign & {*"\u00bf\u00a1"}):
        return None
    if _OF_UTF_8.search(_BEFORE_CLOSING_QUOTE.sub(b" ", content) if foreign else content):
        return None
    return text if _QUOTE_IN_WORD.search(text) is None and _are_words(_WORD.findall(text)) else None


def _is_of_language(text: str, foreign: set[str]) -> bool:
    """Return whether ambiguous letters stand in lines with frequent words of the languages that have them."""
    folded = {letter.casefold() for letter in foreign}
    known = ""
    lines = [line for line in text.splitlines() if foreign & {*line}]
    for letters, frequent in _LANGUAGES.items():
        own = [line for line in lines if {*letters} & {*line.casefold()}]
        words = [word.casefold() for line in own for word in _WORD.findall(line)]
        found = [word for word in words if word in frequent]
        if len({*found}) > 1 and len(found) >= max(_FEWEST_WORDS, _LOWEST_SHARE * len(words)):
            known += letters
    return folded <= {*known}


def _are_words(words: Iterable[str]) -> bool:
    """Return whether letters stand as they do in words of Western languages.

    In other scripts whole words are made of letters that are not ASCII, and the code page of old Macs has others in
    their place.
    """
    for word in {word for word in words if not word.isascii()}:
        foreign = [letter for letter in word if not letter.isascii()]
        if len(word) > 2 and len(foreign) > _MOST_FOREIGN * len(word):
            return False
        if not (word.islower() or word.isupper() or word.istitle()):
            return False
    return True
