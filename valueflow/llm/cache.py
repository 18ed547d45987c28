"""Completions kept on disk, so that no model is asked the same twice: by any job, by any process, after any crash."""

import hashlib
import io
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from platformdirs import user_cache_dir
from pydantic import BeforeValidator

from valueflow.llm.protocol import Completion, Conversation, Sampling
from valueflow.run import InputError

if sys.platform != "win32":
    import fcntl

CacheMode = Annotated[
    Literal["off", "read", "on"],
    # In YAML the bare words on and off are truth values.
    BeforeValidator(lambda given: {True: "on", False: "off"}[given] if isinstance(given, bool) else given),
]
"""Whether kept completions are not used at all, only read, or read and added to."""

_LAYOUT = 1
"""Of the database, as its `user_version`; 0 is a database that has just been made."""

_PATIENCE = 120.0
"""Seconds to wait for other processes that write."""

_KEYS_A_QUERY = 900  # older SQLite takes no more than 999 variables

_SIDECARS = ("-wal", "-shm")

_WAY_OUT = "set VALUEFLOW_CACHE to another folder, or give cache=off"
_WAY_OUT_OF_DAMAGE = f"delete it with 'valueflow-cache clear', {_WAY_OUT}"

_GONE_WRONG = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_NOT_ALLOWED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})

_inherited: list[sqlite3.Connection] = []
"""Connections of the process this one was forked from: never used here, nor closed, which would touch its file."""

_log = logging.getLogger(__name__)


def cache_file() -> Path:
    """Return where completions are kept: under VALUEFLOW_CACHE, or the system's folder for caches."""
    return Path(os.environ.get("VALUEFLOW_CACHE") or user_cache_dir("valueflow")) / "llm" / "completions.sqlite"


def request_key(identity: Mapping[str, object], conversation: Conversation, sampling: Sampling) -> str:
    """Return the name of a request: equal for equal ones, different for all others.

    Parameters
    ----------
    identity
        All that decides what the model answers, as `ChatModel.identity` returns it.
    conversation
        The messages.
    sampling
        How the answer is drawn, what it must look like included.

    Returns
    -------
    str
        SHA-256 in hexadecimal.
    """
    constraint = sampling.constraint
    request = {
        "identity": dict(identity),
        "messages": [dict(message) for message in conversation],
        "sampling": {field.name: getattr(sampling, field.name) for field in fields(sampling)}
        | {
            "temperature": float(sampling.temperature),
            # Servers write an object's members in the order of its schema, so that order counts: the schema goes in
            # as a text of its own, which is not sorted.
            "constraint": constraint and [constraint.name, constraint.grammar, _json(constraint.schema)],
        },
    }
    return hashlib.sha256(_bytes(_json(request, sort_keys=True))).hexdigest()


@dataclass(frozen=True)
class KeptCompletions:
    """What is kept of one model.

    Attributes
    ----------
    model
        Its name.
    entries
        Number of completions.
    size
        Bytes of their values, without the database's own.
    first, last
        When the oldest and the newest one came.
    """

    model: str
    entries: int
    size: int
    first: datetime
    last: datetime


