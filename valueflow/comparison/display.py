"""Comparisons as tables on the screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.table import Table

from valueflow.comparison.forest import SIGNIFICANT, compared_words
from valueflow.comparison.questions import FACTORS, INTENSITY, SLOPE
from valueflow.responses import PRICE
from valueflow.run import counted, number, screen, table_of_runs

_MOST_ROWS, _MOST_LINES = 40, 5
_PRICED = (*FACTORS, INTENSITY)


def show_comparison(table: pd.DataFrame, means: pd.DataFrame, drift: pd.DataFrame, summary: Mapping[str, Any]) -> None:
    """Print a table per family, drift, prices, the prediction-powered means, and what was left out.

    Parameters
    ----------
    table, means, drift, summary
        Of a `Comparison`.
    """
    console = screen()
    for family in dict.fromkeys(table["family"]):
        rows = table[table["family"] == family]
        console.print(_on_screen(family_table(family, rows.head(_MOST_ROWS))))
        if len(rows) > _MOST_ROWS:
            console.print(f"{len(rows) - _MOST_ROWS} more rows of '{family}' are in comparison.csv")
    if not drift.empty:
        for (theory, *condition), rows in drift.groupby(["theory", "run", "model", "steered_by"], sort=False):
            console.print(_drift_table(", ".join(str(part) for part in condition if part) or str(theory), rows))
    if "perplexity" in means:
        console.print(_price_table(means[means["perplexity"].notna()]))
    if "human_mean" in means:
        console.print(_means_table(means[means["human_mean"].notna()]))
    for line in _lines(summary):
        console.print(line, soft_wrap=True)


def show_comparisons(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row per family of each comparison of a sweep.

    Parameters
    ----------
    summaries
        Summaries of comparisons.
    title
        Heading of the table.
    others
        For each run, the settings that differ from the others'; a column where there are any.
    """
    console = screen()
    rows = [
        (run, (family, str(summary["jobs"]), str(counts["tests"]), str(counts["significant"])))
        for run, summary in enumerate(summaries)
        for family, counts in summary["families"].items()
    ]
    figures = ("jobs", "tests", f"p (Holm) <= {SIGNIFICANT:g}")
    console.print(table_of_runs(title, others, words=("family",), figures=figures, rows=rows))


@dataclass(frozen=True)
class FamilyTable:
    """The rows of a family in words.

    Attributes
    ----------
    title
        What is compared, the number of tests, and that of queries where all rows have the same.
    words, figures
        What each row compares, and what was found, by heading; a column that would say the same, or nothing, in every
        row is left out.
    """

    title: str
    words: dict[str, list[str]]
    figures: dict[str, list[str]]


def family_table(family: str, rows: pd.DataFrame) -> FamilyTable:
    """Word a family, given its name and its rows in the table of a comparison."""
    varying = [key for key in (*FACTORS, INTENSITY) if rows[key].nunique() > 1]
    compared = compared_words(rows)
    is_same = family == SLOPE and compared.nunique() == 1
    what = f"{family} over {compared.iloc[0]}" if is_same else family
    columns = {"value": rows["theory"] + "/" + rows["label"]}
    columns |= {key.replace("_", " "): rows[key].astype(str) for key in varying}
    columns |= {} if is_same else {"over" if family == SLOPE else "compared": compared}
    figures = {
        "slope" if family.startswith(SLOPE) else "difference": _worded(rows, ("estimate",), "{:+.2f}"),
        "95% interval": _worded(rows, ("low", "high"), "{:+.2f} to {:+.2f}"),
        "p (Holm)": [_p(p) for p in rows["p_holm"]],
        "p rises (Holm)": [_p(p) for p in rows["p_rises_holm"]] if family == SLOPE else [],
        "right way, %": _worded(rows, ("success", "success_low", "success_high"), "{:.0f} ({:.0f} to {:.0f})", 100),
        "tied": _worded(rows, ("tied",), "{:.0f}") if "tied" in rows and rows["tied"].any() else [],
        "by people": _worded(rows, ("human_low", "human_high"), "{:+.2f} to {:+.2f}"),
        "queries": rows["queries"].astype(str).tolist() if rows["queries"].nunique() > 1 else [],
    }
    shared = "" if figures["queries"] else f", {rows['queries'].iloc[0]} queries"
    tests = counted(int(rows["tests"].iloc[0]), "test")
    return FamilyTable(
        title=f"{what}: {tests}{shared}",
        words={heading: list(cells) for heading, cells in columns.items()},
        figures={heading: cells for heading, cells in figures.items() if any(cell != "-" for cell in cells)},
    )


