"""Profiles as tables on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.table import Table

from valueflow.profiling.tables import SIGNIFICANT
from valueflow.run import cost_lines, failure_lines, number, screen, table_of_runs

_MOST_SIDE_BY_SIDE, _MOST_ROWS, _EXTREMES = 5, 40, 3


def show_profile(table: pd.DataFrame, summary: Mapping[str, Any]) -> None:
    """Print the profiles of each theory, and what was left out, failed or is in files.

    Parameters
    ----------
    table, summary
        Of a `Profiles`.
    """
    console = screen()
    for theory in dict.fromkeys(table["theory"]):
        rows = table[table["theory"] == theory]
        groups = list(dict.fromkeys(rows["group"]))
        side_by_side = len(groups) <= _MOST_SIDE_BY_SIDE
        console.print(_by_value(rows, groups) if side_by_side else _by_group(rows, groups[:_MOST_ROWS]))
        if len(groups) > _MOST_ROWS:
            console.print(f"{len(groups) - _MOST_ROWS:,} more groups are in profiles.csv")
    for line in _lines(summary):
        console.print(line, soft_wrap=True)


def show_profiles(summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()) -> None:
    """Print one row per theory of each run.

    Parameters
    ----------
    summaries
        Summaries of profilings.
    title
        Heading of the table.
    others
        For each run, the settings that differ from the others'; a column where there are any.
    """
    console = screen()
    rows = [
        (
            run,
            (
                str(summary["source"]),
                name,
                f"{summary['groups']:,}",
                f"{summary['texts']:,}",
                f"{found['pairs']:,}",
                f"{found['measured']:,}",
                number(found["differ"], ",d") if found["differ"] is not None else "-",
            ),
        )
        for run, summary in enumerate(summaries)
        for name, found in summary["theories"].items()
    ]
    figures = ("groups", "texts", "pairs", "values", "differ")
    console.print(table_of_runs(title, others, words=("source", "theory"), figures=figures, rows=rows))
    for summary in summaries:
        if summary["dry_run"]:
            console.print(_plan_line(summary), soft_wrap=True)


def _by_value(rows: pd.DataFrame, groups: Sequence[str]) -> Table:
    table = Table(
        title=f"{rows['theory'].iloc[0]}: mean intensity, 95% interval; * differs from all groups", title_justify="left"
    )
    table.add_column("value")
    for group in groups:
        table.add_column(str(group), justify="right")
    for label, own in rows.groupby("label", sort=False):
        cells = {str(row["group"]): _cell(row) for _, row in own.iterrows()}
        table.add_row(str(label), *(cells[group] for group in groups))
    return table


def _cell(row: "pd.Series[Any]") -> str:
    if pd.isna(row["mean"]):
        return "-"
    star = "*" if row["differs"] else ""
    if pd.isna(row["low"]):
        return f"{row['mean']:+.2f}{star}"
    return f"{row['mean']:+.2f} ({row['low']:+.1f} to {row['high']:+.1f}){star}"


def _by_group(rows: pd.DataFrame, groups: Sequence[str]) -> Table:
    table = Table(title=f"{rows['theory'].iloc[0]}: highest and lowest scores", title_justify="left")
    for heading in ("group", "highest", "lowest"):
        table.add_column(heading)
    for heading in ("n", "differ"):
        table.add_column(heading, justify="right")
    for group in groups:
        own = rows[(rows["group"] == group) & rows["score"].notna()].sort_values("score", kind="stable")
        shown = [f"{label} {score:+.2f}" for label, score in zip(own["label"], own["score"], strict=True)]
        split = min(_EXTREMES, len(shown) // 2)
        n = int(rows.loc[rows["group"] == group, "n"].max())
        high, low = ", ".join(shown[: -split - 1 : -1]), ", ".join(shown[:split])
        table.add_row(group, high, low, f"{n:,}", f"{int(own['differs'].sum())} of {len(own)}")
    return table


def _plan_line(summary: Mapping[str, Any]) -> str:
    plan = summary["plan"]
    asked = (
        f"{plan['most_calls']:,} calls or fewer, about {plan['about_prompt_tokens']:,} prompt tokens, "
        f"{plan['most_completion_tokens']:,} completion tokens at most"
        if plan["most_calls"]
        else "no calls of a language model"
    )
    at_most = " at most" if plan["pairs_at_most"] else ""
    return f"nothing was judged (dry_run=true): {plan['pairs']:,} text-value pairs{at_most}; {asked}"


def _lines(summary: Mapping[str, Any]) -> list[str]:
    """Word what does not count and why, what asking took, and where the profiles are."""
    counts = {
        "rows were steered and take no part": summary["left_out"],
        "texts bear on no value (relevance.threshold)": sum(
            figures["unrelated"] for figures in summary["theories"].values()
        ),
        "texts without a relevance: asking failed": summary["relevance_failed"],
        "statements by the template: the model gave none": summary["statements_failed"],
        "groups with means without an interval: one text or question": summary["without_interval"],
    }
    lines = [f"{count:,} {what}" for what, count in counts.items() if count]
    for name, figures in summary["theories"].items():
        for reason, values in figures["not_measured"].items():
            lines.append(f"{name}: {reason}: {', '.join(values)}")
    differ = sum(figures["differ"] or 0 for figures in summary["theories"].values())
    tests = sum(figures["tests"] for figures in summary["theories"].values())
    lines.append(f"{differ} of {tests} differences from all groups together have p (Holm) <= {SIGNIFICANT:g}")
    lines += failure_lines([summary["failures"]])
    lines += cost_lines("judge calls", [summary["judging"]] if "calls" in summary["judging"] else [])
    return lines
