"""The windows in which responses were judged, as the judge saw them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.evaluation import RANKINGS_FILE
from valueflow.report.reading import FinishedRun, read_result
from valueflow.run import InputError, plain, read_table

_COLUMNS = ("row_idx", "target_text", "ranking", "db_text_1", "db_score_1")


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


@dataclass(frozen=True)
class FoundWindows:
    """Windows of responses.

    Attributes
    ----------
    file
        Where all windows of the evaluation are; None where it has none or they are not there any more.
    by_row
        By the row of the response in `scores.csv`, from 0.
    problems
        Why windows are missing, one line each.
    """

    file: Path | None
    by_row: Mapping[int, Sequence[Window]]
    problems: Sequence[str] = ()


def windows_of(run: FinishedRun, chosen: pd.DataFrame) -> FoundWindows:
    """Read the windows of some responses.

    Parameters
    ----------
    run
        The evaluation.
    chosen
        Its responses: column `response`; the index is the row in `scores.csv`, from 0.
    """
    saved = run.summary.get("rankings")
    file = _saved_file(run, str(saved)) if saved else run.folder / RANKINGS_FILE
    if not file.is_file():
        is_expected = saved or (run.summary.get("windows") and not run.is_regression)
        return FoundWindows(None, {}, [f"{file} is missing; windows are not shown"] if is_expected else [])
    try:
        # What a run has written itself is read several times faster.
        table = read_table(file, "rankings") if saved else read_result(file)
    except InputError as error:
        return FoundWindows(file, {}, [str(error)])
    missing = [column for column in _COLUMNS if column not in table]
    if missing:
        return FoundWindows(file, {}, [f"{file}: column '{missing[0]}' is missing; windows are not shown"])
    row = pd.to_numeric(table["row_idx"], errors="coerce")
    table = table[row.isin(chosen.index)].map(_text).assign(row=row)
    # A file of saved rankings may have been replaced since.
    is_own = (table["target_text"] == chosen["response"].reindex(table["row"]).to_numpy()).to_numpy()
    k = 2
    while f"db_text_{k}" in table:
        k += 1
    found: dict[int, list[Window]] = {}
    for cells in table[is_own].to_dict("records"):
        found.setdefault(int(cells["row"]), []).append(_window({str(key): cells[key] for key in cells}, k))
    return FoundWindows(file, found, _unmatched(file, chosen, found, set(table["row"][~is_own].astype(int))))


def _saved_file(run: FinishedRun, saved: str) -> Path:
    """Return a file that a setting of a run names, relative to where the run was started or to where we are."""
    started_in = run.config("hydra.yaml").get("hydra", {}).get("runtime", {}).get("cwd")
    there = Path(str(started_in or "."), saved)
    return there if there.is_file() else Path(saved)


def _unmatched(file: Path, chosen: pd.DataFrame, found: Mapping[int, Any], others: set[int]) -> list[str]:
    without = {*chosen.index} - found.keys()
    replaced = without & others
    problems = []
    if replaced:
        problems.append(
            f"{file}: responses whose windows are of other texts (target_text) and are not shown: {len(replaced)}"
        )
    if without - replaced:
        problems.append(
            f"{file}: responses without a window there: {len(without - replaced)} of the {len(chosen)} chosen ones"
        )
    return problems


def _text(cell: object) -> str:
    """Return a cell of a table of any kind as delimited text has it."""
    if isinstance(cell, str):
        return cell
    entry = plain(cell)
    return "" if entry is None or entry != entry else json.dumps(entry) if isinstance(entry, list) else str(entry)


def _window(cells: dict[str, Any], k: int) -> Window:
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
        if 1 <= number <= k
    ]
    return Window(items, cells.get("judge", ""), cells.get("failure", ""))


def _numbers(written: str) -> list[int]:
    """Read a list of item numbers; empty where it is none."""
    try:
        content = json.loads(written)
    except (ValueError, RecursionError):
        return []
    return [item for item in content if type(item) is int] if isinstance(content, list) else []
