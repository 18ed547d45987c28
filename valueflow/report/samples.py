"""Which responses of an evaluation a page holds, and the windows in which each was judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation import SCORES_FILE
from valueflow.report.cells import Cell
from valueflow.report.reading import read_result
from valueflow.report.windows import FoundWindows, windows_of
from valueflow.run import InputError
from valueflow.steering import is_refusal


@dataclass(frozen=True, eq=False)
class Sample:
    """What a page says of the responses of a cell.

    Attributes
    ----------
    cell
        The evaluation.
    said
        A row per response that could be read: `key`, a hash of query and response, and `refused`, whether it declines
        to answer.
    chosen
        Some of them, from the lowest score to the highest, those without one last: `query`, `response`, `score`, `low`,
        `high`; the index is the row in `scores.csv`, from 0.
    windows
        Of the chosen ones.
    problems
        What could not be read, one line each.
    """

    cell: Cell
    said: pd.DataFrame
    chosen: pd.DataFrame
    windows: FoundWindows
    problems: Sequence[str]

    @property
    def n(self) -> int:
        """Number of all responses that could be read."""
        return len(self.said)


def sample_responses(cell: Cell, most: int) -> Sample:
    """Read the responses of an evaluation, and choose at most so many, spread evenly over the order of their scores."""
    value = str(cell.summary["value"])
    figures = {f"{value}_{name}": name for name in ("score", "low", "high")}
    file = cell.run.folder / SCORES_FILE
    try:
        table = read_result(file, ["query", "response", *figures]).rename(columns=figures)
        if not file.is_file():
            raise InputError(f"{file} is missing; the responses of this job are not shown")
    except InputError as error:
        nothing = pd.DataFrame(columns=["query", "response", *figures.values()])
        return Sample(cell, _said(nothing), nothing, FoundWindows(None, {}), [str(error)])
    for name in figures.values():
        table[name] = pd.to_numeric(table[name], errors="coerce")
    ordered = table.sort_values("score", kind="stable", na_position="last")
    chosen = ordered.iloc[spread(len(ordered), most)]
    windows = windows_of(cell.run, chosen)
    return Sample(cell, _said(table), chosen, windows, windows.problems)


def _said(table: pd.DataFrame) -> pd.DataFrame:
    keys = pd.util.hash_pandas_object(table[["query", "response"]], index=False)
    return pd.DataFrame({"key": keys, "refused": table["response"].map(is_refusal).astype(bool)})


def spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most so many places of n, ascending, the first and the last among them where there are two or more."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
