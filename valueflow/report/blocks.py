"""What a page is made of: sections, and in them lines, tables and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup


@dataclass(frozen=True)
class Lines:
    """Sentences, one per entry."""

    kind: ClassVar[str] = "lines"
    lines: Sequence[str]


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of each row names it.

    Attributes
    ----------
    caption
        What it shows.
    headings, rows
        Its cells.
    words
        Headings of the columns that hold words, which are aligned to the left; the others hold numbers.
    links
        Addresses of the first cells, relative to the page; none where empty.
    note
        What must be known to read it.
    whole
        Address of the file that has the whole table, relative to the page; else empty.
    """

    kind: ClassVar[str] = "table"
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[str] = frozenset()
    links: Sequence[str] = ()
    note: str = ""
    whole: str = ""


@dataclass(frozen=True)
class Shade:
    """A cell of a heatmap: its text, and its colors as CSS writes them."""

    text: str
    background: str
    ink: str


@dataclass(frozen=True)
class Heatmap:
    """A table whose cells are colored.

    Attributes
    ----------
    caption, corner
        What it shows, and what its rows are.
    groups
        Columns that belong together: a title, empty where there is one group only, and their headings.
    rows
        Names, and a cell per column; None where there is none.
    note
        What must be known to read it.
    """

    kind: ClassVar[str] = "heatmap"
    caption: str
    corner: str
    groups: Sequence[tuple[str, Sequence[str]]]
    rows: Sequence[tuple[str, Sequence[Shade | None]]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A drawing in the page's own colors: its SVG, which bears the alternative text, and a caption."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Panels:
    """Pictures side by side, as many in a row as fit; the legend has name, color and SVG dash pattern of each line."""

    kind: ClassVar[str] = "panels"
    pictures: Sequence[Picture]
    legend: Sequence[tuple[str, str, str]] = ()
    note: str = ""


@dataclass(frozen=True)
class Image:
    """A picture that a run has left in a file, as a data URI."""

    kind: ClassVar[str] = "image"
    data: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Made:
    """Markup that a template of its own has made."""

    kind: ClassVar[str] = "made"
    markup: Markup


Block = Lines | Heading | Table | Heatmap | Panels | Image | Made


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own; `name` is its address in the page."""

    name: str
    title: str
    blocks: Sequence[Block] = field(default_factory=list)
