"""One connection to a database for each process, lent to one thread at a time."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

_inherited: list[object] = []
"""Connections of the process that this one was forked from: never used here, nor closed, which would end them there."""


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


class ProcessConnection(Generic[C]):
    """A connection that is opened when it is first lent, and anew in a process that was forked.

    Attributes
    ----------
    current
        This process's connection, or None where none is open.
    """

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._begin_in_this_process()

    def _begin_in_this_process(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self.current: C | None = None

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let no other thread use `connected` and `drop` for a while."""
        if self._process != os.getpid():
            if self.current is not None:
                _inherited.append(self.current)
            self._begin_in_this_process()
        with self._lock:
            yield

    def connected(self) -> C:
        """Return the connection, opened where it is not; for the thread it is lent to."""
        if self.current is None:
            self.current = self._connect()
        return self.current

    def drop(self) -> None:
        """Close the connection; for the thread it is lent to."""
        connection, self.current = self.current, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close this process's connection; the next use opens another."""
        if self._process == os.getpid():
            with self._lock:
                self.drop()
