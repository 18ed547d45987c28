"""What steering does: differences and slopes as `compare.py` finds them, and how often responses are refusals."""

import math
from collections.abc import Sequence
from functools import partial

import pandas as pd

from valueflow.comparison import Comparison, compare, draw_forest, family_table
from valueflow.report.blocks import Block, Lines, Panels, Picture, Section, Table
from valueflow.report.cells import Cell
from valueflow.report.drawing import inline_svg
from valueflow.report.samples import Sample
from valueflow.responses import shown_intensity
from valueflow.run import InputError, counted
from valueflow.statistics import wilson_interval

COMPARISON_FILE = "report_comparison.csv"

_MOST_ROWS = 80
_MOST_DRAWN = 60
_MOST_REASONS = 5
_SLOPE = "slope"
_NOT_COMPARED = ": not compared: "


def compared(cells: Sequence[Cell]) -> Comparison | str:
    """Compare all evaluations, or say why they cannot be compared."""
    folders = list(dict.fromkeys(cell.run.given for cell in cells))
    try:
        return compare(folders)
    except InputError as error:
        return str(error)


def effect_section(found: Comparison | str) -> Section:
    """Show slopes, differences and success rates."""
    title = "Effects of steering, and comparisons"
    if isinstance(found, str):
        return Section("effects", title, [Lines([f"Nothing is compared: {found}"])])
    table = found.table
    words = [
        "Differences are paired by query; p-values are corrected within each table for their number (Holm). "
        "Right way: share of queries whose score moved as it was steered, with its 95% interval.",
        *_rises(found),
    ]
    # Runs of other kinds and failed jobs are on the page elsewhere.
    words += _not_compared(found.summary["left_out"])
    if found.summary["not_paired"]:
        words.append(
            f"{found.summary['not_paired']:,} comparisons are left out: their jobs share fewer than two queries"
        )
    drawn = table[table["family"].str.startswith(_SLOPE)]
    drawn = table[table["family"] == "intensity"] if drawn.empty else drawn
    if len(drawn) > _MOST_DRAWN:
        # Slopes without their differences between models and methods.
        drawn = drawn[drawn["family"] == _SLOPE] if (drawn["family"] == _SLOPE).any() else drawn
    if len(drawn) > _MOST_DRAWN:
        words.append(f"{len(drawn):,} estimates are too many for a picture here; compare.py draws all")
    blocks: list[Block] = [Lines(words)]
    if 0 < len(drawn) <= _MOST_DRAWN:
        alt = f"{len(drawn)} estimates with 95% intervals; the tables below have the same figures."
        picture = inline_svg(partial(draw_forest, drawn), "effects", alt)
        blocks.append(Panels([Picture(picture, "Slopes" if _SLOPE in drawn["family"].iloc[0] else "Differences")]))
    for family in sorted(dict.fromkeys(table["family"]), key=lambda name: not name.startswith(_SLOPE)):
        blocks.append(_family_table(family, table[table["family"] == family]))
    return Section("effects", title, blocks)


def _not_compared(left_out: Sequence[str]) -> list[str]:
    """Word which evaluations are not compared, a line per reason, the commonest first."""
    by_reason: dict[str, list[str]] = {}
    for line in left_out:
        folder, is_evaluation, reason = line.partition(_NOT_COMPARED)
        if is_evaluation:
            by_reason.setdefault(reason, []).append(folder)
    reasons = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))
    lines = [
        f"{folders[0]}{f' and {len(folders) - 1:,} more' if len(folders) > 1 else ''}{_NOT_COMPARED}{reason}"
        for reason, folders in reasons[:_MOST_REASONS]
    ]
    more = sum(len(folders) for _, folders in reasons[_MOST_REASONS:])
    return [*lines, *([f"{counted(more, 'more evaluation')} not compared, for other reasons"] if more else [])]


def _rises(found: Comparison) -> list[str]:
    counts = found.summary["families"].get("dose-response")
    if not counts or not counts["tests"]:
        return []
    return [
        f"Scores rise with the steering intensity in {counts['significant']} of {counts['tests']} series of "
        "intensities (permutation test, corrected p at most 0.05)."
    ]


def _family_table(family: str, rows: pd.DataFrame) -> Table:
    worded = family_table(family, rows.head(_MOST_ROWS))
    columns = {**worded.words, **worded.figures}
    more = len(rows) - _MOST_ROWS
    return Table(
        caption=worded.title,
        headings=list(columns),
        rows=[list(map(str, cells)) for cells in zip(*columns.values(), strict=True)],
        words=frozenset(worded.words),
        note=f"{more:,} more rows are in {COMPARISON_FILE}, beside this page." if more > 0 else "",
    )


def refusal_section(samples: Sequence[Sample]) -> Section:
    """Show what share of the responses declines to answer, by series and intensity."""
    said: dict[tuple[str, int | None], list[pd.DataFrame]] = {}
    for sample in samples:
        summary = sample.cell.summary
        is_of_value = summary["intensity"] is not None and "intensity" not in (summary.get("labels_only") or [])
        own = sample.said.assign(
            source=str(summary.get("responses")),
            # Responses that were not steered to one value are scored on several; they count once.
            value=sample.cell.value if is_of_value else "",
            repeat=sample.said.groupby("key").cumcount(),
        )
        said.setdefault((sample.cell.series, sample.cell.level if is_of_value else None), []).append(own)
    counts = {key: _counted(pd.concat(frames)) for key, frames in said.items()}
    levels = sorted({level for _, level in counts}, key=lambda level: -math.inf if level is None else level)
    series = list(dict.fromkeys(name for name, _ in counts))
    rows = [[name, *(_refused(counts.get((name, level))) for level in levels)] for name in series]
    note = (
        "Responses that decline to answer, by the rule of steer.py (docs/steering.md): it knows English and misses "
        "polite evasions. 95% intervals take responses for independent."
    )
    headings = ["series", *map(shown_intensity, levels)]
    table = Table("Refusals by intensity", headings, rows, frozenset({"series"}), note=note)
    return Section("refusals", "Refusals", [table])


def _counted(said: pd.DataFrame) -> tuple[int, int]:
    """Return how many responses are refusals, and how many there are."""
    distinct = said.drop_duplicates(["source", "value", "key", "repeat"])
    return int(distinct["refused"].sum()), len(distinct)


def _refused(counts: Sequence[int] | None) -> str:
    if counts is None or counts[1] == 0:
        return "-"
    refused, n = counts
    low, high = wilson_interval(refused / n, n)
    return f"{refused:,} of {n:,}: {refused / n:.1%} ({low:.1%} to {high:.1%})"
