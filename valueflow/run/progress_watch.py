"""Who else hears of progress than the bar: loggers. Apart from the bar, whose library `--help` need not wait for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ProgressWatch = Callable[[str, int, int, int], None]
"""Hears of progress: the unit of the steps, how many are done, how many of these failed, how many there are."""

_watch: ContextVar[ProgressWatch | None] = ContextVar("watch", default=None)


@contextmanager
def progress_watched(watch: ProgressWatch) -> Iterator[None]:
    """Tell of the progress of all bars while the block runs, whether they are shown or not."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def progress_watch() -> ProgressWatch | None:
    """Return who hears of progress now; None: nobody."""
    return _watch.get()
