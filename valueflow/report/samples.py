"""Which responses of an evaluation a page holds, and the windows in which each was judged."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation import RANKINGS_FILE, SCORES_FILE
from valueflow.report.cells import Cell
from valueflow.report.reading import read_result
from valueflow.steering import is_refusal


@dataclass(frozen=True)
class Item:
    """A text of a window as the judge saw it.

    Attributes
    ----------
    rank
        From 1, the text that supports the value most; None where the window failed.
    text, intensity
        An anchor's, the latter as it is written; None for the response itself.
    """

    rank: int | None
    text: str | None
    intensity: str | None


@dataclass(frozen=True)
class Window:
    """A response among anchors, in the order in which they were shown.

    Attributes
    ----------
    items
        All texts.
    judge
        Of a panel, which one ranked it; else empty.
    failure
        Why it could not be ranked; else empty.
    """

    items: Sequence[Item]
    judge: str
    failure: str


@dataclass(frozen=True, eq=False)
class Sample:
    """What a page says of the responses of a cell.

    Attributes
    ----------
    cell
        The evaluation.
    n, refused
        Number of all its responses, and of those that decline to answer.
    chosen
        Some of them, from the lowest score to the highest, those without one last: `query`, `response`, `score`, `low`,
        `high`; the index is the row in `scores.csv`, from 0.
    """

    cell: Cell
    n: int
    refused: int
    chosen: pd.DataFrame


def sample_responses(cell: Cell, most: int) -> Sample:
    """Read the responses of an evaluation, and choose at most so many, spread evenly over the order of their scores."""
    value = str(cell.summary["value"])
    figures = {f"{value}_{name}": name for name in ("score", "low", "high")}
    table = read_result(cell.run.folder / SCORES_FILE, ["query", "response", *figures]).rename(columns=figures)
    if table.empty:
        return Sample(cell, 0, 0, table)
    refused = int(table["response"].map(is_refusal).sum())
    for name in figures.values():
        table[name] = pd.to_numeric(table[name], errors="coerce")
    ordered = table.sort_values("score", kind="stable", na_position="last")
    return Sample(cell, len(table), refused, ordered.iloc[spread(len(ordered), most)])


def spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most so many places of n, ascending, the first and the last among them where there are two or more."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def windows_of(cell: Cell, chosen: pd.DataFrame) -> dict[int, list[Window]]:
    """Return the windows of responses by the row of the response; none where no rankings are saved.

    Parameters
    ----------
    cell
        The evaluation.
    chosen
        Of a `Sample`.
    """
    saved = cell.summary.get("rankings")
    table = read_result(Path(saved) if saved else cell.run.folder / RANKINGS_FILE)
    if table.empty or not {"row_idx", "target_text", "ranking", "db_text_1", "db_score_1"} <= {*table.columns}:
        return {}
    row = pd.to_numeric(table["row_idx"], errors="coerce")
    table = table[row.isin(chosen.index)].assign(row=row)
    # A file of saved rankings may have been replaced since.
    table = table[table["target_text"] == chosen["response"].reindex(table["row"]).to_numpy()]
    k = 2
    while f"db_text_{k}" in table:
        k += 1
    found: dict[int, list[Window]] = {}
    for cells in table.to_dict("records"):
        found.setdefault(int(cells["row"]), []).append(_window({str(key): cells[key] for key in cells}, k))
    return found


def _window(cells: dict[str, str], k: int) -> Window:
    """Return a row of a rankings table as the judge saw it; item 1 is the response, item j + 1 anchor j."""
    ranks = {item: place for place, item in enumerate(_numbers(cells["ranking"]), start=1)}
    shown = _numbers(cells.get("prompt_order", "")) or list(range(1, k + 1))
    items = [
        Item(
            ranks.get(number),
            None if number == 1 else cells[f"db_text_{number - 1}"],
            None if number == 1 else cells[f"db_score_{number - 1}"],
        )
        for number in shown
        if number <= k
    ]
    return Window(items, cells.get("judge", ""), cells.get("failure", ""))


def _numbers(written: str) -> list[int]:
    """Read a list of item numbers; empty where it is none."""
    try:
        content = json.loads(written)
    except ValueError:
        return []
    return [item for item in content if type(item) is int] if isinstance(content, list) else []
