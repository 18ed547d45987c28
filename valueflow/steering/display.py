"""Steered runs as tables on the screen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.responses import joined
from valueflow.run import cost_lines, failure_lines, number, screen


def show_steering(summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()) -> None:
    """Print one row per run: what was steered to, how, responses, failures, refusals, words.

    Parameters
    ----------
    summaries
        Summaries of steered runs.
    title
        Heading of the table.
    others
        For each run, the settings that differ from the others' and have no column; a column where there are any.
    """
    console = screen()
    table = Table(title=title, title_justify="left")
    for heading in ("value", *(["settings"] if any(others) else []), "steering"):
        table.add_column(heading)
    for heading in ("intensity", "responses", "failed", "refused", "words", "truncated", "seconds"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        table.add_row(
            f"{summary['theory']}/{joined(summary['labels'])}" if summary["labels"] else "-",
            *([others[place]] if any(others) else []),
            summary["steering"],
            joined([f"{intensity:+d}" for intensity in summary["intensities"]]) or "-",
            str(summary["responses"]),
            str(summary["failed"]),
            str(summary["refused"]),
            number(summary["mean_words"], ".0f"),
            str(summary["truncated"]),
            f"{summary['timings']['total']:.1f}",
        )
    console.print(table)
    failures = failure_lines(summary["failures"] for summary in summaries)
    for line in (*_refusals_by_intensity(summaries), *failures, *_costs(summaries)):
        console.print(line, soft_wrap=True)


def _refusals_by_intensity(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word how many responses were refusals at each intensity; nothing where none was."""
    refused: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for summary in summaries:
        intensity = joined(summary["intensities"]) or "none"
        refused[intensity] += summary["refused"]
        asked[intensity] += summary["responses"]
    if not refused.total():
        return []
    counts = [f"{refused[intensity]} of {asked[intensity]} at {intensity}" for intensity in asked]
    return [f"refused: {', '.join(counts)} (kept among the responses)"]


def _costs(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    return cost_lines("calls", (summary["asking"] for summary in summaries))
