"""What is counted of texts before their vectors are stored, by theory, and what of them cannot be stored as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from valueflow.extraction.reading import TextFile, own_chunks
from valueflow.extraction.settings import ExtractionSettings
from valueflow.run import InputError, Share, nearest

MAX_BYTES_OF_TEXTS = 2 << 30
"""Size of a theory's array of texts at most: who loads it holds every text in memory as wide as the longest."""

MAX_ROWS_NAMED = 20
"""Rows that are listed where vectors are not finite, at most."""

_MAX_THEORIES = 100
"""Files written at once at most; a column with more names is hardly one of theories."""


@dataclass
class Tally:
    """What is counted of a theory's texts, and what of them cannot be stored as it is.

    Attributes
    ----------
    longest, longest_row
        Characters of the longest text, and where it stands.
    width
        Characters of the longest text as it is stored; 1 at least.
    truncated, nul
        Texts that are stored truncated, and texts that lose the NUL characters at their end.
    not_finite, not_finite_rows
        Vectors that hold NaN or infinity, and the first rows they belong to.
    """

    texts: int = 0
    longest: int = 0
    longest_row: int = 0
    width: int = 1
    truncated: int = 0
    nul: int = 0
    not_finite: int = 0
    not_finite_rows: list[int] = field(default_factory=list)

    def add(self, text: str, row: int, most: int | None) -> None:
        """Count a text; `most` characters of it are stored."""
        self.texts += 1
        length = len(text)
        if length > self.longest:
            self.longest, self.longest_row = length, row
        if most is not None and length > most:
            self.truncated += 1
            text, length = text[:most], most
        elif text[-1] == "\0":
            self.nul += 1
        if length > self.width:
            self.width = max(self.width, len(text.rstrip("\0")))

    def add_not_finite(self, rows: Sequence[int]) -> None:
        """Count vectors that are not finite, by the rows of their texts."""
        self.not_finite += len(rows)
        self.not_finite_rows += rows[: MAX_ROWS_NAMED - len(self.not_finite_rows)]


def count_by_theory(file: TextFile, settings: ExtractionSettings, share: Share) -> dict[str, Tally]:
    """Read the file once: a tally a theory, in the order that they turn up.

    Raises
    ------
    InputError
        What `TextFile.chunks` says, there are too many theories or none, or a name is written in two ways.
    """
    tallies: dict[str, Tally] = {}
    for chunk in own_chunks(file, share, counted=True):
        for text, theory, row in zip(chunk.texts, chunk.theories, chunk.rows, strict=True):
            if theory not in tallies:
                _check_new(theory, row, tallies, file)
                tallies[theory] = Tally()
            tallies[theory].add(text, row, settings.max_characters)
    if not share.rows:
        near = nearest(str(settings.theory), file.other_theories)
        raise InputError(f"input: {file.path} has no row of theory '{settings.theory}'; {near}")
    return tallies


def _check_new(theory: str, row: int, tallies: Mapping[str, Tally], file: TextFile) -> None:
    where = f"input: {file.path}, row {row}"
    # Their files would be one and the same on systems that ignore case.
    twin = next((other for other in tallies if other.casefold() == theory.casefold()), None)
    if twin is not None:
        raise InputError(f"{where}: theory '{theory}' is '{twin}' elsewhere; write it one way")
    if len(tallies) == _MAX_THEORIES:
        raise InputError(
            f"{where}: theory '{theory}' is one more than {_MAX_THEORIES}; is this the column of theories? Name it by "
            "input_columns.theory=..., or choose one theory by theory=..."
        )


def check_sizes(tallies: Mapping[str, Tally], settings: ExtractionSettings) -> None:
    """Raise InputError where a theory's array of texts would be larger than `MAX_BYTES_OF_TEXTS`."""
    for theory, tally in tallies.items():
        # A fixed-width array takes four bytes for each character of its longest text, for every text.
        size = 4 * tally.texts * tally.width
        if size > MAX_BYTES_OF_TEXTS:
            fitting = max(MAX_BYTES_OF_TEXTS // (4 * tally.texts), 1)
            raise InputError(
                f"input: {settings.input}, row {tally.longest_row}: of {tally.texts:,} texts of theory '{theory}' the "
                f"longest has {tally.longest:,} characters, so the array of texts would take {size / 2**30:.1f} GiB of "
                f"{MAX_BYTES_OF_TEXTS / 2**30:g} at most; give max_characters={fitting} (texts are embedded whole and "
                "stored truncated)"
            )
