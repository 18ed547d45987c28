"""Completions on disk, so that no model is asked the same twice: by any job, by any process, after any crash."""

import io
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from valueflow.llm.cache.database import DatabaseFile, UnreadableCacheError
from valueflow.llm.cache.keys import as_bytes, as_json
from valueflow.llm.prompting import without_thoughts
from valueflow.llm.protocol import Completion
from valueflow.run import cache_folder

_KEYS_PER_QUERY = 900  # older SQLite takes no more than 999 variables

_inherited: list[sqlite3.Connection] = []
"""Connections of the process this one was forked from: never used here, nor closed, which would touch its file."""

_log = logging.getLogger(__name__)


def cache_file() -> Path:
    """Return where completions are cached: under VALUEFLOW_CACHE, or the system's folder for caches."""
    return cache_folder("llm") / "completions.sqlite"


@dataclass(frozen=True)
class ModelStatistics:
    """What is cached of one model: completions, bytes of their values, when the oldest and the newest came."""

    model: str
    entries: int
    size: int
    first: datetime
    last: datetime


class CompletionCache:
    """A database of completions that any number of processes and threads read and add to at once.

    Parameters
    ----------
    path
        The file; it appears with the first use, unless `read_only`. It belongs on a disk of this
        machine: SQLite's write-ahead log does not work across a network.
    read_only
        Look up only. Nothing is made or changed; a file that is not there has no entries.

    Notes
    -----
    Each process opens its own connection with its first call. What `put` has returned for is on
    the disk and outlives a kill or a power cut.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._file = DatabaseFile(path.absolute(), read_only=read_only)
        self._begin_in_this_process()

    def _begin_in_this_process(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's connection; the next call opens another."""
        if self._process == os.getpid():
            with self._lock:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None

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
        fresh: dict[str, Completion] = {}
        for key, completion in entries:
            if not completion.error and completion.text.strip():
                fresh.setdefault(key, completion)
        if not fresh:
            return {}
        now = time.time()
        name = _storable(model)
        with self._connected() as connection, self._writing(), connection:
            connection.execute("BEGIN IMMEDIATE")
            earlier = _select(connection, list(fresh))
            connection.executemany(
                # What is replaced here could not be read, or was no answer.
                "INSERT OR REPLACE INTO completions (key, model, value, created) VALUES (?, ?, ?, ?)",
                [(key, name, _encode(completion), now) for key, completion in fresh.items() if key not in earlier],
            )
        return earlier

    def has_any_of(self, model: str) -> bool:
        """Return whether any completion of a model is cached."""
        with self._connected() as connection:
            query = "SELECT 1 FROM completions WHERE model = ? LIMIT 1"
            return connection.execute(query, (_storable(model),)).fetchone() is not None

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
                        "DELETE FROM completions WHERE model = ?", (_storable(model),)
                    ).rowcount
            # Rewriting takes room for a while; on a full disk the space is at least used for what comes next.
            with suppress(sqlite3.OperationalError):
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return removed

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give this process's connection to one thread at a time, and explain what SQLite finds wrong."""
        if self._process != os.getpid():
            if self._connection is not None:
                _inherited.append(self._connection)
            self._begin_in_this_process()
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._file.open()
                yield self._connection
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
        rows = connection.execute(
            f"SELECT key, CAST(value AS BLOB) FROM completions WHERE key IN ({', '.join('?' * len(part))})", part
        )
        for key, value in rows:
            completion = _decode(value)
            if completion is not None and completion.text.strip():
                found[key] = completion
    return found


def _encode(completion: Completion) -> bytes:
    stored = {
        "text": completion.text,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        # The name in caches that are already there.
        "cut": completion.truncated,
    }
    # Left out where there are none, so that records stay what they were.
    logprobs = {} if completion.logprobs is None else {"logprobs": dict(completion.logprobs)}
    return as_bytes(as_json(stored | logprobs))


def _decode(value: bytes) -> Completion | None:
    try:
        stored = json.loads(value.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    match stored:
        case {
            "text": str(text),
            "prompt_tokens": int(prompt_tokens),
            "completion_tokens": int(completion_tokens),
            "cut": bool(truncated),
        }:
            logprobs = stored.get("logprobs")
            if logprobs is not None and not _are_logprobs(logprobs):
                return None
            said = without_thoughts(text)
            return Completion(
                said.answer,
                prompt_tokens,
                completion_tokens,
                truncated,
                cached=True,
                has_thought=said.thinks,
                logprobs=None if said.thinks else logprobs,
            )
    return None


def _are_logprobs(stored: object) -> bool:
    return isinstance(stored, dict) and all(
        isinstance(figure, int | float) and not isinstance(figure, bool) for figure in stored.values()
    )


def _storable(model: str) -> str:
    """Return a name that SQLite takes as text; a folder's can hold bytes that are none."""
    return model.encode("utf-8", "backslashreplace").decode()
