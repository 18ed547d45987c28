"""Databases in the making as tables on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.run import cost_lines, failure_lines, number, screen, shorten

_LONGEST_TEXT = 90


def plan_line(summary: Mapping[str, Any]) -> str:
    """Word what a plan holds and will cost."""
    plan = summary["plan"]
    asked = (
        f"{plan['most_calls']:,} calls or fewer, about {plan['about_prompt_tokens']:,} prompt tokens, "
        f"{plan['most_completion_tokens']:,} completion tokens at most"
        if plan["most_calls"]
        else "no calls of a language model"
    ) + (f"; the panel's check: {plan['check_calls']:,} calls or fewer" if plan["check_calls"] else "")
    return (
        f"plan: {summary['texts'] + summary['known_only']:,} texts, {plan['windows']:,} windows of "
        f"{summary['settings']['k']}, {plan['rankings']:,} rankings; {asked}"
    )


def show_construction(summary: Mapping[str, Any]) -> None:
    """Print the database's figures, or the plan's where nothing was asked yet."""
    console = screen()
    if summary["dry_run"]:
        console.print(plan_line(summary), soft_wrap=True)
        console.print("nothing was asked (dry_run=true); the random rounds are in plan.csv", soft_wrap=True)
        return
    if "published" not in summary:
        console.print(plan_line(summary), soft_wrap=True)
        console.print(
            f"shard {summary['shard']['part']}: {summary['windows']:,} windows are judged; "
            "merge=FOLDER makes the database",
            soft_wrap=True,
        )
        return
    show_constructions([summary], f"{summary['theory']}: {summary['label']}", [""])
    for line in _lines(summary):
        console.print(line, soft_wrap=True)


def show_constructions(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    """Print one row a database: texts, windows, reliability."""
    table = Table(title=title, title_justify="left")
    for heading in ("theory", "value", *(["settings"] if any(others) else [])):
        table.add_column(heading)
    for heading in ("texts", "published", "flagged", "windows", "failed", "Spearman", "Pearson", "known", "seconds"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        halves = summary.get("split_half", {})
        table.add_row(
            summary["theory"],
            summary["value"],
            *([others[place]] if any(others) else []),
            f"{summary['texts']:,}",
            f"{summary.get('published', 0):,}",
            f"{summary.get('flagged', 0):,}",
            f"{summary['plan']['windows']:,}",
            f"{summary.get('rankings_failed', 0):,}",
            number(halves.get("spearman"), ".3f"),
            number(halves.get("pearson"), ".3f"),
            number(summary.get("known_spearman"), ".3f"),
            f"{summary['timings']['total']:.1f}",
        )
    screen().print(table)


def _lines(summary: Mapping[str, Any]) -> list[str]:
    halves = summary["split_half"]
    lines = [
        f"split-half reliability ({halves['n_texts']:,} texts): Spearman {number(halves['spearman'], '.3f')}, "
        f"Pearson {number(halves['pearson'], '.3f')}, of the whole {number(halves['stepped_up'], '.3f')}"
    ]
    if summary["known_spearman"] is not None:
        lines.append(f"Spearman with the known ratings: {summary['known_spearman']:.3f}")
    counted = {
        "rows repeat a text; it was judged once": summary["repeated"],
        "texts flagged by their outfit and not published (review.csv)": summary["flagged"],
        "texts that the panel found odd and that are not published (review.csv)": summary["found_odd"],
        "texts on which people disagree with the judge": summary["people_disagree"],
        "ratings by people": summary["reviewed"],
        "rows of the review file with unknown ids": summary["reviewed_unknown_ids"],
        "rows of the review file without a rating": summary["reviewed_empty"],
        "texts in no ranked window (unranked.csv)": summary["unranked"],
        "texts never ranked last but always first; the prior bounds them": summary["never_lost"],
        "texts always ranked last; the prior bounds them": summary["never_won"],
    }
    lines += [f"{count:,} {what}" for what, count in counted.items() if count]
    if summary["components"] > 1:
        lines.append(f"{summary['components']:,} groups of texts that no window compares")
    for judge in summary["judges"]:
        share = judge["most_common_order_of_places"]
        if judge["left_out"]:
            lines.append(f"{judge['name']}: always the same order of places; left out")
        elif share is not None:
            lines.append(f"{judge['name']}: commonest order of places in {share:.0%} of its answers")
    for name in ("most_certain", "least_certain"):
        lines.append(f"{name.replace('_', ' ')}:")
        lines += [
            f"  {entry['final_rating']:+.1f} (se {entry['standard_error']:.1f}) "
            f"{shorten(' '.join(entry['text'].split()), _LONGEST_TEXT)!r}"
            for entry in summary[name]
        ]
    judging = summary["judging"]
    lines += failure_lines([summary["failures"]]) + cost_lines("judge calls", [judging])
    if "check" in summary:
        check = summary["check"]
        lines.append(
            f"the panel's check: {check['undecided']:,} ratings without a winner, taken as plausible; "
            f"{check['abstentions']:,} abstentions"
        )
        lines += cost_lines("votes", [check["asking"]])
    return lines
