"""Completions in a file of this machine, so that no model is asked the same twice: by any job, after any crash."""

import io
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from valueflow.llm.cache.connection import ProcessConnection
from valueflow.llm.cache.database import DatabaseFile, UnreadableCacheError
from valueflow.llm.cache.protocol import ModelStatistics
from valueflow.llm.cache.records import answers_of, encoded, readable, storable_name
from valueflow.llm.protocol import Completion

_KEYS_PER_QUERY = 900  # older SQLite takes no more than 999 variables

_log = logging.getLogger(__name__)


class CompletionCache:
    """An SQLite file of completions that any number of processes and threads of one machine read and add to at once.

    For what its methods do see `CachedCompletions`.

    Parameters
    ----------
    path
        The file; it appears with the first use, unless `read_only`. It belongs on a disk of this
        machine: SQLite's write-ahead log does not work across a network, and a file that is known to be on a network
        file system is refused.
    read_only
        Look up only. Nothing is made or changed; a file that is not there has no entries.

    Notes
    -----
    Each process opens its own connection with its first call. What `put` has returned for is on
    the disk and outlives a kill or a power cut.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._file = DatabaseFile(path.absolute(), read_only=read_only)
        self._connection = ProcessConnection(self._file.open)

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._file.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's connection; the next call opens another."""
        self._connection.close()

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Return the completions that are cached of these requests, by key.

        An entry that cannot be read, or holds no answer, counts as not there. Thoughts are left out: caches of earlier
        versions may hold some.

        Raises
        ------
        InputError
            The file is no cache of ours, or cannot be used.
        """
        with self._connected() as connection:
            return _select(connection, keys)

    def put(self, entries: Sequence[tuple[str, Completion]], model: str) -> dict[str, Completion]:
        """Add completions, all of them or, if that fails, none; the first answer to a request stays.

        Parameters
        ----------
        entries
            Keys with their completions. Those with an `error`, or with no text, are passed over.
        model
            Whose completions these are, for people who look into the cache.

        Returns
        -------
        dict of str to Completion
            The answers that were there before, of the requests that had one. Using them in place
            of the new ones makes all processes agree.

        Raises
        ------
        InputError
            The file is no cache of ours, cannot be written, or the disk is full.
        """
        fresh = answers_of(entries)
        if not fresh:
            return {}
        now = time.time()
        name = storable_name(model)
        with self._connected() as connection, self._writing(), connection:
            connection.execute("BEGIN IMMEDIATE")
            earlier = _select(connection, list(fresh))
            connection.executemany(
                # What is replaced here could not be read, or was no answer.
                "INSERT OR REPLACE INTO completions (key, model, value, created) VALUES (?, ?, ?, ?)",
                [(key, name, encoded(completion), now) for key, completion in fresh.items() if key not in earlier],
            )
        return earlier

    def has_any_of(self, model: str) -> bool:
        """Return whether any completion of a model is cached."""
        with self._connected() as connection:
            query = "SELECT 1 FROM completions WHERE model = ? LIMIT 1"
            return connection.execute(query, (storable_name(model),)).fetchone() is not None

    def entries(self) -> int:
        """Return how many completions are cached."""
        with self._connected() as connection:
            ((entries,),) = connection.execute("SELECT COUNT(*) FROM completions")
            return int(entries)

    def statistics(self) -> list[ModelStatistics]:
        """Return what is cached of each model, by name."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT model, COUNT(*), SUM(LENGTH(value)), MIN(created), MAX(created) FROM completions "
                "GROUP BY model ORDER BY model"
            )
            return [
                ModelStatistics(model, entries, size, datetime.fromtimestamp(first), datetime.fromtimestamp(last))
                for model, entries, size, first, last in rows
            ]

    def size(self) -> int:
        """Return the bytes that the database takes on the disk."""
        sizes = []
        for file in self._file.files():
            with suppress(OSError):
                sizes.append(file.stat().st_size)
        return sum(sizes)

    def clear(self, model: str | None = None) -> int:
        """Remove the completions of one model, or all, free their disk space, and return how many they were.

        A file that cannot be read is deleted where all is to go.

        Raises
        ------
        InputError
            The file cannot be written, or cannot be read and `model` is given.
        """
        if not self._file.exists():
            return 0
        try:
            return self._remove(model)
        except UnreadableCacheError:
            if model is not None:
                raise
        self.close()
        try:
            for file in self._file.files():
                file.unlink(missing_ok=True)
        except OSError as error:
            raise self._file.not_allowed(error) from error
        _log.warning("%s could not be read and is deleted", self._file.path)
        return 0

    def _remove(self, model: str | None) -> int:
        with self._connected() as connection, self._writing():
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                if model is None:
                    removed = connection.execute("DELETE FROM completions").rowcount
                else:
                    removed = connection.execute(
                        "DELETE FROM completions WHERE model = ?", (storable_name(model),)
                    ).rowcount
            # Rewriting takes room for a while; on a full disk the space is at least used for what comes next.
            with suppress(sqlite3.OperationalError):
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return removed

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give this process's connection to one thread at a time, and explain what SQLite finds wrong."""
        with self._connection.lent():
            try:
                yield self._connection.connected()
            except sqlite3.Error as error:
                # An error without a code is a mistake in how the library is used, not in the file.
                if not hasattr(error, "sqlite_errorcode"):
                    raise
                raise self._file.explain(error) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._file.read_only:
            raise io.UnsupportedOperation("a cache opened with read_only=True takes nothing")
        with self._file.locked():
            yield


def _select(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Completion]:
    found: dict[str, Completion] = {}
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        part = keys[start : start + _KEYS_PER_QUERY]
        found |= readable(
            connection.execute(
                f"SELECT key, CAST(value AS BLOB) FROM completions WHERE key IN ({', '.join('?' * len(part))})", part
            )
        )
    return found
