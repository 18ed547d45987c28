"""What an extraction came to, as a table on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from valueflow.run import screen, table_of_runs


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
    rows = [
        (
            run,
            (
                row["theory"],
                row["file"],
                f"{row['texts']:,}",
                str(summary["dimension"]),
                f"{row['truncated']:,}",
                f"{summary['texts_per_second']:,.0f}",
            ),
        )
        for run, summary in enumerate(summaries)
        for row in summary["theories"]
    ]
    figures = ("texts", "dimension", "truncated", "texts/s")
    console.print(table_of_runs(title, others, words=("theory", "file"), figures=figures, rows=rows))
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