def _on_screen(worded: FamilyTable) -> Table:
    table = Table(title=worded.title, title_justify="left")
    for heading in worded.words:
        table.add_column(heading)
    for heading in worded.figures:
        table.add_column(heading, justify="right")
    for cells in zip(*worded.words.values(), *worded.figures.values(), strict=True):
        table.add_row(*cells)
    return table


def _worded(rows: pd.DataFrame, keys: Sequence[str], form: str, times: float = 1) -> list[str]:
    """Word figures of each row, `-` where they are not known; nothing where there are no such columns."""
    if keys[0] not in rows:
        return []
    cells = (times * rows[list(keys)].astype(float)).itertuples(index=False)
    return ["-" if pd.isna(figures[0]) else form.format(*figures) for figures in cells]


def _drift_table(title: str, rows: pd.DataFrame) -> Table:
    """Return values steered to in rows and values measured in columns; a star: the interval leaves out 0."""
    table = Table(title=f"drift, {title}: points from the lowest to the highest intensity", title_justify="left")
    table.add_column("steered to")
    measured = list(dict.fromkeys(rows["measured"]))
    for name in measured:
        table.add_column(name, justify="right")
    for steered, of_one in rows.groupby("steered", sort=False):
        cells = {
            measured_value: f"{estimate:+.2f}{'*' if low > 0 or high < 0 else ''}"
            for measured_value, estimate, low, high in zip(
                *(of_one[column] for column in ("measured", "estimate", "low", "high")), strict=True
            )
        }
        table.add_row(str(steered), *(cells.get(name, "-") for name in measured))
    return table


def _price_table(means: pd.DataFrame) -> Table:
    """Return what the responses of each condition cost, whatever they were scored on."""
    rows = means.drop_duplicates([*_PRICED, *(name for name in PRICE if name in means)])
    varying = [key for key in _PRICED if rows[key].nunique() > 1]
    table = Table(title="price of responses, with 95% intervals", title_justify="left")
    for key in varying:
        table.add_column(key.replace("_", " "))
    figures = {
        "perplexity": _worded(rows, ("perplexity", "perplexity_low", "perplexity_high"), "{:.1f} ({:.1f} to {:.1f})"),
        "repetition, %": _worded(rows, ("repetition",), "{:.0f}", 100),
        "refused, %": _worded(rows, ("refused",), "{:.0f}", 100),
    }
    # Responses of fewer than four words have no repetition.
    shown = {heading: cells for heading, cells in figures.items() if cells}
    for heading in shown:
        table.add_column(heading, justify="right")
    for cells in zip(*(rows[key].astype(str) for key in varying), *shown.values(), strict=True):
        table.add_row(*cells)
    return table


def _means_table(means: pd.DataFrame) -> Table:
    varying = [key for key in (*FACTORS, INTENSITY) if means[key].nunique() > 1]
    columns = {"value": means["theory"] + "/" + means["label"]}
    columns |= {key.replace("_", " "): means[key].astype(str) for key in varying}
    figures = {
        "by the judge": _worded(means, ("mean", "low", "high"), "{:+.2f} ({:+.2f} to {:+.2f})"),
        "with ratings": _worded(means, ("human_mean", "human_low", "human_high"), "{:+.2f} ({:+.2f} to {:+.2f})"),
        "rated": _worded(means, ("rated",), "{:.0f}"),
        "lambda": _worded(means, ("human_lambda",), "{:.2f}"),
    }
    table = Table(title="means, with 95% intervals", title_justify="left")
    for heading in columns:
        table.add_column(heading)
    for heading in figures:
        table.add_column(heading, justify="right")
    for cells in zip(*columns.values(), *figures.values(), strict=True):
        table.add_row(*cells)
    return table


def _lines(summary: Mapping[str, Any]) -> list[str]:
    """Word what was not compared, and what happened to ratings."""
    left_out = summary["left_out"]
    lines = left_out[:_MOST_LINES]
    if len(left_out) > _MOST_LINES:
        lines = [*lines, f"{len(left_out) - _MOST_LINES} more folders left out; see summary.json"]
    if summary["not_paired"]:
        lines = [*lines, f"{summary['not_paired']} comparisons left out: their jobs share fewer than two queries"]
    ratings = summary["human"]
    if ratings:
        counts = {
            f"of {ratings['ratings']:,} ratings are of responses that no job has": ratings["unknown"],
            "ratings are of a response that has another; their mean counts": ratings["repeated"],
            "jobs have too few rated queries for a mean with ratings": ratings["jobs_too_few"],
        }
        lines = [*lines, *(f"{count:,} {what}" for what, count in counts.items() if count)]
    return list(lines)


def _p(p: float) -> str:
    return "<.001" if p < 0.001 else number(p, ".3f")
