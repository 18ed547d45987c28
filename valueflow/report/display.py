"""Reports as lines on the screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from valueflow.run import counted, screen


def show_reports(summaries: Sequence[Mapping[str, Any]], title: str | None = None, others: Sequence[str] = ()) -> None:
    """Print where each page is, how large, and what it is about.

    Parameters
    ----------
    summaries
        Summaries of reports.
    title
        A heading.
    others
        For each, the settings that differ from the others'.
    """
    console = screen()
    if title is not None:
        console.print(title)
    for place, summary in enumerate(summaries):
        shown = summary["responses"]
        about = f"{counted(summary['runs'], 'run')}, {counted(summary['failed'], 'failed job')}"
        if shown["all"]:
            about += f", {shown['shown']:,} of {counted(shown['all'], 'response')}"
        if summary["unfinished"]:
            about += f", {summary['unfinished']:,} that did not finish"
        if summary["problems"]:
            about += f"; {counted(len(summary['problems']), 'problem')}, listed on the page"
        named = f"{others[place]}: " if others and others[place] else ""
        console.print(
            f"{named}report: {summary['file'] or 'not written'} ({summary['bytes'] / 1e6:.2f} MB): {about}",
            soft_wrap=True,
        )
