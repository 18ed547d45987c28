"""How the ranking in a language model's answer is read."""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from valueflow.llm import entries_of, without_objects

_LONGEST_READ = 20_000

_ITEM = r"(?:(?:item|text|no\.?|#)\s*)?(\d{1,5})"
_BARE_ITEM = _ITEM.replace("(\\d", "(?:\\d")
_ORDER_SIGN = r"(?:[-=]?>|[>\u2192\u21d2\u227b\u226b\u00bb])"
_THEN = r"(?:,?\s*(?:and\s+)?then\s+|,?\s*followed by\s+)"
_LIST = re.compile(r"\[([^\[\]]*)\]")
_LISTED = re.compile(rf"\s*[\"']?{_ITEM}[\"']?\s*", re.IGNORECASE)
_CHAIN = re.compile(
    rf"{_BARE_ITEM}(?:\s*(?:{_THEN}|{_ORDER_SIGN}|[,;/\u3001\s-])\s*{_BARE_ITEM})+\s*\.?", re.IGNORECASE
)
_ORDERED = re.compile(rf"{_THEN}|{_ORDER_SIGN}", re.IGNORECASE)
_ABOVE = re.compile(rf"{_BARE_ITEM}(?:\s*{_ORDER_SIGN}\s*{_BARE_ITEM})+", re.IGNORECASE)
_LAST_AFTER_AND = re.compile(rf"(,[^,]*?),?\s+and\s+({_BARE_ITEM}\s*[\])]?\s*\.?)\Z", re.IGNORECASE)
_NUMBERED_LINE = re.compile(rf"(?:rank\s*|#)?(\d{{1,5}})(?:st|nd|rd|th)?\s*[.):]\s*{_ITEM}\s*\.?", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,5}")
_RANK_HEADING = re.compile(r"rank(?:ing)?|position|place|order", re.IGNORECASE)
_ITEM_HEADING = re.compile(r"(?:item|text)(?:\s*(?:number|no\.?|#|id))?|number", re.IGNORECASE)

_FENCE = re.compile(r"```\w*")
_SINGLE_SIGNS = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u201c\u201d\u201e", '"')
    | dict.fromkeys("\u2018\u2019", "'")
)

_QUOTED = re.compile(r'"[^"\n]{0,2000}"')
_CANNOT = (
    r"(?:can ?not|can't|could not|couldn't|won't|will not|would(?: rather)? not|wouldn't|decline|refuse"
    r"|(?:do not|don't) (?:want|wish|feel comfortable)|(?:unable|not able|not comfortable|not willing|not going))"
)
_RANK = r"(?:rank|order|sort|compare|judge|rate|evaluate|assess|choose|decide|determine|prioriti[sz]e)"
_REFUSES = re.compile(
    rf"\b(?:i|we)\b[^.!?\n]{{0,20}}\b{_CANNOT}\b[^.!?\n]{{0,60}}?"
    rf"\b(?:{_RANK}|answer|assist|help|comply|do (?:this|that|so)\b)"
    rf"|\b(?:cannot|can ?not|can't|unable to|impossible to|not possible to|inappropriate to|refuse to|decline to"
    rf"|i do not|i don't)\s+(?:be\s+)?{_RANK}"
    rf"|\b(?:would|should|must) not be {_RANK}"
    rf"|\bno (?:(?:meaningful|clear|objective|valid|fair|real) )?(?:ranking|order|way to {_RANK})"
    r"|\brank(?:ing)?\b[^.!?\n]{0,40}"
    r"\b(?:impossible|meaningless|inappropriate|not (?:possible|appropriate|meaningful))",
    re.IGNORECASE,
)
_EQUAL = re.compile(
    r"\ball\b(?!\s+(?:of\s+)?(?:the\s+)?(?:other|rest|remaining))[^.!?\n]{0,40}?"
    r"\b(?:equal|tied?\b|the same|identical|equivalent|alike|unrelated|irrelevant|neutral)"
    r"|\b(?:texts|items|they|these|those)(?: [a-z]+){0,4} (?:equal|tied)"
    r"|\b(?:arbitrar|at random|random order|no particular order|any order|no difference)",
    re.IGNORECASE,
)
_LOW, _HIGH = r"(?:least|weakest|lowest|worst)", r"(?:most|strongest|highest|best)"
_LEAST_FIRST = re.compile(
    rf"(?<![a-z]){_LOW}(?:[\s_]+[\w-]+){{0,4}}?[\s_]*(?:[\s_]to[\s_]|{_ORDER_SIGN})[\s_]*(?:[\w-]+[\s_]+){{0,3}}?{_HIGH}"
    rf"|(?<![a-z]){_LOW}(?:[\s_]+[\w-]+){{0,2}}[\s_]+first\b"
    rf"|(?<![a-z]){_HIGH}(?:[\s_]+[\w-]+){{0,2}}[\s_]+last\b"
    rf"|\b(?:starting|beginning|begins?|starts?) (?:with|from) (?:the )?{_LOW}"
    r"|\b(?:ascending|increasing|reversed?)[\s_]+(?:order|ranking)",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:equal|equally|tie|tied|same|none|neither|nothing|no order|as (?:given|listed|shown)"
    r"|order (?:given|listed|shown|presented))\b",
    re.IGNORECASE,
)
_INTRODUCED = re.compile(r"\b(?:rank|order|answer|result|sort|json list)[^.!?\n]{0,30}\Z", re.IGNORECASE)


