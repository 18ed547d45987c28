"""Evaluations as a table on the screen."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

# A table that is piped into a file or read by a machine gets room for all its columns.
_WIDTH_WITHOUT_TERMINAL = 120

_MOST_REASONS = 5

_COSTS = ("calls", "cache_hits", "prompt_tokens", "completion_tokens")


def show_evaluation(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row a run: value, intensity, mean score with 95% interval, failures, reliability, seconds.

    Below it stand what is worth a word: the judges of a panel (where one run is shown), why windows
    failed, what the judges' calls cost, and how many responses have no score.

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
    panel = _panel_lines(summaries[0]) if len(summaries) == 1 else []
    for line in (*panel, *_failure_lines(summaries), *_cost_lines(summaries)):
        console.print(line, soft_wrap=True)
    not_converged = sum(summary["not_converged"] for summary in summaries)
    if not_converged:
        console.print(
            f"{not_converged} responses have no score: the solver did not converge; "
            "raise iter (or lr), or use solver=newton"
        )


def _panel_lines(summary: Mapping[str, Any]) -> list[str]:
    """Word one line a judge of a panel, and how far they agree."""
    judges = summary.get("judges", [])
    width = max((len(judge["name"]) for judge in judges), default=0)
    lines = [
        f"{judge['name']:<{width}}  tau {_number(judge['kendall_tau'], '.2f')}  "
        f"beta {_number(judge['discrimination'], '.2f')}  "
        f"failed {judge['windows_failed']:,} of {judge['windows']:,}"
        for judge in judges
    ]
    if judges:
        lines.append(f"agreement (Kendall's W) {_number(summary['agreement']['kendall_w'], '.2f')}")
    return lines


def _failure_lines(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word the most common reasons why windows failed, over all runs."""
    reasons: Counter[str] = Counter()
    for summary in summaries:
        reasons.update(summary["failures"])
    lines = [f"{count:,} failed: {reason}" for reason, count in reasons.most_common(_MOST_REASONS)]
    left = reasons.total() - sum(count for _, count in reasons.most_common(_MOST_REASONS))
    return lines + ([f"{left:,} failed for other reasons; see summary.json"] if left else [])


def _cost_lines(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word what the judges' calls cost, over all runs; nothing where no model was asked."""
    sums = {key: sum(summary.get("judging", {}).get(key, 0) for summary in summaries) for key in _COSTS}
    if not (sums["calls"] or sums["cache_hits"]):
        return []
    return [
        "judge calls: {calls:,} asked, {cache_hits:,} from the cache; "
        "{prompt_tokens:,} prompt and {completion_tokens:,} completion tokens".format(**sums)
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or math.isnan(value) else format(value, form)
