"""The progress bar of long work."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich import progress as rich_progress
from rich.console import Console
from rich.text import Text

from valueflow.run.progress_watch import progress_watch


class Progress(Protocol):
    """What long work calls as it goes on."""

    def __call__(self, done: int, failed: int, note: str = "") -> None:
        """Tell how many more steps are done, how many of these failed, and what is worth a few words now."""
        ...


class _Rate(rich_progress.ProgressColumn):
    def __init__(self, unit: str) -> None:
        self.unit = unit
        super().__init__()

    def render(self, task: rich_progress.Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self.unit}/s")


@contextmanager
def progress_bar(title: str, total: int, unit: str, *, enabled: bool = True) -> Iterator[Progress]:
    """Show a bar on the error stream: how much is done, how fast, how long it will take, how much failed.

    Parameters
    ----------
    title
        What is being done.
    total
        Steps in all.
    unit
        What a step is, in the plural.
    enabled
        Whether to show anything; a stream that is no terminal shows nothing either way.

    Yields
    ------
    Progress
        To be called as steps are done. The note of the latest call is shown at the end of the bar.
    """
    # Titles and notes name values and models: none of their brackets is markup.
    bar = rich_progress.Progress(
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn(unit, markup=False),
        _Rate(unit),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[failed]}"),
        rich_progress.TextColumn("{task.fields[note]}", markup=False),
        console=Console(file=sys.stderr),
        disable=not enabled or not sys.stderr.isatty(),
    )
    steps = failures = 0
    watch = progress_watch()
    with bar:
        task = bar.add_task(title, total=total, failed="", note="")
        if watch is not None:
            watch(unit, 0, 0, total)

        def advance(done: int, failed: int, note: str = "") -> None:
            nonlocal steps, failures
            steps += done
            failures += failed
            bar.update(task, advance=done, failed=f"{failures} failed" if failures else "", note=note)
            if watch is not None:
                watch(unit, steps, failures, total)

        yield advance


@contextmanager
def without_library_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar of its own for each load, in the midst of a run's lines."""
    from transformers.utils import logging as transformers_logging

    shows_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shows_bars:
            transformers_logging.enable_progress_bar()
