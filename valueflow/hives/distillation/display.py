"""Distillations on the screen."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from valueflow.run import cost_lines, failure_lines, number, screen

if TYPE_CHECKING:
    import pandas as pd


def show_distillation(summary: Mapping[str, Any], agreement: "pd.DataFrame | None") -> None:
    """Print how student and untrained encoder agree with the teacher on held-out texts, and where the model is."""
    console = screen()
    if agreement is not None:
        title = f"Spearman's correlation with {_teacher(summary)} on held-out texts, with 95% intervals"
        table = Table(title=title, title_justify="left")
        table.add_column("value")
        for heading in ("texts", "untrained encoder", "student"):
            table.add_column(heading, justify="right")
        for row in agreement.to_dict("records"):
            cells = [_interval(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("untrained", "student")]
            table.add_row(f"{row['theory']}/{row['value']}", f"{row['texts']:,}", *cells)
        table.add_section()
        means = [_ends(summary["correlation"][name]) for name in ("untrained", "student")]
        table.add_row("mean", "", *means)
        console.print(table)
        console.print(
            f"student less untrained encoder: {_ends(summary['correlation']['gain'], '+.3f')}", soft_wrap=True
        )
    for line in summary["meaning"]:
        console.print(f"! {line}", soft_wrap=True)
    data = summary["data"]
    console.print(
        f"{data['training']:,} training and {data['held_out']:,} held-out texts, {data['pairs']:,} answers of the "
        f"teacher; {summary['steps']:,} steps, the weights of step {summary['best_step']:,}; "
        f"{summary['timings']['total']:.0f} s",
        soft_wrap=True,
    )
    for line in [*cost_lines("teacher's calls", [summary["judging"]]), *failure_lines([data["failures"]])]:
        console.print(line, soft_wrap=True)
    console.print(
        f"model: {summary['export']}; use it: judge=embedding judge.encoder={summary['export']}", soft_wrap=True
    )


def show_distillations(summaries: Sequence[Mapping[str, Any]], title: str, others: Sequence[str]) -> None:
    """Print one row per distillation of a sweep: mean correlations with the teacher."""
    table = Table(title=title, title_justify="left")
    for heading in ("teacher", "encoder", *(["settings"] if any(others) else [])):
        table.add_column(heading)
    for heading in ("texts", "untrained encoder", "student", "seconds"):
        table.add_column(heading, justify="right")
    for summary, other in zip(summaries, others, strict=True):
        measured = summary["correlation"]
        table.add_row(
            _teacher(summary),
            summary["model"],
            *([other] if any(others) else []),
            f"{summary['data']['training']:,}",
            *[_ends(measured[name]) if measured else "-" for name in ("untrained", "student")],
            f"{summary['timings']['total']:.0f}",
        )
    screen().print(table)


def _teacher(summary: Mapping[str, Any]) -> str:
    teacher = summary["teacher"]
    return f"{teacher.get('kind', 'judge')} {teacher.get('model') or teacher.get('encoder') or ''}".strip()


def _ends(figure: Mapping[str, float | None], form: str = ".3f") -> str:
    return _interval(figure["mean"], figure["low"], figure["high"], form)


def _interval(middle: float | None, low: float | None, high: float | None, form: str = ".3f") -> str:
    if number(middle, form) == "-":
        return "-"
    return f"{number(middle, form)} [{number(low, form)}, {number(high, form)}]"