class _Candidate(NamedTuple):
    """Item numbers in an answer; `is_meant` where their order is no mere counting, even if it ascends."""

    numbers: tuple[int, ...]
    is_meant: bool


def read_ranking(answer: str, k: int, *, truncated: bool = False) -> tuple[tuple[int, ...], str]:
    """Read the ranking in an answer.

    Numbers in prose are not a ranking: answers that repeat the texts or refuse to rank them name the items, too. So
    nothing is read from an answer that says it refuses, that all items are equal, or that the least comes first; nor
    are numbers that ascend among other words, unless these call them the ranking.

    Parameters
    ----------
    answer
        What the model said. Besides `[2, 1, 3]`, alone or among words, it may be a JSON object with `ranking` (in a
        code fence, among words, with single quotes), a line of bare numbers (`2 > 1 > 3`, `2, 1, and 3`, also after a
        colon), a numbered list with only an item's number on each line, or a table with a rank and an item in each row.
    k
        Items in the window.
    truncated
        Whether the answer ended at its token limit; then only a whole list or object counts.

    Returns
    -------
    (order, fault)
        The k item numbers and an empty fault; or no numbers and what is wrong with the answer.
    """
    if len(answer) > _LONGEST_READ:
        return (), "the answer is far too long"
    answer = _plain(answer)
    if not answer:
        return (), "the answer is empty"
    rest = without_objects(answer, "ranking")
    candidates = [*_objects(answer), *_lists(rest), *([] if truncated else _chains(rest))]
    items = list(range(1, k + 1))
    found = [candidate for candidate in candidates if sorted(candidate.numbers) == items]
    if found and (fault := _fault_in_words(answer)):
        return (), fault
    orders = {candidate.numbers for candidate in found}
    if len(orders) == 1:
        order = orders.pop()
        if order == tuple(items) and not any(candidate.is_meant for candidate in found):
            return (), "the answer names the items in ascending order among other words"
        return order, ""
    if orders:
        return (), "the answer holds different rankings"
    if truncated:
        return (), "the answer was cut at its token limit"
    if any(len(candidate.numbers) > 1 for candidate in candidates):
        return (), "the answer does not name each item exactly once"
    return (), "the answer holds no ranking"


def _plain(answer: str) -> str:
    """Write an answer with one kind of digits, dashes and quotes, and without markup and bullets."""
    text = unicodedata.normalize("NFKC", answer).translate(_SINGLE_SIGNS)
    text = re.sub(r"[*`]", "", _FENCE.sub("", text))
    # Runs of blanks go, since patterns that allow some between items would try every way to part them.
    text = re.sub(r"[^\S\n]+", " ", text)
    return re.sub(r"^ ?[-\u2022\u00b7] (?=\S)", "", text, flags=re.MULTILINE).strip()


def _fault_in_words(answer: str) -> str:
    """Return what the words around a ranking say against it."""
    unlisted = _LIST.sub(" ", answer)
    # The model's own words: what texts say that it quotes is not meant.
    words = _QUOTED.sub(" ", unlisted)
    if _REFUSES.search(words):
        return "the answer refuses to rank the items"
    if _EQUAL.search(words):
        return "the answer says that the items are equal"
    if _LEAST_FIRST.search(unlisted):
        return "the answer puts the least supportive item first"
    return ""


