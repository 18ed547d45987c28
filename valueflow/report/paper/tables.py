"""The table behind each figure of the paper, a row per bar, point, arrow or cell."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from valueflow.comparison import Comparison
from valueflow.evaluation import NO_MODEL, unsteered_like
from valueflow.report.cells import Cell
from valueflow.report.reading import FinishedRun
from valueflow.responses import UNSTEERED


def steerability(cells: Sequence[Cell], comparison: Comparison | None) -> pd.DataFrame:
    """Return what steering to one value changes, a row per value, model, method and intensity but 0.

    Columns: `theory`, `value`, `model`, `method`, `intensity`, `mean`, `unsteered`, `difference` of the two, and its
    95% interval `low`, `high`, paired by query, where the jobs could be compared.
    """
    intervals = {} if comparison is None else _intervals(comparison.table)
    summaries = [cell.summary for cell in cells]
    rows = []
    for cell in _steered_to_one(cells):
        base = unsteered_like(summaries, cell.summary)
        if base is None or cell.level == 0:
            continue
        low, high = intervals.get((*_key(cell), cell.intensity), (math.nan, math.nan))
        mean, unsteered = cell.figure("mean"), math.nan if base["mean"] is None else float(base["mean"])
        rows.append(
            {
                **_named(cell),
                "intensity": cell.level,
                "mean": mean,
                "unsteered": unsteered,
                "difference": mean - unsteered,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def value_wise(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return all means, a row per value, model, method and intensity (`all`: not steered), with 95% intervals."""
    shown = [cell for cell in cells if cell.is_unsteered or cell.summary["intensity"] is not None]
    return pd.DataFrame(
        [
            {
                **_named(cell),
                "intensity": cell.intensity,
                "n": cell.summary["n"],
                "mean": cell.figure("mean"),
                "low": cell.figure("mean_low"),
                "high": cell.figure("mean_high"),
                "mean_of_scores": cell.figure("mean_of_scores"),
            }
            for cell in shown
        ]
    )


def trainings(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return held-out metrics before and after each training: `run`, `metric`, `before`, `after`, `standard_error`."""
    return pd.DataFrame([row for run in runs for row in _of_training(run)])


def _of_training(run: FinishedRun) -> Iterator[dict[str, Any]]:
    before, after = run.summary.get("before") or {}, run.summary.get("after") or {}
    errors = (after.get("standard_errors") or {}).get("overall") or {}
    for metric, figure in (after.get("overall") or {}).items():
        if isinstance(figure, int | float):
            yield {
                "run": str(run.folder),
                "metric": metric,
                "before": (before.get("overall") or {}).get(metric),
                "after": figure,
                "standard_error": errors.get(metric),
            }


def surveys(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return accuracies of both passes by group, a row per survey and group, the last one overall.

    Columns: `preset`, `model`, `group`, `n`, `default_accuracy`, `profile_accuracy`, `difference` and its 95% interval
    `low`, `high`.
    """
    rows = []
    for run in runs:
        for group in (*run.summary["groups"], {"name": "overall", **run.summary["overall"]}):
            rows.append(
                {
                    "preset": run.summary["preset"],
                    "model": run.summary["model"],
                    "group": group["name"],
                    **{key: group[key] for key in ("n", "default_accuracy", "profile_accuracy", "difference")},
                    "low": group["difference_low"],
                    "high": group["difference_high"],
                }
            )
    return pd.DataFrame(rows)


def _named(cell: Cell) -> dict[str, str]:
    summary = cell.summary
    return {
        "theory": str(summary["theory"]),
        "value": str(summary["label"]),
        "model": str(summary.get("model") or NO_MODEL),
        "method": str(summary.get("steered_by") or ""),
    }


def _steered_to_one(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.summary["intensity"] is not None]


def _key(cell: Cell) -> tuple[str, str, str, str]:
    summary = cell.summary
    return (
        str(summary["theory"]),
        str(summary["value"]),
        str(summary.get("model") or ""),
        str(summary.get("steered_by") or ""),
    )


def _intervals(table: pd.DataFrame) -> Mapping[tuple[str, ...], tuple[float, float]]:
    """Return the interval of each difference from unsteered responses by value, model, method and intensity."""
    rows = table[(table["family"] == "intensity") & (table["against"] == UNSTEERED)]
    keys = ("theory", "value", "model", "steered_by", "compared")
    return {
        tuple(str(row[key]) for key in keys): (float(row["low"]), float(row["high"])) for row in rows.to_dict("records")
    }
