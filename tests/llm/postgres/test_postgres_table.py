"""The table on a PostgreSQL server, and what goes wrong with a server: one line, and never the password."""

import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.postgres_server import PostgresServer
from tests.llm.postgres.servers import NEEDS_SERVER, TEXTS, new_schema, run_command, statement
from valueflow.llm import Completion, cache_command, cache_state
from valueflow.llm.cache import PostgresCache
from valueflow.run import InputError

pytestmark = NEEDS_SERVER


def test_processes_that_find_no_table_make_one(server: PostgresServer) -> None:
    urls = [new_schema(server) for _ in range(8)]
    barrier, faults = threading.Barrier(8), []

    def begin(number: int) -> None:
        for url in urls:
            barrier.wait()
            try:
                with PostgresCache(url) as cache:
                    cache.put([(str(number), Completion("x"))], "m")
            except BaseException as fault:
                faults.append(fault)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    for url in urls:
        assert statement(url, "SELECT COUNT(*) FROM valueflow_completions") == [(8,)]


def test_a_batch_goes_in_whole_or_not_at_all(url: str) -> None:
    with PostgresCache(url) as cache:
        cache.put([("earlier", Completion("x"))], "m")
        statement(url, "ALTER TABLE valueflow_completions ADD CONSTRAINT no_c CHECK (key <> 'c')")
        with pytest.raises(InputError, match="no_c"):
            cache.put([(key, Completion("x")) for key in "abcd"], "m")
        assert cache.get([*"abcd", "earlier"]) == {"earlier": Completion("x")}
        assert cache.put([(key, Completion("x")) for key in "abd"], "m") == {}


def test_a_batch_is_one_statement_not_one_per_row(url: str) -> None:
    statement(url, "CREATE TABLE calls (n int)")
    with PostgresCache(url) as cache:
        cache.get(["a"])
        statement(url, "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS "
                       "'BEGIN INSERT INTO calls VALUES (1); RETURN NULL; END'")  # fmt: skip
        statement(
            url, "CREATE TRIGGER t AFTER INSERT ON valueflow_completions FOR EACH STATEMENT EXECUTE FUNCTION told()"
        )
        cache.put([(str(i), Completion("x")) for i in range(1000)], "m")
    assert statement(url, "SELECT COUNT(*) FROM calls") == [(1,)]


# ---- The index by model


AS_BEFORE = (
    "CREATE TABLE valueflow_completions "
    "(key text PRIMARY KEY, model text NOT NULL, value bytea NOT NULL, created double precision NOT NULL)"
)
"""The table of the first version."""

ROWS = (
    "INSERT INTO valueflow_completions "
    "SELECT n::text, 'model ' || n %% 2, convert_to(repeat('x', 300), 'UTF8'), 0 FROM generate_series(1, 20000) n"
)

INDEXES = (
    "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'valueflow_completions'::regclass ORDER BY 1"
)
KEY_ALONE = [("valueflow_completions_pkey",)]
BOTH = [("valueflow_completions_by_model",), *KEY_ALONE]


def reads(url: str) -> tuple[int, int]:
    """Return how many rows were read so far by going through the table, and how often the index by model was used."""
    ((rows, index),) = statement(
        url,
        "SELECT t.seq_tup_read, i.idx_scan FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid) "
        "WHERE t.relid = 'valueflow_completions'::regclass AND i.indexrelname = 'valueflow_completions_by_model'",
    )
    return rows, index


