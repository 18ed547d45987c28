"""Completions on a PostgreSQL server, for the machines of a cluster that no file can serve."""

import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from valueflow.llm.cache.connection import ProcessConnection
from valueflow.llm.cache.protocol import ModelStatistics
from valueflow.llm.cache.records import answers_of, encoded, readable, storable_name
from valueflow.llm.cache.server_address import ServerAddress
from valueflow.llm.protocol import Completion
from valueflow.run import InputError, shorten

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_TABLE = "valueflow_completions"

_COLUMNS = {"key": "text", "model": "text", "value": "bytea", "created": "double precision"}

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {_TABLE} (key text PRIMARY KEY, model text NOT NULL, value bytea NOT NULL,
created double precision NOT NULL)
"""

_INDEX = f"{_TABLE}_by_model"

# Of the beginning: PostgreSQL refuses rows of which an index would hold more than 2.7 KB, and a name may be a path.
_CREATE_INDEX = f"CREATE INDEX {_INDEX} ON {_TABLE} (left(model, 200))"

_OF_MODEL = "left(model, 200) = left(%t, 200) AND model = %t"

_HAS_INDEX = """
SELECT EXISTS (SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = to_regclass(%t) AND relname = %t)
"""

_LOCK_OF_CREATION = 0x76616C7565666C6F
"""A number of our own, for PostgreSQL's advisory locks."""

_INSERT = f"""
INSERT INTO {_TABLE} (key, model, value, created)
SELECT fresh.key, %t, fresh.value, %b FROM unnest(%t::text[], %b::bytea[]) AS fresh (key, value)
ON CONFLICT (key) DO NOTHING RETURNING key
"""

