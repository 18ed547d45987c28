"""Surveys as tables on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.run import cost_lines, failure_lines, number, screen


def show_survey(summary: Mapping[str, Any]) -> None:
    """Print a survey's accuracy by attribute group and overall, both passes side by side."""
    console = screen()
    table = Table(title=f"{summary['preset']}: {summary['model']}, {summary['theory']}", title_justify="left")
    table.add_column("group")
    for heading in ("n", "default", "profile", "difference", "95% interval", "McNemar p"):
        table.add_column(heading, justify="right")
    for row in (*summary["groups"], {"name": "overall", **summary["overall"]}):
        table.add_row(row["name"], *_accuracies(row))
    console.print(table)
    console.print(
        f"profile used for {summary['profile_used']:,} of {summary['n']:,} questions (relevance from "
        f"{summary['threshold']:g}; {summary['relevance']})",
        soft_wrap=True,
    )
    for line in (*_lost(summary), *_costs([summary])):
        console.print(line, soft_wrap=True)


def show_surveys(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    """Print one row per survey of a sweep: preset, model, both accuracies, their difference."""
    console = screen()
    table = Table(title=title, title_justify="left")
    for heading in ("preset", *(["settings"] if any(others) else []), "model", "theory"):
        table.add_column(heading)
    for heading in ("n", "default", "profile", "difference", "95% interval", "McNemar p"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        table.add_row(
            summary["preset"],
            *([others[place]] if any(others) else []),
            summary["model"],
            summary["theory"],
            *_accuracies(summary["overall"]),
        )
    console.print(table)
    lost = [f"{summary['preset']}, {line}" for summary in summaries for line in _lost(summary)]
    for line in (*lost, *_costs(summaries)):
        console.print(line, soft_wrap=True)


def _accuracies(row: Mapping[str, Any]) -> list[str]:
    """Word the columns from n to p of one comparison."""
    low, high = (number(row[key], "+.1%") for key in ("difference_low", "difference_high"))
    return [
        str(row["n"]),
        f"{row['default_accuracy']:.1%}",
        f"{row['profile_accuracy']:.1%}",
        f"{row['difference']:+.1%}",
        "-" if low == "-" else f"{low} to {high}",
        number(row["mcnemar_p"], ".3f"),
    ]


def _lost(summary: Mapping[str, Any]) -> list[str]:
    """Word the answers of each pass that count as wrong for want of an option."""
    lines = []
    for name, lost in summary["passes"].items():
        if lost["unparsable"] or lost["failed"]:
            lines.append(
                f"{name} pass: {lost['unparsable']:,} answers name no option and {lost['failed']:,} calls failed; "
                "all count as wrong"
            )
            lines += [f"{name} pass: {line}" for line in failure_lines([lost["failures"]])]
    return lines


def _costs(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    return cost_lines("calls", (summary["asking"] for summary in summaries))
