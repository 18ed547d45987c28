"""Evaluations as a table on the screen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

# A table that is piped into a file or read by a machine gets room for all its columns.
_WIDTH_WITHOUT_TERMINAL = 120


def show_evaluation(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row a run: value, intensity, mean score with 95% interval, failures, reliability, seconds.

    Parameters
    ----------
    summaries
        Summaries of runs, as `Evaluation.summary` or read back from `summary.json`.
    title
        Heading of the table.
    others
        For each run, the settings besides value and intensity that tell it from the others; a
        column of its own where there are any.
    """
    # Names come from files and folders: none of their brackets is markup.
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    table = Table(title=title, title_justify="left")
    table.add_column("value")
    if any(others):
        table.add_column("settings")
    for heading in ("intensity", "n", "mean score", "95% interval", "failed windows", "judge tau", "beta", "seconds"):
        table.add_column(heading, justify="right")
    for number, summary in enumerate(summaries):
        reliability = summary["reliability"]
        table.add_row(
            f"{summary['theory']}/{summary['label']}",
            *([others[number]] if any(others) else []),
            "all" if summary["intensity"] is None else f"{summary['intensity']:+d}",
            str(summary["n"]) if summary["scored"] == summary["n"] else f"{summary['scored']} of {summary['n']}",
            _number(summary["mean"], "+.2f"),
            f"{_number(summary['mean_low'], '+.2f')} to {_number(summary['mean_high'], '+.2f')}",
            _number(summary["share_failed"], ".1%"),
            _number(reliability["kendall_tau"], ".2f"),
            _number(reliability["discrimination"], ".2f"),
            _number(summary["timings"]["total"], ".1f"),
        )
    console.print(table)
    not_converged = sum(summary["not_converged"] for summary in summaries)
    if not_converged:
        console.print(
            f"{not_converged} responses have no score: the solver did not converge; "
            "raise iter (or lr), or use solver=newton"
        )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or math.isnan(value) else format(value, form)
