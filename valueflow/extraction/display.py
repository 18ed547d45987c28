"""What an extraction came to, as a table on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from valueflow.run import screen


def show_extractions(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row per file of vectors, and under the table what was left out, truncated or not finite.

    Parameters
    ----------
    summaries
        Summaries of extractions.
    title
        Heading of the table.
    others
        For each run, the settings that differ from the others'; a column where there are any.
    """
    console = screen()
    table = Table(title=title, title_justify="left")
    for heading in (*(["settings"] if any(others) else []), "theory", "file"):
        table.add_column(heading)
    for heading in ("texts", "dimension", "truncated", "texts/s"):
        table.add_column(heading, justify="right")
    for place, summary in enumerate(summaries):
        for row in summary["theories"]:
            table.add_row(
                *([others[place]] if any(others) else []),
                row["theory"],
                row["file"],
                f"{row['texts']:,}",
                str(summary["dimension"]),
                f"{row['truncated']:,}",
                f"{summary['texts_per_second']:,.0f}",
            )
    console.print(table)
    for line in dict.fromkeys(line for summary in summaries for line in _counted(summary)):
        console.print(line, soft_wrap=True)


def _counted(summary: Mapping[str, Any]) -> list[str]:
    """Word what an extraction left out or could not keep as it was."""
    sums = {key: sum(row[key] for row in summary["theories"]) for key in ("truncated", "nul", "not_finite")}
    most = summary["settings"]["max_characters"]
    rows = ", ".join(str(row) for row in summary["not_finite_rows"])
    counts = {
        f"rows of other theories in {summary['input']}, left out": summary["left_out"],
        f"texts longer than max_characters={most}, embedded whole and stored truncated": sums["truncated"],
        "texts with NUL characters at their end, which no NumPy array keeps; stored without them": sums["nul"],
        f"vectors that are not finite, of rows {rows} (dtype=float32 may help)": sums["not_finite"],
    }
    return [f"{count:,} {what}" for what, count in counts.items() if count]