def test_looking_for_a_model_and_counting_do_not_read_the_table(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresCache(url) as cache:
        cache.get(["a"])
    statement(url, ROWS)
    statement(url, "VACUUM ANALYZE valueflow_completions")
    rows, uses = reads(url)
    monkeypatch.setenv("VALUEFLOW_CACHE_URL", url)
    assert cache_state("read")["entries"] == 20_000
    with PostgresCache(url, read_only=True) as cache:
        assert cache.has_any_of("model 1")
        assert not cache.has_any_of("model 2")
    # What a connection has done is counted once it is closed; one that reads the whole table, to see that it counts.
    with PostgresCache(url, read_only=True) as cache:
        assert len(cache.statistics()) == 2
    while reads(url)[0] < rows + 20_000:
        time.sleep(0.01)
    # Of a model that has half of the rows, one is found at once without the index.
    assert reads(url)[0] < rows + 20_100
    assert reads(url)[1] > uses


def test_a_table_of_an_earlier_version_gets_the_index_from_its_owner(server: PostgresServer, url: str) -> None:
    statement(url, AS_BEFORE)
    role = f"writer{time.monotonic_ns()}"
    statement(url, f"CREATE ROLE {role} LOGIN PASSWORD 'only-writes'")
    schema = url.rpartition("%3D")[2]
    statement(url, f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    statement(url, f"GRANT SELECT, INSERT ON valueflow_completions TO {role}")
    with PostgresCache(server.url(role, "only-writes", schema=schema)) as cache:
        assert cache.put([("a", Completion("x"))], "m") == {}
        assert cache.has_any_of("m")
    with PostgresCache(url, read_only=True) as cache:
        assert set(cache.get(["a"])) == {"a"}
    assert statement(url, INDEXES) == KEY_ALONE
    faults, barrier = [], threading.Barrier(4)

    def begin() -> None:
        barrier.wait()
        try:
            with PostgresCache(url) as cache:
                assert set(cache.get(["a"])) == {"a"}
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert statement(url, INDEXES) == BOTH


def test_clearing_waits_for_nobody_and_nobody_for_it(url: str) -> None:
    import psycopg

    with PostgresCache(url) as cache, psycopg.connect(url) as reading:
        cache.put([("a", Completion("x"))], "m")
        cache.put([("b", Completion("x"))], "another")
        # Within a transaction, which holds its lock until it ends, as a copy of the table by `pg_dump` does.
        reading.execute("SELECT COUNT(*) FROM valueflow_completions")
        removed: list[int] = []
        clearing = threading.Thread(target=lambda: removed.append(cache.clear("m")))
        clearing.start()
        clearing.join(30)
        ended = not clearing.is_alive()
        reading.rollback()
        clearing.join()
    assert ended
    assert removed == [1]


# ---- What goes wrong with a server: one line, and never the password


def told(url: str, server: PostgresServer, *arguments: str, **environ: str) -> str:
    """Return the one line in which the command refuses a URL."""
    done = run_command(url, *arguments, **environ)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert server.password not in line
    assert quote(server.password, safe="") not in line
    return line


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://me:hunter2@host/db",
        "http://me:hunter2@host/db",
        "host=localhost password=hunter2",
        "hunter2",
        "/a/folder/hunter2",
        "postgresql://me:x@hunter2@host/db",
        "postgresql://me:x/hunter2@host/db",
        "postgresql://me:x?hunter2@host/db",
        "postgresql://me:%zzhunter2@host/db",
        "postgresql://me:x@host:hunter2/db",
        "postgresql://me:x@host/db?hunter2=1",
        "postgresql://me:x@host/db?password=a&hunter2=3",
        "postgresql://me:hun ter2hunter2@host/db",
    ],
)
def test_a_url_that_is_none_is_told_and_not_repeated(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE_URL", wrong)
    assert cache_command([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert "VALUEFLOW_CACHE_URL" in line
    assert "postgresql://USER@HOST:5432/DATABASE" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@host:5433/db", "postgresql://me@host:5433/db"),
        ("postgres://me@host/db?password=hunter2&sslpassword=hunter2&sslmode=require", "postgresql://me@host/db"),
        ("postgresql:///db?host=/run/postgresql&user=me&password=hunter2", "postgresql://me@/db?host=/run/postgresql"),
        ("postgresql://:hunter2@[::1]/db", "postgresql://[::1]/db"),
        ("postgresql://a%40b:hunter2@one:1,two:2/db", "postgresql://a%40b@one,two:1,2/db"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert PostgresCache(url).place == shown


def test_faults_of_a_server_are_one_line(server: PostgresServer, url: str) -> None:
    line = told(server.url(password="not the one"), server)
    assert "password authentication failed" in line
    assert "not the one" not in line
    assert f"postgresql://owner@127.0.0.1:{server.port}/postgres" in line
    assert "cache=off" in line
    assert "does not exist" in told(server.url(database="nowhere"), server)
    assert "does not exist" in told(server.url(database="nowhere"), server, "clear")
    nobody = url.replace("127.0.0.1", "no-such-host.invalid")
    assert "no-such-host.invalid" in told(nobody, server)
    assert "refused" in told("postgresql://owner:secretsecret@127.0.0.1:1/postgres", server)
    assert "secretsecret" not in told("postgresql://owner:secretsecret@127.0.0.1:1/postgres", server)


def test_passwords_come_from_where_libpq_finds_them(server: PostgresServer, url: str, tmp_path: Path) -> None:
    bare = url.replace(":" + quote(server.password, safe=""), "")
    assert "password" in told(bare, server)
    assert run_command(bare, PGPASSWORD=server.password).returncode == 0
    kept = tmp_path / "pgpass"
    escaped = server.password.replace("\\", "\\\\").replace(":", "\\:")
    kept.write_text(f"127.0.0.1:{server.port}:*:owner:{escaped}\n")
    kept.chmod(0o600)
    assert run_command(bare, PGPASSFILE=str(kept)).returncode == 0


def test_without_the_driver_the_extra_is_named(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'valueflow[postgres]'" in told(url, server)


def test_rights_are_looked_at_before_anything_is_asked(server: PostgresServer, url: str) -> None:
    role = f"reader{time.monotonic_ns()}"
    statement(url, f"CREATE ROLE {role} LOGIN PASSWORD 'only-reads'")
    schema = url.rpartition("%3D")[2]
    statement(url, f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    theirs = server.url(role, "only-reads", schema=schema)
    with PostgresCache(theirs) as cache, pytest.raises(InputError, match="permission denied for schema") as fault:
        cache.get(["a"])
    assert "only-reads" not in str(fault.value)
    with PostgresCache(url) as cache:
        cache.put([("a", Completion("x"))], "m")
    with PostgresCache(theirs, read_only=True) as cache, pytest.raises(InputError, match="permission denied for table"):
        cache.get(["a"])
    statement(url, f"GRANT SELECT ON valueflow_completions TO {role}")
    with PostgresCache(theirs, read_only=True) as cache:
        assert cache.get(["a"]) == {"a": Completion("x")}
        assert cache.size() > 0
    with PostgresCache(theirs) as cache, pytest.raises(InputError, match="permission denied for table"):
        cache.get(["a"])
    statement(url, f"GRANT INSERT ON valueflow_completions TO {role}")
    with PostgresCache(theirs) as cache:
        assert cache.put([("a", Completion("y")), ("b", Completion("y"))], "m") == {"a": Completion("x")}
        with pytest.raises(InputError, match="permission denied for table"):
            cache.clear()
    statement(url, f"GRANT DELETE ON valueflow_completions TO {role}")
    with PostgresCache(theirs) as cache:
        assert cache.clear() == 2


@pytest.mark.parametrize(
    "columns",
    [
        "note text",
        "key text PRIMARY KEY, model text NOT NULL, value text NOT NULL, created double precision NOT NULL",
        "key text PRIMARY KEY, model text, value bytea, created double precision, more int",
        "key text, model text NOT NULL, value bytea NOT NULL, created double precision NOT NULL",
    ],
    ids=["other", "text values", "another column", "no key"],
)
def test_a_table_of_another_shape_is_told_and_left_alone(server: PostgresServer, url: str, columns: str) -> None:
    statement(url, f"CREATE TABLE valueflow_completions ({columns})")
    with PostgresCache(url) as cache:
        for use in (lambda: cache.get(["a"]), lambda: cache.put([("a", Completion("x"))], "m"), cache.clear):
            with pytest.raises(InputError) as fault:
                use()
            assert "valueflow_completions" in str(fault.value) or "ON CONFLICT" in str(fault.value)
            assert "\n" not in str(fault.value)
    told(url, server, "clear")
    assert statement(url, "SELECT COUNT(*) FROM valueflow_completions") == [(0,)]


def test_a_server_that_takes_no_writes_is_told_before_anything_is_asked(url: str) -> None:
    with PostgresCache(url) as cache:
        cache.put([("a", Completion("x"))], "m")
    frozen = f"{url}%20-cdefault_transaction_read_only%3Don"
    with PostgresCache(frozen) as cache, pytest.raises(InputError, match="takes no writes"):
        cache.get(["a"])
    with PostgresCache(frozen, read_only=True) as cache:
        assert cache.get(["a"]) == {"a": Completion("x")}


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_may_have_any_encoding(server: PostgresServer, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    statement(server.url(), f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    with PostgresCache(server.url(database=name)) as cache:
        kept = {str(i): Completion(text) for i, text in enumerate(TEXTS)}
        assert cache.put(list(kept.items()), "Modèle") == {}
        assert cache.get(list(kept)) == kept
        assert [model.model for model in cache.statistics()] == ["Modèle"]
    statement(server.url(), f"DROP DATABASE {name}")


def test_a_lost_connection_is_opened_anew(server: PostgresServer, url: str) -> None:
    with PostgresCache(url) as cache, PostgresCache(url, read_only=True) as reader:
        cache.put([("a", Completion("x"))], "m")
        assert set(reader.get(["a"])) == {"a"}
        server.stop()
        server.start()
        assert set(reader.get(["a"])) == {"a"}
        assert cache.put([("a", Completion("y")), ("b", Completion("y"))], "m") == {"a": Completion("x")}
        statement(server.url(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert set(cache.get(["a", "b"])) == {"a", "b"}


def test_a_server_that_has_gone_is_one_line_until_it_is_back(server: PostgresServer, url: str) -> None:
    with PostgresCache(url) as cache:
        cache.put([("a", Completion("x"))], "m")
        server.stop()
        for use in (lambda: cache.get(["a"]), lambda: cache.put([("b", Completion("x"))], "m"), cache.statistics):
            with pytest.raises(InputError, match="refused") as fault:
                use()
            assert "\n" not in str(fault.value)
            assert server.password not in str(fault.value)
        server.start()
        assert set(cache.get(["a", "b"])) == {"a"}