def _objects(answer: str) -> Iterator[_Candidate]:
    """Yield what stands under `ranking` in the objects of an answer."""
    for ranking in entries_of(answer, "ranking"):
        numbers = _listed(ranking.strip().removeprefix("[").removesuffix("]"))
        if numbers:
            yield _Candidate(numbers, is_meant=True)


def _lists(answer: str) -> Iterator[_Candidate]:
    """Yield the lists in brackets, except those quoted among other words."""
    for match in _LIST.finditer(answer):
        around = answer[max(match.start() - 1, 0) : match.start()] + answer[match.end() : match.end() + 1]
        is_quoted = len(around) == 2 and around[0] in "\"'" and around[1] in "\"'.,"
        if is_quoted and len(answer) > len(match.group()) + 2:
            continue
        if numbers := _listed(match.group(1)):
            before = answer[: match.start()].rpartition("\n")[2].strip()
            after = answer[match.end() :].partition("\n")[0].strip(" .")
            is_called_so = not (before or after) or _INTRODUCED.search(before) is not None
            yield _Candidate(numbers, is_meant=is_called_so and not _UNSURE.search(_QUOTED.sub(" ", answer)))


def _listed(text: str) -> tuple[int, ...]:
    """Read items that commas, order signs or blanks part, and nothing else; none where it is something else."""
    text = _LAST_AFTER_AND.sub(r"\1, \2", text.strip())
    parts = [_LISTED.fullmatch(part) for part in text.split(",")]
    if len(parts) > 1 and all(parts):
        return tuple(int(part.group(1)) for part in parts if part)
    return _numbers(text) if _CHAIN.fullmatch(text) else ()


def _chains(answer: str) -> Iterator[_Candidate]:
    """Yield rankings without brackets: in a line or at its end, down the lines, as a numbered list or a table."""
    # `[2] > [1]` is `2 > 1`, and a list in parentheses is one without.
    unwrapped = re.sub(r"\[\s*(\d{1,5})\s*\]", r"\1", answer)
    lines = [line.strip() for line in unwrapped.splitlines() if line.strip()]
    is_all = len(lines) == 1
    for line in lines:
        for part in {line, line.rpartition(":")[2].strip()}:
            bare = _LAST_AFTER_AND.sub(r"\1, \2", re.sub(r"\A\(([^()]*)\)\.?\Z", r"\1", part).strip())
            if _CHAIN.fullmatch(bare):
                is_meant = (is_all and part == line) or _ORDERED.search(bare) is not None
                yield _Candidate(_numbers(bare), is_meant)
        if not _CHAIN.fullmatch(line):
            yield from (_Candidate(_numbers(chain.group()), is_meant=True) for chain in _ABOVE.finditer(line))
    if len(lines) > 1 and all(re.fullmatch(_ITEM, line.rstrip("."), re.IGNORECASE) for line in lines):
        yield _Candidate(_numbers(" ".join(lines)), is_meant=True)
    rows = [row for line in lines if (row := _NUMBERED_LINE.fullmatch(line))]
    if len(rows) > 1 and [int(row.group(1)) for row in rows] == list(range(1, len(rows) + 1)):
        yield _Candidate(tuple(int(row.group(2)) for row in rows), is_meant=len(rows) == len(lines))
    yield from _tables(lines)


def _tables(lines: list[str]) -> Iterator[_Candidate]:
    """Yield the items of a table by rank, where its heading says which column is which."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    if len(rows) < 2:
        return
    ranks = [place for place, cell in enumerate(rows[0]) if _RANK_HEADING.fullmatch(cell)]
    items = [place for place, cell in enumerate(rows[0]) if _ITEM_HEADING.fullmatch(cell)]
    if len(ranks) != 1 or len(items) != 1 or ranks == items:
        return
    pairs = []
    for row in rows[1:]:
        if all(re.fullmatch(r":?-*:?", cell) for cell in row):
            continue
        cells = [row[place] if place < len(row) else "" for place in (ranks[0], items[0])]
        rank = re.fullmatch(r"(\d{1,5})(?:st|nd|rd|th)?\.?", cells[0], re.IGNORECASE)
        item = re.fullmatch(_ITEM, cells[1], re.IGNORECASE)
        if rank is None or item is None:
            return
        pairs.append((int(rank.group(1)), int(item.group(1))))
    if sorted(rank for rank, _ in pairs) == list(range(1, len(pairs) + 1)):
        yield _Candidate(tuple(item for _, item in sorted(pairs)), is_meant=True)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(text))
