"""What a judging came to, as a table on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.judge import judge_words
from valueflow.run import cost_lines, failure_lines, number, screen, table_of_runs

_MOSTLY = 0.5
"""Share of probability on other words from which log-odds mean little."""


def show_judging(summary: Mapping[str, Any]) -> None:
    """Print a row for each value of a run, and under the table what failed, what it took and what is in the file."""
    console = screen()
    table = Table(title=f"{judge_words(summary['judge'])} on {summary['input']}", title_justify="left")
    table.add_column("value")
    for heading in ("failed", "mean utility", "half width in points", "Spearman"):
        table.add_column(heading, justify="right")
    for record in summary["values"]:
        line = record["anchors"] or {}
        table.add_row(
            record["name"],
            f"{record['failed']:,}",
            number(record["mean_utility"], ".2f"),
            number(record["half_width"], ".1f"),
            number(line.get("spearman"), ".2f"),
        )
    console.print(table)
    console.print(
        f"{summary['texts']:,} texts in {summary['file']}, {summary['texts_per_second']:,.0f} a second", soft_wrap=True
    )
    for line in _lines(summary):
        console.print(line, soft_wrap=True)


def show_judgings(summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()) -> None:
    """Print one row per run, and under the table what failed.

    Parameters
    ----------
    summaries
        Summaries of judgings.
    title
        Heading of the table.
    others
        For each run, the settings that differ from the others'; a column where there are any.
    """
    console = screen()
    rows = [
        (
            summary["theory"],
            judge_words(summary["judge"]),
            f"{summary['texts']:,}",
            str(len(summary["values"])),
            str(sum(record["intensity"] is not None for record in summary["values"])),
            f"{summary['failed']:,}",
            f"{summary['texts_per_second']:,.0f}",
        )
        for summary in summaries
    ]
    figures = ("texts", "values", "with intensities", "failed", "texts/s")
    console.print(table_of_runs(title, others, words=("theory", "judge"), figures=figures, rows=enumerate(rows)))
    for line in dict.fromkeys(line for summary in summaries for line in _lines(summary)):
        console.print(line, soft_wrap=True)


def _lines(summary: Mapping[str, Any]) -> list[str]:
    """Word what failed, what judging took, and where there are no intensities."""
    anchors, took = summary["anchors"] or {}, summary["judging"]
    lines = failure_lines([summary["failures"]])
    lines += [f"of anchors {line}" for line in failure_lines([anchors.get("failures", {})])]
    lines += cost_lines("judge calls", [took, anchors.get("judging", {})])
    if took.get("texts_truncated"):
        lines.append(f"{took['texts_truncated']:,} texts longer than the judge reads, truncated")
    if took.get("texts_learned"):
        lines.append(f"{took['texts_learned']:,} texts that the judge was distilled on: it knows its teacher's answers")
    if took.get("share_outside_words", 0) > _MOSTLY:
        lines.append(
            f"{took['share_outside_words']:.0%} of the model's probability is on other words than those asked for; its "
            "log-odds mean little"
        )
    reasons: dict[str, list[str]] = {}
    for record in summary["values"]:
        if record["no_intensity"]:
            reasons.setdefault(record["no_intensity"], []).append(record["name"])
    if summary["anchors"] is not None:
        lines += [f"no intensities on {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return lines