_DELETE_UNREADABLE = f"""
DELETE FROM {_TABLE} AS kept USING unnest(%t::text[], %b::bytea[]) AS bad (key, value)
WHERE kept.key = bad.key AND kept.value = bad.value
"""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class PostgresCache:
    """A table of completions on a server, which any number of processes and machines read and add to at once.

    For what its methods do see `CachedCompletions`. All of them raise an `InputError` where the server cannot be
    reached, does not allow what is needed, or has another table by that name.

    Parameters
    ----------
    url
        Of the server and database, `postgresql://user@host/database`. The password may be part of it, or come from
        PGPASSWORD or a password file, as with all of PostgreSQL's clients.
    read_only
        Look up only. Nothing is made or changed; a table that is not there has no entries.

    Notes
    -----
    Each process opens its own connection with its first call. One that is lost is opened anew once; what was asked is
    asked again, which is safe since the first answer stays. What `put` has returned for is committed on the server.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._address = ServerAddress(url)
        self._read_only = read_only
        self._connection: ProcessConnection[Connection] = ProcessConnection(self._connect)

    @property
    def place(self) -> str:
        """The URL without its password."""
        return self._address.shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's connection; the next call opens another."""
        self._connection.close()

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Return the completions that are cached of these requests, by key."""
        if not keys:
            return {}
        return readable(self._ask(lambda connection: _rows(connection, keys), otherwise=[]))

    def put(self, entries: Sequence[tuple[str, Completion]], model: str) -> dict[str, Completion]:
        """Add completions; return the answers that were there before.

        They go in by one statement, so all or none do. Only where an older entry cannot be read are they replaced by
        more of them.
        """
        self._refuse_to_write()
        # In one order everywhere, so that no two processes wait for each other's keys.
        fresh = dict(sorted(answers_of(entries).items()))
        if not fresh:
            return {}
        values = {key: encoded(completion) for key, completion in fresh.items()}
        return self._ask(lambda connection: _insert(connection, values, _name(model)), otherwise={})

    def has_any_of(self, model: str) -> bool:
        """Return whether any completion of a model is cached."""
        name = _name(model)
        return bool(self._select(f"SELECT 1 FROM {_TABLE} WHERE {_OF_MODEL} LIMIT 1", name, name))

    def entries(self) -> int:
        """Return how many completions are cached; an index tells."""
        # No table that is to be read has a row for it.
        return sum(entries for (entries,) in self._select(f"SELECT COUNT(*) FROM {_TABLE}"))

    def statistics(self) -> list[ModelStatistics]:
        """Return what is cached of each model, by name."""
        query = f"""
            SELECT model, COUNT(*), SUM(OCTET_LENGTH(value))::bigint, MIN(created), MAX(created) FROM {_TABLE}
            GROUP BY model ORDER BY model COLLATE "C"
        """
        return [
            ModelStatistics(model, entries, size, datetime.fromtimestamp(first), datetime.fromtimestamp(last))
            for model, entries, size, first, last in self._select(query)
        ]

    def size(self) -> int:
        """Return the bytes that the table and its indexes take on the server's disk."""
        return sum(size for (size,) in self._select(f"SELECT pg_total_relation_size('{_TABLE}'::regclass)"))

    def clear(self, model: str | None = None) -> int:
        """Remove the completions of one model, or all, and return how many they were.

        The server keeps their disk space for what comes next, at once where the user owns the table, later for others.
        What is free at the end of the table goes back to the disk. (`VACUUM FULL` would give back all of it, but shut
        out everybody, readers too, while it writes the table anew: jobs of other users wait for this one.)
        """
        from psycopg import OperationalError

        self._refuse_to_write()
        which, names = ("", []) if model is None else (f"WHERE {_OF_MODEL}", [_name(model)] * 2)

        def remove(connection: "Connection") -> int:
            removed = connection.execute(f"DELETE FROM {_TABLE} {which}", names).rowcount
            # It waits for nobody and nobody for it; where it cannot run, the server does the same later by itself.
            with suppress(OperationalError):
                connection.execute(f"VACUUM {_TABLE}")
            return removed

        return self._ask(remove, otherwise=0)

    def _refuse_to_write(self) -> None:
        if self._read_only:
            raise io.UnsupportedOperation("a cache opened with read_only=True takes nothing")

    def _select(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        nothing: list[tuple[Any, ...]] = []
        return self._ask(lambda connection: connection.execute(query, values).fetchall(), otherwise=nothing)

    def _ask(self, question: "Callable[[Connection], T]", *, otherwise: T) -> T:
        """Return the server's answer; `otherwise` where there is no table and none is to be made."""
        with self._connection.lent():
            was_open = self._connection.current is not None
            try:
                return self._attempt(question, otherwise)
            except _LostConnectionError as error:
                if not was_open:
                    raise
                _log.debug("the connection was lost and is opened anew: %s", error)
            return self._attempt(question, otherwise)

    def _attempt(self, question: "Callable[[Connection], T]", otherwise: T) -> T:
        from psycopg import Error
        from psycopg.errors import UndefinedTable

        try:
            return question(self._connection.connected())
        except Error as error:
            if self._read_only and isinstance(error, UndefinedTable):
                return otherwise
            fault = str(self._address.explain(error))
            connection = self._connection.current
            is_lost = connection is not None and connection.closed
            # The next question begins with a look at the table, which may be what has changed.
            self._connection.drop()
            raise (_LostConnectionError if is_lost else InputError)(fault) from error

    def _connect(self) -> "Connection":
        import psycopg

        # Statements that a connection has prepared are not there for the next one of a connection pool like PgBouncer.
        connection = psycopg.connect(**self._address.options, autocommit=True, prepare_threshold=None)
        try:
            self._look_at_table(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _look_at_table(self, connection: "Connection") -> None:
        """Make the table where it is missing; raise where it is another one, or cannot be written although it must."""
        columns = _columns(connection)
        if not columns and not self._read_only:
            with connection.transaction():
                # Processes that make one table at the same moment fail without.
                connection.execute("SELECT pg_advisory_xact_lock(%b)", [_LOCK_OF_CREATION])
                connection.execute(_CREATE)
            columns = _columns(connection)
        if columns == _COLUMNS and not self._read_only:
            _add_index(connection)
        if columns and columns != _COLUMNS:
            has = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            raise self._address.unusable(
                f"its table {_TABLE} is another than this version of ValueFlow uses (it has {shorten(has)})"
            )
        if not self._read_only:
            # Planned, not run: that nothing can be written is reported now, before a model has worked for hours.
            connection.execute(f"EXPLAIN {_INSERT}", ["", 0.0, [""], [b""]])
            if connection.execute("SELECT current_setting('transaction_read_only') = 'on'").fetchone() == (True,):
                raise self._address.unusable("the server takes no writes (it is a copy, or set to be read only)")


class _LostConnectionError(InputError):
    """The server has gone, or has closed the connection."""


def _add_index(connection: "Connection") -> None:
    """Make the index by model where it is missing, as in tables of earlier versions.

    Those who write wait while it is made, those who read do not. Who does not own the table cannot make it, and goes
    without: it only saves time.
    """
    from psycopg import Error

    def is_missing() -> bool:
        return connection.execute(_HAS_INDEX, [_TABLE, _INDEX]).fetchone() == (False,)

    if not is_missing():
        return
    with suppress(Error), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%b)", [_LOCK_OF_CREATION])
        if is_missing():  # still, after another process has perhaps made it
            connection.execute(_CREATE_INDEX)


def _columns(connection: "Connection") -> dict[str, str]:
    """Return names and types of the table's columns; none where there is no table."""
    return dict(
        connection.execute(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%t) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [_TABLE],
        ).fetchall()
    )


def _rows(connection: "Connection", keys: Sequence[str]) -> list[tuple[str, bytes]]:
    query = f"SELECT key, value FROM {_TABLE} WHERE key = ANY(%t::text[])"
    return [(key, value) for key, value in connection.execute(query, [list(keys)], binary=True)]


def _insert(connection: "Connection", values: Mapping[str, bytes], model: str) -> dict[str, Completion]:
    earlier: dict[str, Completion] = {}
    waiting = dict(values)
    while waiting:
        given = [model, time.time(), list(waiting), list(waiting.values())]
        for (key,) in connection.execute(_INSERT, given):
            del waiting[key]
        if not waiting:
            break
        there = _rows(connection, list(waiting))
        answers = readable(there)
        earlier |= answers
        unreadable = {key: value for key, value in there if key not in answers}
        if unreadable:
            connection.execute(_DELETE_UNREADABLE, [list(unreadable), list(unreadable.values())])
        # Those that are left were unreadable, or have been cleared a moment ago.
        waiting = {key: value for key, value in waiting.items() if key not in answers}
    return earlier


def _name(model: str) -> str:
    # PostgreSQL's texts hold any character but this one.
    return storable_name(model).replace("\x00", "\\x00")
