r"""Tables as text: cells between commas, semicolons or tabs, read strictly.

What a lenient reader would guess at is refused: a column that is named twice, text behind a closing quotation mark, a
quotation mark that is never closed, a row with more or fewer cells than the header.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator

from valueflow.run.errors import InputError, shorten

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_TAB_SUFFIXES = (".tsv", ".tab")
_MARK = "\ufeff"
"""The byte order mark; where files were joined, one may be left before the header."""

_LINES_LOOKED_AT = 200
_LONGEST_FIELD = 2**31 - 1


def delimited_rows(
    lines: Iterable[str], where: str, suffix: str = "", *, literal: bool = False
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Read a table of delimited text.

    The delimiter is the one of a first line `sep=;`, as spreadsheets write it, or what divides the header. Rows in
    which every cell is blank are passed over, and byte order marks before the header.

    Parameters
    ----------
    lines
        Of the text, with their own line breaks.
    where
        The file, for messages.
    suffix
        Of the file's name; `.tsv` and `.tab` say that a header without any delimiter is one column.
    literal
        Cells stand between tabs, and quotation marks are part of their texts.

    Returns
    -------
    columns : list of str
        The names, without blanks around them.
    rows : iterator of (int, list of str)
        The number of each row, counted from 1 below the header, and its cells. Rows are read, and faults raised, as
        they are asked for.

    Raises
    ------
    InputError
        There is no header, or it names a column twice; and see above.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    rest = iter(lines)
    sample = _from_text_on(list(itertools.islice(rest, _LINES_LOOKED_AT)))
    declared = "" if literal or not sample else _declared(sample[0])
    if declared:
        sample = _from_text_on(sample[1:])
    if not sample:
        raise InputError(f"{where} has no header")
    delimiter = "\t" if literal else declared or _found(sample, suffix)
    header = _first_row(sample, delimiter)
    is_spaced = header is not None and len(header) > 1 and all(cell.startswith(" ") for cell in header[1:])
    reader = csv.reader(
        itertools.chain(sample, rest),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=is_spaced and not literal,
        quoting=csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL,
    )
    rows = _numbered(reader, delimiter, where)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{where} has no header")
    columns = column_names(first[1], where)
    return columns, _of_width(rows, len(columns), delimiter, where)


def column_names(header: Iterable[str], where: str) -> list[str]:
    """Return the names of a header without the blanks around them; a blank one gets a name of its own.

    Raises
    ------
    InputError
        A name appears twice.
    """
    names = [name.strip() or f"Unnamed: {place}" for place, name in enumerate(header)]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(f"{where}: column '{shorten(name)}' appears twice; rename or remove one of them")
    return names


def _from_text_on(lines: list[str]) -> list[str]:
    """Return the lines from the first that holds text, which loses the byte order marks before it."""
    kept = list(itertools.dropwhile(lambda line: not line.replace(_MARK, "").strip(), lines))
    return [line.lstrip(_MARK) for line in kept[:1]] + kept[1:]


def _declared(line: str) -> str:
    """Return the delimiter that a spreadsheet's first line `sep=;` declares; empty where there is none."""
    declared = line.rstrip("\r\n")
    if len(declared) > 1 and declared[0] == declared[-1] == '"':
        declared = declared[1:-1]
    return declared[4:] if declared[:4].lower() == "sep=" and len(declared) == 5 else ""


def _found(sample: list[str], suffix: str) -> str:
    """Return what divides the header; of several, what makes more cells and fits the rows below."""
    merits = {}
    for delimiter in _DELIMITERS:
        header = _first_row(sample, delimiter)
        if header is not None and len(header) > 1:
            fits = _fits(sample, delimiter, len(header))
            merits[delimiter] = (suffix in _TAB_SUFFIXES and delimiter == "\t", fits, len(header))
    if merits:
        # The first of equals: a comma.
        return max(merits, key=lambda delimiter: merits[delimiter])
    return "\t" if suffix in _TAB_SUFFIXES else ","


def _first_row(sample: list[str], delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(sample, delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None


def _fits(sample: list[str], delimiter: str, width: int) -> bool:
    """Return whether all rows that are looked at have the header's number of cells."""
    rows = csv.reader(sample, delimiter=delimiter)
    # The last one may go on beyond the sample.
    return all(len(row) == width for row in list(rows)[:-1] if row)


def _numbered(reader: "Iterable[list[str]]", delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Give out rows with their numbers, the header's 0, and word the reader's faults."""
    number = -1
    rows = iter(reader)
    while True:
        number += 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise InputError(f"{where}, {_place(number)}: {_reason(error, delimiter)}") from error
        if row is None:
            return
        yield number, row


def _reason(error: csv.Error, delimiter: str) -> str:
    if "unexpected end" in str(error):
        return "a quotation mark is opened and never closed; close it, or double it inside a text"
    return (
        'text goes on after its closing quotation mark (inside a text write "" for "; Spark and MySQL write \\")'
        if "expected after" in str(error)
        else f"the cells between {_DELIMITERS.get(delimiter, 'delimiters')} cannot be told apart"
    )


def _of_width(
    rows: Iterator[tuple[int, list[str]]], width: int, delimiter: str, where: str
) -> Iterator[tuple[int, list[str]]]:
    named = _DELIMITERS.get(delimiter, f"'{delimiter}'")
    for number, row in rows:
        if len(row) != width:
            # A line without anything, or delimiters alone, of whatever number.
            if not any(map(str.strip, row)):
                continue
            cells = f"{len(row)} cell{'s' if len(row) > 1 else ''}"
            cure = f"that hold {named}" if len(row) > width else "that hold line breaks, and give empty cells, too"
            raise InputError(f"{where}, row {number} has {cells}, the header {width}: quote texts {cure}")
        if width > 1 and not any(map(str.strip, row)):
            continue
        yield number, row


def _place(number: int) -> str:
    return f"row {number}" if number else "header"
