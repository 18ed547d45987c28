"""Every response with its score, its interval and its windows: as many as the page has room for."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from valueflow.evaluation import SCORES_FILE
from valueflow.report.blocks import Block, Lines, Made, Section, Table
from valueflow.report.cells import Cell
from valueflow.report.page import render
from valueflow.report.samples import Sample, spread
from valueflow.report.windows import Window
from valueflow.run import number


@dataclass
class Anchors:
    """The anchors in the windows of a page, each once: its number by value, text and intensity."""

    numbers: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def number(self, value: str, text: str, intensity: str) -> int:
        """Return the number of an anchor, a new one where it has none yet."""
        return self.numbers.setdefault((value, text, intensity), len(self.numbers) + 1)


@dataclass(frozen=True)
class _Shown:
    """A response as the page shows it: who said it, its figures, and its windows with anchors by number."""

    cell: Cell
    query: str
    response: str
    score: str
    interval: str
    windows: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class ShownResponses:
    """The section of responses, and how many of them it shows."""

    section: Section
    shown: int


def response_section(
    samples: Sequence[Sample],
    *,
    page_folder: Path,
    longest: int,
    room: Callable[[Section], int],
) -> ShownResponses:
    """Show responses in the room that a page has for them.

    Parameters
    ----------
    samples
        Of each cell, at most as many responses as a cell may show.
    page_folder
        Where the page will lie, for links.
    longest
        Characters of a text that are shown.
    room
        Bytes that are left on the page for responses, given what else the section holds.
    """
    most = max((len(sample.chosen) for sample in samples), default=0)
    total = sum(sample.n for sample in samples)
    files = _files(samples, page_folder)
    # Of all that the words may say, the longest.
    budget = room(_section([Lines(_words(max(total - 1, 0), total, most, longest, len(samples))), files]))
    per_cell = most
    while True:
        chosen = [sample.chosen.iloc[spread(len(sample.chosen), per_cell)] for sample in samples]
        markup = _made(samples, chosen, longest)
        size = len(markup.encode())
        if size <= budget or per_cell == 0:
            break
        per_cell = min(per_cell - 1, int(per_cell * budget / size))
    shown = sum(map(len, chosen))
    n_unread = sum(sample.n == 0 and bool(sample.problems) for sample in samples)
    return ShownResponses(
        _section([Lines(_words(shown, total, per_cell, longest, n_unread)), Made(markup), files]), shown
    )


def _section(blocks: Sequence[Block]) -> Section:
    return Section("responses", "Responses", blocks)


def _words(shown: int, total: int, per_cell: int, longest: int, n_unread: int) -> list[str]:
    words = (
        "No response could be read; the overview says why."
        if total == 0
        else "All responses are shown."
        if shown == total
        else f"None of {total:,} responses is shown: the page has no room for them. per_cell=N shows N of each job, as "
        "far as megabytes allows; the files of each job, linked below, have all."
        if shown == 0
        else f"{shown:,} of {total:,} responses are shown: of each job at most {per_cell}, spread evenly from the "
        "lowest score to the highest, so that the page stays small. The files of each job, linked below, have all."
    )
    if n_unread and total:
        words += f" Jobs whose responses could not be read: {n_unread:,} (the overview says why)."
    return [
        words,
        f"Texts longer than {longest:,} characters are cut, and say so. A window opens to the texts in the order in "
        "which the judge saw them, each with its rank: 1 supports the value most. Scores have 90% intervals.",
    ]


def _made(
    samples: Sequence[Sample],
    chosen: Sequence[pd.DataFrame],
    longest: int,
) -> Markup:
    anchors = Anchors()
    rows = [
        _Shown(
            sample.cell,
            str(response.query),
            str(response.response),
            number(float(str(response.score)), "+.2f"),
            " to ".join(number(float(str(end)), "+.2f") for end in (response.low, response.high)),
            [
                _numbered(window, sample.cell, anchors)
                for window in sample.windows.by_row.get(int(str(response.Index)), [])
            ],
        )
        for sample, frame in zip(samples, chosen, strict=True)
        for response in frame.itertuples()
    ]
    cells = [sample.cell for sample in samples]
    filters = {
        "value": list(dict.fromkeys(cell.value for cell in cells)),
        "intensity": list(dict.fromkeys(cell.intensity for cell in cells)),
    }
    series = list(dict.fromkeys(cell.series for cell in cells))
    if len(series) > 1:
        filters["series"] = series
    listed: dict[str, list[tuple[int, str, str]]] = {}
    for (value, text, rating), anchor in anchors.numbers.items():
        listed.setdefault(value, []).append((anchor, text, rating))
    return render(
        "responses.html",
        {"rows": rows, "filters": filters, "several": len(series) > 1, "anchors": listed, "longest": longest},
    )


def _numbered(window: Window, cell: Cell, anchors: Anchors) -> dict[str, Any]:
    items = [
        {
            "rank": "-" if item.rank is None else item.rank,
            "anchor": None if item.text is None else anchors.number(cell.value, item.text, item.intensity or ""),
        }
        for item in window.items
    ]
    return {"items": items, "judge": window.judge, "failure": window.failure}


def _files(samples: Sequence[Sample], page_folder: Path) -> Table:
    rows, links = [], []
    for sample in samples:
        cell = sample.cell
        file, windows = cell.run.folder / SCORES_FILE, sample.windows.file
        rows.append(
            [
                str(file),
                cell.value,
                cell.intensity,
                cell.series,
                f"{sample.n:,}",
                "none" if windows is None else windows.name if windows.parent == file.parent else str(windows),
            ]
        )
        links.append(link_to(file, page_folder) if file.is_file() else "")
    return Table(
        caption="All responses with their scores, a file per job",
        headings=["file", "value", "intensity", "series", "responses", "all windows in"],
        rows=rows,
        words=frozenset({"file", "value", "series", "all windows in"}),
        links=links,
        note="Links work as long as this page is in the folder it was written to.",
    )


def link_to(file: Path, page_folder: Path) -> str:
    """Return the address of a file from a page in a folder."""
    return quote(os.path.relpath(file.absolute(), page_folder.absolute()))