class UnreadableCacheError(InputError):
    """The file is no database, a damaged one, or one of another layout."""


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

    Writers take turns at a lock file. SQLite's own locks would do, were it not for a race between
    checkpoints and commits that can lose commits in SQLite before 3.51.3
    (https://sqlite.org/wal.html#walresetbug), and Python comes with older ones.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path.absolute()
        self._read_only = read_only
        self._start_afresh()

    def _start_afresh(self) -> None:
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
        """Return the completions that are kept of these requests, by key.

        An entry that cannot be read counts as not there.

        Raises
        ------
        InputError
            The file is no cache of ours, or cannot be used.
        """
        with self._connected() as connection:
            return _selected(connection, keys)

    def put(self, entries: Sequence[tuple[str, Completion]], model: str) -> dict[str, Completion]:
        """Keep completions, all of them or, if that fails, none; the first answer to a request stays.

        Parameters
        ----------
        entries
            Keys with their completions. Those with an `error` are passed over.
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
            if not completion.error:
                fresh.setdefault(key, completion)
        if not fresh:
            return {}
        now = time.time()
        name = _storable(model)
        with self._connected() as connection, self._turn(), connection:
            connection.execute("BEGIN IMMEDIATE")
            earlier = _selected(connection, list(fresh))
            connection.executemany(
                # What is replaced here could not be read.
                "INSERT OR REPLACE INTO completions (key, model, value, created) VALUES (?, ?, ?, ?)",
                [(key, name, _encoded(kept), now) for key, kept in fresh.items() if key not in earlier],
            )
        return earlier

    def statistics(self) -> list[KeptCompletions]:
        """Return what is kept of each model, by name.

        Raises
        ------
        InputError
            The file is no cache of ours, or cannot be used.
        """
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT model, COUNT(*), SUM(LENGTH(value)), MIN(created), MAX(created) FROM completions "
                "GROUP BY model ORDER BY model"
            )
            return [
                KeptCompletions(model, entries, size, datetime.fromtimestamp(first), datetime.fromtimestamp(last))
                for model, entries, size, first, last in rows
            ]

    def size(self) -> int:
        """Return the bytes that the database takes on the disk."""
        sizes = []
        for file in self._files():
            with suppress(OSError):
                sizes.append(file.stat().st_size)
        return sum(sizes)

    def clear(self, model: str | None = None) -> int:
        """Remove the completions of one model, or all, and give their space back to the disk.

        A file that cannot be read is deleted where all is to go.

        Returns
        -------
        int
            Completions removed; 0 of a file that could not be read.

        Raises
        ------
        InputError
            The file cannot be written, or cannot be read and `model` is given.
        """
        if not self._is_there():
            return 0
        try:
            return self._remove(model)
        except UnreadableCacheError:
            if model is not None:
                raise
        self.close()
        try:
            for file in self._files():
                file.unlink(missing_ok=True)
        except OSError as error:
            raise self._not_allowed(error) from error
        _log.warning("%s could not be read and is deleted", self._path)
        return 0

    def _remove(self, model: str | None) -> int:
        with self._connected() as connection, self._turn():
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

    def _is_there(self) -> bool:
        try:
            return self._path.exists()
        except OSError as error:
            raise self._not_allowed(error) from error

    def _files(self) -> list[Path]:
        return [self._path, *(self._path.with_name(self._path.name + ending) for ending in _SIDECARS)]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give this process's connection to one thread at a time, and word what SQLite finds wrong."""
        if self._process != os.getpid():
            if self._connection is not None:
                _inherited.append(self._connection)
            self._start_afresh()
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except sqlite3.Error as error:
                # An error without a code is a mistake in how the library is used, not in the file.
                if not hasattr(error, "sqlite_errorcode"):
                    raise
                raise self._worded(error) from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock of all writers."""
        if self._read_only:
            raise io.UnsupportedOperation("a cache opened with read_only=True takes nothing")
        try:
            handle = _taken(self._path.with_suffix(".lock"))
        except TimeoutError as error:
            raise InputError(
                f"{self._path} has been held by another process for {_PATIENCE:.0f} s; end that one, or {_WAY_OUT}"
            ) from error
        except OSError as error:
            raise self._not_allowed(error) from error
        try:
            yield
        finally:
            _give_back(handle)

    def _open(self) -> sqlite3.Connection:
        if not self._read_only:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._not_allowed(error) from error
            with self._turn():
                return self._opened_to_write()
        connection = self._opened_to_read() if self._is_there() else None
        return connection or _empty()

    def _opened_to_write(self) -> sqlite3.Connection:
        connection = _connect(self._path, "mode=rwc")
        try:
            is_new = self._is_new(connection)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("PRAGMA synchronous = FULL")
            with connection:
                # Begun even where nothing is to be made: that a file cannot be written is told now, before a model
                # has worked for hours.
                connection.execute("BEGIN IMMEDIATE")
                if is_new:
                    _lay_out(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened_to_read(self) -> sqlite3.Connection | None:
        try:
            # With `rw`, SQLite takes its log away again when it closes; `ro` would leave it behind.
            return self._checked("mode=rw")
        except sqlite3.Error as error:
            if _code(error) not in _NOT_ALLOWED:
                raise
        # Where no log can be made and none is to be read, the file is all there is.
        return self._checked("mode=ro&immutable=1")

    def _checked(self, how: str) -> sqlite3.Connection | None:
        connection = _connect(self._path, how)
        try:
            connection.execute("PRAGMA query_only = ON")
            if not self._is_new(connection):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        """Tell a database without anything in it from one of our layout."""
        with connection:
            # Both at one moment: another process may be making the table.
            connection.execute("BEGIN")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if version != _LAYOUT and (version or tables):
            raise UnreadableCacheError(
                f"{self._path} has layout {version}, this version of ValueFlow uses {_LAYOUT}; {_WAY_OUT_OF_DAMAGE}"
            )
        return bool(version != _LAYOUT)

    def _worded(self, error: sqlite3.Error) -> InputError:
        code = _code(error)
        if code in _GONE_WRONG:
            return UnreadableCacheError(f"{self._path} is no cache that can be read ({error}); {_WAY_OUT_OF_DAMAGE}")
        if code in _NOT_ALLOWED:
            return self._not_allowed(error)
        return InputError(f"{self._path}: {error}; {_WAY_OUT}")

    def _not_allowed(self, error: Exception) -> InputError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        use = "read" if self._read_only else "written"
        return InputError(f"{self._path} cannot be {use} ({reason}); {_WAY_OUT}")


def _empty() -> sqlite3.Connection:
    """Stand in for a file that is not there."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _lay_out(connection)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _taken(path: Path) -> int:
    """Wait for a lock file and return its handle.

    `filelock` opens the file anew with each try; eight busy writers were half as fast with it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    latest = time.monotonic() + _PATIENCE
    try:
        while not _lock(handle):
            if time.monotonic() > latest:
                raise TimeoutError
            time.sleep(0.001)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _lock(handle: int) -> bool:
    if sys.platform != "win32":  # there, SQLite's own locks have to do
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _give_back(handle: int) -> None:
    if sys.platform != "win32":
        # Not left to closing: a process forked in the meantime has the same lock open.
        fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    # Transactions are ours to begin; threads take turns at a lock.
    return sqlite3.connect(
        f"{path.as_uri()}?{how}", uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY NOT NULL, model TEXT NOT NULL, "
        "value BLOB NOT NULL, created REAL NOT NULL)"
    )
    connection.execute(f"PRAGMA user_version = {_LAYOUT}")


def _selected(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Completion]:
    found: dict[str, Completion] = {}
    for start in range(0, len(keys), _KEYS_A_QUERY):
        part = keys[start : start + _KEYS_A_QUERY]
        rows = connection.execute(
            f"SELECT key, CAST(value AS BLOB) FROM completions WHERE key IN ({', '.join('?' * len(part))})", part
        )
        for key, value in rows:
            completion = _decoded(value)
            if completion is not None:
                found[key] = completion
    return found


def _encoded(completion: Completion) -> bytes:
    kept = {field.name: getattr(completion, field.name) for field in fields(completion) if field.name != "error"}
    return _bytes(_json(kept))


def _decoded(value: bytes) -> Completion | None:
    try:
        kept = json.loads(value.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    match kept:
        case {
            "text": str(text),
            "prompt_tokens": int(prompt_tokens),
            "completion_tokens": int(completion_tokens),
            "cut": bool(cut),
        }:
            return Completion(text, prompt_tokens, completion_tokens, cut)
    return None


def _json(value: object, *, sort_keys: bool = False) -> str:
    # Escapes would write two lone surrogates in a row like the character they make up as a pair.
    return json.dumps(value, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False, default=_as_dict)


def _as_dict(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} in a request cannot be written as JSON")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _storable(model: str) -> str:
    """Return a name that SQLite takes as text; a folder's can hold bytes that are none."""
    return model.encode("utf-8", "backslashreplace").decode()


def _code(error: sqlite3.Error) -> int:
    return error.sqlite_errorcode & 0xFF
