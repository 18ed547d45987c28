"""The progress bar of long work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        self.unit = unit
        super().__init__()

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self.unit}/s")


@contextmanager
def progress_bar(title: str, total: int, unit: str, *, enabled: bool = True) -> Iterator[Callable[[int, int], None]]:
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
    Callable[[int, int], None]
        To be called with the numbers of further steps done and, of these, failed.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        _Rate(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
        console=Console(file=sys.stderr),
        disable=not enabled or not sys.stderr.isatty(),
    )
    failures = 0
    with bar:
        task = bar.add_task(title, total=total, failed="")

        def advance(done: int, failed: int) -> None:
            nonlocal failures
            failures += failed
            bar.update(task, advance=done, failed=f"{failures} failed" if failures else "")

        yield advance
