"""What runs print for people: tables and lines in which names from files stay what they are."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH_WITHOUT_TERMINAL = 140

_MAX_REASONS = 5


class _Recorder(Console):
    """Keeps what is printed, in the place of showing it."""

    def __init__(self) -> None:
        super().__init__(markup=False, highlight=False)
        self.kept: list[Any] = []

    def print(self, *objects: Any, **how: Any) -> None:
        self.kept += objects


_recorder: ContextVar[_Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def recorded() -> Iterator[list[Any]]:
    """Keep what is printed on `screen()` in the block, in the place of showing it.

    Yields
    ------
    list
        Tables (`rich.table.Table`) and lines, in the order in which they are printed.
    """
    recorder = _Recorder()
    token = _recorder.set(recorder)
    try:
        yield recorder.kept
    finally:
        _recorder.reset(token)


def screen() -> Console:
    """Return where to print.

    Names come from files and folders, so none of their brackets is markup. A table that is piped into a file or read by
    a machine gets room for all its columns.
    """
    if (recorder := _recorder.get()) is not None:
        return recorder
    console = Console(markup=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, highlight=False, width=_WIDTH_WITHOUT_TERMINAL)


def table_of_runs(
    title: str | None,
    others: Sequence[str],
    *,
    words: Sequence[str],
    figures: Sequence[str],
    rows: Iterable[tuple[int, Sequence[str]]],
) -> "Table":
    """Lay out the runs of a sweep.

    Parameters
    ----------
    title
        Heading of the table.
    others
        For each run, the settings that differ from the others'; the first column where there are any.
    words, figures
        Headings of the columns to the left, and of those that are aligned to the right.
    rows
        Each with the number of its run, and a cell for every heading.
    """
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in (*(["settings"] if any(others) else []), *words):
        table.add_column(heading)
    for heading in figures:
        table.add_column(heading, justify="right")
    for run, cells in rows:
        table.add_row(*([others[run]] if any(others) else []), *cells)
    return table


def number(value: float | None, form: str) -> str:
    """Word a figure; one that is not known is a dash."""
    return "-" if value is None or math.isnan(value) else format(value, form)


def counted(count: int, noun: str) -> str:
    """Word a number of things: `1 problem`, `2 problems`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def failure_lines(failures: Iterable[Mapping[str, int]]) -> list[str]:
    """Word the most common reasons of failures, over all runs; each run gives its counts by reason."""
    reasons: Counter[str] = Counter()
    for counts in failures:
        reasons.update(counts)
    lines = [f"{count:,} failed: {reason}" for reason, count in reasons.most_common(_MAX_REASONS)]
    left = reasons.total() - sum(count for _, count in reasons.most_common(_MAX_REASONS))
    return lines + ([f"{left:,} failed for other reasons; see summary.json"] if left else [])


def cost_lines(what: str, usages: Iterable[Mapping[str, int]]) -> list[str]:
    """Word what a model's calls cost, over all runs; nothing where no model was asked.

    Parameters
    ----------
    what
        What the calls are, such as `judge calls`.
    usages
        Figures of `valueflow.llm.Usage` of each run; empty where no model was asked.
    """
    known = list(usages)
    keys = ("calls", "cache_hits", "prompt_tokens", "completion_tokens", "with_thoughts")
    sums = {key: sum(usage.get(key, 0) for usage in known) for key in keys}
    if not (sums["calls"] or sums["cache_hits"]):
        return []
    lines = [
        f"{what}: {sums['calls']:,} asked, {sums['cache_hits']:,} from the cache; "
        f"{sums['prompt_tokens']:,} prompt and {sums['completion_tokens']:,} completion tokens"
    ]
    if sums["with_thoughts"]:
        lines.append(f"answers that came with the model's thoughts, which are left out: {sums['with_thoughts']:,}")
    return lines
