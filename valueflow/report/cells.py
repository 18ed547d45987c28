"""Evaluations as cells of a table: a value, an intensity, and what else tells responses apart."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from valueflow.evaluation import asked_intensity, is_unsteered
from valueflow.judge import judge_words
from valueflow.report.reading import FinishedRun
from valueflow.responses import shown_intensity, shown_targets

ONLY_SERIES = "all responses"


@dataclass(frozen=True, eq=False)
class Cell:
    """An evaluation.

    Attributes
    ----------
    run
        Its folder and summary.
    series
        What tells it apart from evaluations of the same value and intensity, such as the model.
    level
        Intensity that its responses were steered to on this value; None where they were not.
    is_unsteered
        Whether its responses are known to be steered to nothing.
    """

    run: FinishedRun
    series: str
    level: int | None
    is_unsteered: bool

    @property
    def summary(self) -> Mapping[str, Any]:
        """The evaluation's summary."""
        return self.run.summary

    @property
    def value(self) -> str:
        """Theory and value, as people read them."""
        return f"{self.summary['theory']}/{self.summary['label']}"

    @property
    def intensity(self) -> str:
        """The intensity in words: `+2`, `0`, `all`."""
        return shown_intensity(self.level)

    def figure(self, key: str) -> float:
        """Return a figure of the summary; NaN where it has none."""
        entry = self.summary.get(key)
        return math.nan if entry is None else float(entry)


def cells_of(runs: Sequence[FinishedRun]) -> list[Cell]:
    """Return evaluations as cells, by value in the order of the runs, then by series and intensity."""
    series = _told_apart(runs)
    cells = [
        Cell(run, name, asked_intensity(run.summary), is_unsteered(run.summary))
        for run, name in zip(runs, series, strict=True)
    ]
    values = list(dict.fromkeys(cell.value for cell in cells))
    names = list(dict.fromkeys(series))

    def order(cell: Cell) -> tuple[int, int, float]:
        return (
            values.index(cell.value),
            names.index(cell.series),
            -math.inf if cell.level is None else cell.level,
        )

    return sorted(cells, key=order)


def means_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return a row per cell: `value`, `series`, `level` (NaN: none), `unsteered`, `model`, `mean`, `low`, `high`."""
    return pd.DataFrame(
        {
            "value": [cell.value for cell in cells],
            "series": [cell.series for cell in cells],
            "level": [math.nan if cell.level is None else float(cell.level) for cell in cells],
            "unsteered": [cell.is_unsteered for cell in cells],
            "model": [str(cell.summary.get("model") or "") for cell in cells],
            "mean": [cell.figure("mean") for cell in cells],
            "low": [cell.figure("mean_low") for cell in cells],
            "high": [cell.figure("mean_high") for cell in cells],
        }
    )


Factor = Callable[[FinishedRun], str]


def _setting(key: str) -> Factor:
    def words(run: FinishedRun) -> str:
        entry = (run.summary.get("settings") or {}).get(key)
        return "" if entry is None else f"{key}={entry}"

    return words


_FACTORS: tuple[Factor, ...] = (
    lambda run: str(run.summary.get("model") or ""),
    lambda run: str(run.summary.get("steered_by") or ""),
    lambda run: shown_targets(run.summary),
)
"""What is named wherever evaluations differ in it."""

_FURTHER: tuple[Factor, ...] = (
    lambda run: judge_words(run.summary.get("judge")),
    *map(_setting, ("estimator", "sampling", "k", "m")),
    lambda run: run.given,
    lambda run: str(run.folder),
)
"""What is named only where evaluations of the same value and intensity are not told apart otherwise."""


def _told_apart(runs: Sequence[FinishedRun]) -> list[str]:
    """Return for each evaluation what tells it apart from others of the same value and intensity."""
    parts: list[list[str]] = [[] for _ in runs]
    for number, factor in enumerate((*_FACTORS, *_FURTHER)):
        words = [factor(run) for run in runs]
        if number >= len(_FACTORS) and not _are_confused(runs, parts):
            break
        if len(set(words)) > 1:
            for own, word in zip(parts, words, strict=True):
                own += [word] if word else []
    return [", ".join(own) or ONLY_SERIES for own in parts]


def _are_confused(runs: Sequence[FinishedRun], parts: Sequence[Sequence[str]]) -> bool:
    names = [
        (run.summary["theory"], run.summary["value"], run.summary["intensity"], *own)
        for run, own in zip(runs, parts, strict=True)
    ]
    return len(set(names)) < len(names)
