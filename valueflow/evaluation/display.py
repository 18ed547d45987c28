"""Evaluations as a table on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.run import cost_lines, failure_lines, number, screen


def show_evaluation(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row per run: value, intensity, mean score with 95% interval, failures, reliability, seconds.

    Below it stand what is worth a word: the judges of a panel (where one run is shown), why windows
    failed, what the judges' calls cost, and how many responses have no score.

    Parameters
    ----------
    summaries
        Summaries of runs, as `Evaluation.summary` or read back from `summary.json`.
    title
        Heading of the table.
    others
        For each run, the settings besides value and intensity that differ from the others'; a
        column of its own where there are any.
    """
    console = screen()
    table = Table(title=title, title_justify="left")
    table.add_column("value")
    if any(others):
        table.add_column("settings")
    for heading in ("intensity", "n", "mean score", "95% interval", "failed windows", "judge tau", "beta", "seconds"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        reliability = summary["reliability"]
        table.add_row(
            f"{summary['theory']}/{summary['label']}",
            *([others[place]] if any(others) else []),
            "all" if summary["intensity"] is None else f"{summary['intensity']:+d}",
            str(summary["n"]) if summary["scored"] == summary["n"] else f"{summary['scored']} of {summary['n']}",
            number(summary["mean"], "+.2f"),
            f"{number(summary['mean_low'], '+.2f')} to {number(summary['mean_high'], '+.2f')}",
            number(summary["share_failed"], ".1%"),
            number(reliability["kendall_tau"], ".2f"),
            number(reliability["discrimination"], ".2f"),
            number(summary["timings"]["total"], ".1f"),
        )
    console.print(table)
    panel = _panel_lines(summaries[0]) if len(summaries) == 1 else []
    failures = failure_lines(summary["failures"] for summary in summaries)
    costs = cost_lines("judge calls", (summary.get("judging", {}) for summary in summaries))
    adaptive = _adaptive_lines([summary for summary in summaries if "adaptive" in summary])
    for line in (*panel, *failures, *costs, *adaptive):
        console.print(line, soft_wrap=True)
    not_converged = sum(summary["not_converged"] for summary in summaries)
    if not_converged:
        console.print(
            f"{not_converged} responses have no score: the solver did not converge; "
            "raise iter (or lr), or use solver=newton"
        )


def _panel_lines(summary: Mapping[str, Any]) -> list[str]:
    """Word one line per judge of a panel, and how far they agree."""
    judges = summary.get("judges", [])
    width = max((len(judge["name"]) for judge in judges), default=0)
    lines = [
        f"{judge['name']:<{width}}  tau {number(judge['kendall_tau'], '.2f')}  "
        f"beta {number(judge['discrimination'], '.2f')}  "
        f"failed {judge['windows_failed']:,} of {judge['windows']:,}"
        for judge in judges
    ]
    if judges:
        lines.append(f"agreement (Kendall's W) {number(summary['agreement']['kendall_w'], '.2f')}")
    return lines


def _adaptive_lines(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Word how many windows adaptive runs took, what bucket would have taken, and which responses fell short."""
    if not summaries:
        return []
    n = sum(summary["n"] for summary in summaries)
    taken, bucket = (
        sum(summary["n"] * summary["adaptive"][figure] for summary in summaries) / n
        for figure in ("windows_per_response", "bucket_windows")
    )
    reached, at_most = (
        sum(summary["adaptive"][figure] for summary in summaries) for figure in ("reached", "stopped_at_most")
    )
    lines = [
        f"adaptive windows: {taken:.1f} per response, where bucket would need {number(bucket, '.1f')} for the same "
        "accuracy",
        f"{reached:,} of {n:,} responses reached the target",
    ]
    if at_most:
        lines.append(f"{at_most:,} stopped short of it at the most windows: raise m")
    if little := n - reached - at_most:
        lines.append(f"for {little:,} a further window promised too little")
    return ["; ".join(lines)]
