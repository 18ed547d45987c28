"""What a geometry came to, as a table on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from valueflow.run import number, screen, table_of_runs


def show_geometries(
    summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()
) -> None:
    """Print one row per geometry, and under the table what was left out and why there is no test.

    Parameters
    ----------
    summaries
        Summaries of geometries.
    title
        Heading of the table.
    others
        For each run, the settings that differ from the others'; a column where there are any.
    """
    console = screen()
    rows = [
        (
            summary["theory"],
            summary["source"],
            summary["shape"],
            str(summary["values"]),
            _with_interval(summary),
            number(summary["p"], ".2g"),
            number(summary["share_in_plane"], ".0%"),
        )
        for summary in summaries
    ]
    words = ("theory", "vectors", "shape")
    figures = ("values", "Spearman with the theory", "p (Mantel)", "shown in the plane")
    console.print(table_of_runs(title, others, words=words, figures=figures, rows=enumerate(rows)))
    for line in dict.fromkeys(line for summary in summaries for line in _lines(summary)):
        console.print(line, soft_wrap=True)


def _with_interval(summary: Mapping[str, Any]) -> str:
    found, low = number(summary["correlation"], ".2f"), number(summary["low"], ".2f")
    return found if low == "-" else f"{found} ({low} to {number(summary['high'], '.2f')})"


def _lines(summary: Mapping[str, Any]) -> list[str]:
    """Word what limits a geometry."""
    theory = summary["theory"]
    lines = [f"{theory}: {summary['untested']}"] if summary["untested"] else []
    noisy = summary["noisy"]
    if noisy:
        lines.append(f"{theory}: directions that are mostly chance (reliability below 0.5): {', '.join(noisy)}")
    reasons: dict[str, list[str]] = {}
    for value, reason in summary["left_out"].items():
        reasons.setdefault(reason, []).append(value)
    lines += [f"{theory}: left out, {reason}: {', '.join(values)}" for reason, values in reasons.items()]
    counts = {
        "neutral anchors, of intensity 0, have no part in a direction": summary["neutral"],
        "anchors without a vector in the file": summary["without_vector"],
        "texts of the file that are no anchors of the theory": summary["of_no_anchor"],
    }
    return lines + [f"{theory}: {count:,} {what}" for what, count in counts.items() if count]
