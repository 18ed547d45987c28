"""The SQLite file of the cache: opening, layout, locking, and what its errors mean to a user."""

import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valueflow.llm.cache.mounts import network_file_system
from valueflow.run import InputError

if sys.platform != "win32":
    import fcntl

SECONDS_TO_WAIT = 120.0
"""For other processes that write."""

_LAYOUT = 1
"""Of the database, as its `user_version`; 0 is a database that has just been made."""

_SIDECARS = ("-wal", "-shm")

_REMEDY = "set VALUEFLOW_CACHE to another folder, or give cache=off"
_REMEDY_FOR_NETWORK = (
    "set VALUEFLOW_CACHE to a folder on a disk of this machine, or VALUEFLOW_CACHE_URL to a PostgreSQL server that all "
    "machines share, or give cache=off"
)
_REMEDY_FOR_DAMAGE = f"delete it with 'valueflow-cache clear', {_REMEDY}"

_DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_NOT_ALLOWED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


class UnreadableCacheError(InputError):
    """The file is no database, a damaged one, one of another layout, or one where SQLite cannot work."""


class DatabaseFile:
    """A database on disk; it opens connections and words what goes wrong with them."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only

    def files(self) -> list[Path]:
        """Return the file and those that SQLite keeps beside it."""
        return [self.path, *(self.path.with_name(self.path.name + ending) for ending in _SIDECARS)]

    def exists(self) -> bool:
        """Return whether the file is there."""
        try:
            return self.path.exists()
        except OSError as error:
            raise self.not_allowed(error) from error

    def open(self) -> sqlite3.Connection:
        """Open a connection; of a file that is not there, reading only, one to an empty database."""
        kind = network_file_system(self.path)
        if kind is not None:
            raise UnreadableCacheError(
                f"{self.path} is on a network file system ({kind}), where SQLite loses what several machines write; "
                f"{_REMEDY_FOR_NETWORK}"
            )
        if self.read_only:
            connection = self._open_to_read() if self.exists() else None
            return connection or _empty()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.not_allowed(error) from error
        with self.locked():
            return self._open_to_write()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of all writers.

        SQLite's own locks would do, were it not for a race between checkpoints and commits that can lose commits in
        SQLite before 3.51.3 (https://sqlite.org/wal.html#walresetbug), and Python comes with older ones.
        """
        try:
            handle = _acquire(self.path.with_suffix(".lock"))
        except TimeoutError as error:
            raise InputError(
                f"{self.path} has been held by another process for {SECONDS_TO_WAIT:.0f} s; end that one, or {_REMEDY}"
            ) from error
        except OSError as error:
            raise self.not_allowed(error) from error
        try:
            yield
        finally:
            _release(handle)

    def explain(self, error: sqlite3.Error) -> InputError:
        """Say in a line what an error of SQLite means, and what to do."""
        code = _code(error)
        if code in _DAMAGED:
            return UnreadableCacheError(f"{self.path} is no cache that can be read ({error}); {_REMEDY_FOR_DAMAGE}")
        if code in _NOT_ALLOWED:
            return self.not_allowed(error)
        return InputError(f"{self.path}: {error}; {_REMEDY}")

    def not_allowed(self, error: Exception) -> InputError:
        """Say in a line that the file cannot be used, and what to do."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        use = "read" if self.read_only else "written"
        return InputError(f"{self.path} cannot be {use} ({reason}); {_REMEDY}")

    def _open_to_write(self) -> sqlite3.Connection:
        connection = _connect(self.path, "mode=rwc")
        try:
            is_new = self._is_new(connection)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("PRAGMA synchronous = FULL")
            with connection:
                # Begun even where nothing is to be made: that a file cannot be written is reported now, before a model
                # has worked for hours.
                connection.execute("BEGIN IMMEDIATE")
                if is_new:
                    _create_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_to_read(self) -> sqlite3.Connection | None:
        try:
            # With `rw`, SQLite takes its log away again when it closes; `ro` would leave it behind.
            return self._open_checked("mode=rw")
        except sqlite3.Error as error:
            if _code(error) not in _NOT_ALLOWED:
                raise
        # Where no log can be made and none is to be read, the file is all there is.
        return self._open_checked("mode=ro&immutable=1")

    def _open_checked(self, options: str) -> sqlite3.Connection | None:
        connection = _connect(self.path, options)
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
        """Return whether a database is empty; raise where it is neither that nor of our layout."""
        with connection:
            # Both at one moment: another process may be making the table.
            connection.execute("BEGIN")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if version != _LAYOUT and (version or tables):
            raise UnreadableCacheError(
                f"{self.path} has layout {version}, this version of ValueFlow uses {_LAYOUT}; {_REMEDY_FOR_DAMAGE}"
            )
        return bool(version != _LAYOUT)


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _create_tables(connection)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(path: Path, options: str) -> sqlite3.Connection:
    # Transactions are ours to begin; threads take turns at a lock.
    return sqlite3.connect(
        f"{path.as_uri()}?{options}", uri=True, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
    )


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY NOT NULL, model TEXT NOT NULL, "
        "value BLOB NOT NULL, created REAL NOT NULL)"
    )
    connection.execute(f"PRAGMA user_version = {_LAYOUT}")


def _acquire(path: Path) -> int:
    """Wait for a lock file and return its handle.

    `filelock` opens the file anew with each try; eight busy writers were half as fast with it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    latest = time.monotonic() + SECONDS_TO_WAIT
    try:
        while not _try_lock(handle):
            if time.monotonic() > latest:
                raise TimeoutError
            time.sleep(0.001)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _try_lock(handle: int) -> bool:
    if sys.platform != "win32":  # there, SQLite's own locks have to do
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _release(handle: int) -> None:
    if sys.platform != "win32":
        # Not left to closing: a process forked in the meantime has the same lock open.
        fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def _code(error: sqlite3.Error) -> int:
    return error.sqlite_errorcode & 0xFF
