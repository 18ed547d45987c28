"""Categorizations as tables on the screen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.run import cost_lines, number, screen

_MAX_NODES = 15


def show_categorization(summary: Mapping[str, Any]) -> None:
    """Print where texts stand most, why they stopped, how far the judges agree, and who abstained."""
    console = screen()
    table = Table(
        title=f"{summary['theory']}: {summary['placed']:,} of {summary['texts']:,} texts", title_justify="left"
    )
    table.add_column("node")
    for heading in ("texts", "ended here"):
        table.add_column(heading, justify="right")
    used = [node for node in summary["nodes"] if node["texts"]]
    for node in used[:_MAX_NODES]:
        table.add_row(node["name"], f"{node['texts']:,}", f"{node['ended']:,}")
    console.print(table)
    if len(used) > _MAX_NODES:
        console.print(f"and {len(used) - _MAX_NODES} more nodes; see summary.json and hierarchy.svg", soft_wrap=True)
    for line in _lines(summary):
        console.print(line, soft_wrap=True)


def show_categorizations(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    """Print one row per run of a sweep: texts with a place, why they stopped, agreement, abstentions."""
    console = screen()
    table = Table(title=title, title_justify="left")
    for heading in ("theory", *(["settings"] if any(others) else [])):
        table.add_column(heading)
    for heading in ("texts", "placed", "leaf", "neutral", "no winner", "agreement", "kappa 1", "abstained", "seconds"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        kappas = [level["kappa"] for level in summary["kappa"]]
        table.add_row(
            summary["theory"],
            *([others[place]] if any(others) else []),
            f"{summary['texts']:,}",
            f"{summary['placed']:,}",
            *(f"{count:,}" for count in summary["stop_reasons"].values()),
            number(summary["agreement"], ".2f"),
            number(kappas[0] if kappas else None, ".2f"),
            f"{sum(judge['abstentions'] for judge in summary['judges']):,}",
            f"{summary['timings']['total']:.1f}",
        )
    console.print(table)
    for line in cost_lines("votes", (summary["asking"] for summary in summaries)):
        console.print(line, soft_wrap=True)


def _lines(summary: Mapping[str, Any]) -> list[str]:
    reasons = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in summary["stop_reasons"].items())
    kappas = ", ".join(f"{number(level['kappa'], '.2f')} ({level['texts']:,} texts)" for level in summary["kappa"])
    sides = ", ".join(f"{count:,} {name}" for name, count in summary["directions"].items())
    lines = [f"stopped: {reasons}", f"direction: {sides}"]
    if kappas:
        lines.append(f"Fleiss' kappa by level: {kappas}; mean agreement {number(summary['agreement'], '.2f')}")
    counted = {
        "texts have no place (unplaced.csv)": summary["unplaced"],
        "texts to look at (review.csv)": summary["to_review"],
        "rows decided by people": summary["reviewed"],
        "rows of the review file without a decision": summary["review_undecided"],
        "rows repeat a text": summary["repeated"],
        "texts truncated to fit a prompt": summary["texts_truncated"],
        "directions without a winner, taken as neutral": summary["undirected"],
    }
    lines += [f"{count:,} {what}" for what, count in counted.items() if count]
    abstained: Counter[str] = Counter()
    for judge in summary["judges"]:
        if judge["abstentions"]:
            lines.append(f"{judge['name']} abstained {judge['abstentions']:,} times")
        abstained.update(judge["failures"])
    lines += [f"{count:,} abstained: {reason}" for reason, count in abstained.most_common(3)]
    return lines + cost_lines("votes", [summary["asking"]])
