"""Completions on a PostgreSQL server: a real one, real processes, real kills; and what SQLite has to do as well."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest

from benchmarks.postgres_server import PostgresServer, running_postgres, why_no_server
from tests.command import environment, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import Call, FaultServer, Reply, permutation
from valueflow.llm import Completion, cache_command, cache_state
from valueflow.llm.cache import CachedCompletions, CompletionCache, PostgresCache, open_cache
from valueflow.run import InputError

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")

_NO_SERVER = why_no_server()
pytestmark = pytest.mark.skipif(_NO_SERVER is not None, reason=str(_NO_SERVER))

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running() -> Iterator[PostgresServer]:
    # What a power cut takes is the server's affair; here only processes die.
    with running_postgres("fsync=off") as server:
        yield server


@pytest.fixture
def server(running: PostgresServer) -> PostgresServer:
    """Give the server, started again where a test has stopped it."""
    if running.process is None:
        running.start()
    return running


@pytest.fixture
def url(server: PostgresServer) -> str:
    """Return a URL, with the password, that leads to a schema without tables."""
    return new_schema(server)


def new_schema(server: PostgresServer) -> str:
    return server.url(schema=server.new_schema(f"test{time.monotonic_ns()}"))


def statement(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run SQL with a connection of the test's own."""
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(sql, values)
        return done.fetchall() if done.description else []


def python(script: str, *arguments: object, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(url: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `valueflow-cache`."""
    output, errors = io.StringIO(), io.StringIO()
    settings = {"VALUEFLOW_CACHE_URL": url, **environ}
    with redirect_stdout(output), redirect_stderr(errors), patch.dict(os.environ, settings):
        code = cache_command(arguments)
    return subprocess.CompletedProcess(["valueflow-cache", *arguments], code, output.getvalue(), errors.getvalue())


@dataclass(frozen=True)
class Place:
    """A new place for completions, and how processes and plain SQL get there."""

    kind: str
    environ: dict[str, str]
    sql: Callable[..., list[tuple[Any, ...]]]
    table: str

    def opened(self, *, read_only: bool = False) -> CachedCompletions:
        with pytest.MonkeyPatch.context() as patch:
            for name, setting in self.environ.items():
                patch.setenv(name, setting)
            return open_cache(read_only=read_only)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "postgres":
        url = request.getfixturevalue("url")

        def on_server(sql: str, *values: object) -> list[tuple[Any, ...]]:
            return statement(url, sql.replace("?", "%s"), *values)

        return Place("postgres", {"VALUEFLOW_CACHE_URL": url}, on_server, "valueflow_completions")
    file = tmp_path / "cache" / "llm" / "completions.sqlite"

    def on_file(sql: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(file)
        with connection:
            rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

    return Place("sqlite", {"VALUEFLOW_CACHE": str(tmp_path / "cache")}, on_file, "completions")


# ---- What both kinds of cache do


def test_the_environment_says_which_it_is(place: Place) -> None:
    with place.opened() as cache:
        assert isinstance(cache, {"sqlite": CompletionCache, "postgres": PostgresCache}[place.kind])


TEXTS = [
    "\ud83d\ude00",
    "\U0001f600",
    "\udc00",
    "\x00",
    "a\x00b",
    " a",
    "\u2028b",
    "c\r\n",
    "{[\"'",
    "\\x00",
    "\x00" * 99,
]


def test_any_text_is_read_back(place: Place) -> None:
    kept = {str(i): Completion(text, i, 2**40, i % 2 == 0) for i, text in enumerate(TEXTS)}
    with place.opened() as cache:
        for model in TEXTS:
            cache.put(list(kept.items()), model)
            assert cache.get(list(kept)) == kept
            assert cache.has_any_of(model)
            assert cache.clear(model) == len(kept)


def test_log_probabilities_are_kept(place: Place) -> None:
    completion = Completion("text", 1, 2, True, logprobs={"A": -0.1, " A\ud83d": -3.0000000000000004, "": -7})
    with place.opened() as cache:
        cache.put([("k", completion)], "m")
    with place.opened() as cache:
        assert cache.get(["k"]) == {"k": completion}


def test_values_are_the_same_bytes_everywhere(place: Place) -> None:
    with place.opened() as cache:
        cache.put([("k", Completion("t\ud83d", 1, 2, True))], "m")
    ((value,),) = place.sql(f"SELECT value FROM {place.table}")
    assert value == b'{"text": "t\xed\xa0\xbd", "prompt_tokens": 1, "completion_tokens": 2, "cut": true}'


def test_the_first_answer_stays_and_is_told(place: Place) -> None:
    first, second = Completion("first"), Completion("second")
    with place.opened() as cache:
        assert cache.put([("a", first), ("a", second)], "m") == {}
        assert cache.put([("a", second), ("b", second)], "m") == {"a": first}
        assert cache.put([], "m") == {}
        assert cache.get(["a", "b", "c"]) == {"a": first, "b": second}
        assert cache.get([]) == {}


def test_failures_and_silence_are_never_kept(place: Place) -> None:
    with place.opened() as cache:
        answers = [
            Completion("", error="timed out"),
            Completion("partial", error="cut"),
            Completion(" \n"),
            Completion("x"),
        ]
        assert cache.put([(str(i), answer) for i, answer in enumerate(answers)], "m") == {}
        assert set(cache.get([*"0123"])) == {"3"}
        cache.put([("0", Completion("now"))], "m")
        assert cache.get(["0"]) == {"0": Completion("now")}


def test_many_keys_are_looked_up_and_only_those_asked_for_are_returned(place: Place) -> None:
    kept = {f"{i:064x}": Completion(str(i)) for i in range(5000)}
    with place.opened() as cache:
        cache.put(list(kept.items()), "m")
        wanted = [f"{i:064x}" for i in range(4000, 8000)]
        assert cache.get([*wanted, *wanted[:5]]) == {key: kept[key] for key in wanted if key in kept}


@pytest.mark.parametrize(
    "value", [b"", b"{", b"\xff\xfe", b'{"text": "x"}', b"[" * 100_000], ids=lambda v: repr(v)[:16]
)
def test_an_entry_that_cannot_be_read_is_not_there_and_is_replaced(place: Place, value: bytes) -> None:
    with place.opened() as cache:
        cache.put([("a", Completion("old")), ("b", Completion("other"))], "m")
        place.sql(f"UPDATE {place.table} SET value = ? WHERE key = 'a'", value)
        assert cache.get(["a", "b"]) == {"b": Completion("other")}
        new = [(key, Completion("new")) for key in "abc"]
        assert cache.put(new, "m") == {"b": Completion("other")}
        assert cache.get([*"abc"]) == {**dict(new), "b": Completion("other")}


def test_statistics_and_clearing_by_model(place: Place) -> None:
    with place.opened() as cache:
        assert cache.clear() == 0
        cache.put([(f"a{i}", Completion(os.urandom(500).hex())) for i in range(300)], "small")
        cache.put([(f"b{i}", Completion("x" * 1000)) for i in range(2)], "large")
        large, small = cache.statistics()
        assert [(large.model, large.entries), (small.model, small.entries)] == [("large", 2), ("small", 300)]
        assert small.first == small.last <= large.first
        assert 300_000 < small.size < 400_000
        assert cache.has_any_of("small")
        before = cache.size()
        assert before >= 302_000
        assert cache.clear("neither") == 0
        assert cache.clear("small") == 300
        assert not cache.has_any_of("small")
        assert cache.size() < before / 4
        assert set(cache.get(["a1", "b1"])) == {"b1"}
        assert cache.clear() == 2
        assert cache.statistics() == []


def test_reading_makes_nothing(place: Place, tmp_path: Path) -> None:
    with place.opened(read_only=True) as cache:
        assert cache.get(["a"]) == {}
        assert cache.statistics() == []
        assert cache.size() == 0
        assert not cache.has_any_of("m")
        with pytest.raises(io.UnsupportedOperation):
            cache.put([("a", Completion("x"))], "m")
    assert not (tmp_path / "cache").exists()
    if place.kind == "postgres":
        assert place.sql("SELECT to_regclass('valueflow_completions')") == [(None,)]


def test_a_reader_sees_what_a_writer_adds_and_clears(place: Place) -> None:
    with place.opened() as writer:
        writer.put([("a", Completion("x"))], "m")
        with place.opened(read_only=True) as reader:
            assert set(reader.get(["a", "b"])) == {"a"}
            writer.put([("b", Completion("y"))], "m")
            assert set(reader.get(["a", "b"])) == {"a", "b"}
            assert writer.clear() == 2
            assert reader.get(["a", "b"]) == {}


def test_threads_share_a_cache(place: Place) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(25):
                cache.put([(f"{number}-{i}", Completion(f"{number} {i}"))], "m")
                assert cache.get([f"{number}-{i}"]) == {f"{number}-{i}": Completion(f"{number} {i}")}
        except BaseException as fault:
            faults.append(fault)

    with place.opened() as cache:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert cache.statistics()[0].entries == 100


FORKING = """
import os, sys
from valueflow.llm.cache import open_cache
from valueflow.llm import Completion
cache = open_cache()
cache.put([("before", Completion("before"))], "m")
child = os.fork()
name = "parent" if child else "child"
for i in range(60):
    cache.put([(f"{name}-{i}", Completion(name))], "m")
assert cache.get(["before"]) == {"before": Completion("before")}
if not child:
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert status == 0
cache.put([("after", Completion("after"))], "m")
"""


def test_a_cache_goes_on_working_in_a_forked_process(place: Place) -> None:
    process = python(FORKING, **place.environ)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert errors == ""
    with place.opened() as cache:
        assert cache.statistics()[0].entries == 122


# The processes are forked from one that has loaded the libraries; each opens the cache for itself.
WRITERS = """
import os, random, sys
import psycopg
from valueflow.llm.cache import open_cache
from valueflow.llm import Completion

def write(number, n, notes):
    draws = random.Random(number)
    cache = open_cache()
    i = 0
    while i < n:
        # Batches of any size; a fifth of the requests are asked by all, in an order of each one's own.
        batch = range(i, min(n, i + draws.randrange(1, 9)))
        names = {j: f"shared-{j}" if j % 5 == 0 else f"{number}-{j}" for j in batch}
        asked = {names[j]: Completion(f"{number} {j}", number, j) for j in batch}
        entries = list(asked.items())
        draws.shuffle(entries)
        earlier = cache.put(entries, f"model {number}")
        i = batch.stop
        # What `put` has returned for is what counts, so this line is whole or not there.
        print(*(f"{key}={earlier.get(key, one).prompt_tokens}" for key, one in asked.items()), file=notes, flush=True)

folder, (writers, killed, n) = sys.argv[1], map(int, sys.argv[2:])
children = []
for number in range(writers):
    child = os.fork()
    if not child:
        with open(f"{folder}/{number}", "w") as notes:
            write(number, sys.maxsize if number == killed else n, notes)
        os._exit(0)
    children.append(child)
print(*children, flush=True)
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.slow
def test_eight_processes_of_which_one_is_killed_lose_nothing_and_agree(place: Place, tmp_path: Path) -> None:
    n, writers, killed = 300, 8, 3
    notes = tmp_path / "notes"
    notes.mkdir()
    forking = python(WRITERS, notes, writers, killed, n, **place.environ)
    assert forking.stdout is not None
    pids = [int(pid) for pid in forking.stdout.readline().split()]
    assert len(pids) == writers
    while not (notes / str(killed)).exists() or (notes / str(killed)).read_text().count("\n") < 5:
        assert forking.poll() is None
        time.sleep(0.002)
    os.kill(pids[killed], signal.SIGKILL)
    codes, errors = forking.communicate()
    assert [int(code) for code in codes.split()] == [0, 0, 0, -signal.SIGKILL, 0, 0, 0, 0], errors
    told = [(notes / str(number)).read_text().split("\n")[:-1] for number in range(writers)]
    answers = [dict(entry.split("=") for line in printed for entry in line.split()) for printed in told]
    with place.opened(read_only=True) as cache:
        kept = cache.get([key for of_one in answers for key in of_one])
        entries = sum(model.entries for model in cache.statistics())
    for number, of_one in enumerate(answers):
        assert len(of_one) >= 5 if number == killed else len(of_one) == n
        assert {key: str(kept[key].prompt_tokens) for key in of_one} == of_one
    # The killed one may have added a batch that it could not tell of.
    assert 0 <= entries - len(kept) <= 8


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


# ---- As people use it


def test_the_command_shows_and_clears_without_the_password(server: PostgresServer, url: str) -> None:
    with PostgresCache(url) as cache:
        cache.put([(f"q{i}", Completion("x" * 1000)) for i in range(1234)], "Qwen/Qwen3-32B")
        cache.put([("p", Completion("x"))], "evil\x1b[2J\r\n\udcff name\x00")
    shown = f"postgresql://owner@127.0.0.1:{server.port}/postgres"
    done = run_command(url)
    assert done.returncode == 0, done.stderr
    head, *table = done.stdout.splitlines()
    assert head.startswith(f"{shown} (")
    assert any("Qwen/Qwen3-32B" in line and "1,234" in line and "1.3 MB" in line for line in table)
    assert "evil\\x1b[2J\\r\\n\\udcff name\\x00" in done.stdout
    assert done.stderr == ""
    cleared = run_command(url, "clear", "--model", "Qwen/Qwen3-32B")
    assert cleared.stdout == f"removed 1,234 completions of Qwen/Qwen3-32B from {shown}\n"
    unknown = run_command(url, "clear", "--model", "Qwen")
    assert unknown.returncode == 2
    assert run_command(url, "clear").stdout == f"removed 1 completion from {shown}\n"
    assert run_command(url).stdout.splitlines()[1:] == ["no completions are cached"]


def test_help_names_the_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cache_command(["--help"])
    assert "VALUEFLOW_CACHE_URL=postgresql://USER@HOST/DATABASE" in capsys.readouterr().out


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def evaluate(work: Path, url: str, models: FaultServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    asked = ("judge=llm", "value=benevolence", "llm=openai", "llm.model=fault", f"llm.base_url={models.url}")
    env = environment(work.parent / "cache", VALUEFLOW_CACHE_URL=url)
    return run_app(ROOT / "evaluate.py", *asked, "intensity=2", "m=1", *arguments, folder=work, env=env)


def nothing_tells(server: PostgresServer, work: Path, *runs: subprocess.CompletedProcess[str]) -> None:
    """No file of the runs, and nothing that they printed, has the password."""
    secrets = [server.password, quote(server.password, safe="")]
    written = [path.read_bytes() for path in work.rglob("*") if path.is_file()]
    printed = [(done.stdout + done.stderr).encode() for done in runs]
    assert written
    for content in [*written, *printed]:
        assert not any(secret.encode() in content for secret in secrets)


@pytest.mark.slow
def test_a_second_run_asks_nothing(server: PostgresServer, url: str, work: Path) -> None:
    with FaultServer(permutation) as models:
        first = succeeded(evaluate(work, url, models, "hydra.run.dir=first", "logger=csv"))
        asked = len(models.calls)
        second = succeeded(evaluate(work, url, models, "hydra.run.dir=second", "logger=csv"))
        assert asked == len(models.calls) == 8
        judging = summary_in(work / "second")["judging"]
        assert (judging["calls"], judging["cache_hits"]) == (0, 8)
        assert judging["cache"]["entries"] == 8
        assert judging["cache"]["bytes"] > 0
        assert (work / "first" / "rankings.csv").read_bytes() == (work / "second" / "rankings.csv").read_bytes()
        read = succeeded(evaluate(work, url, models, "hydra.run.dir=third", "cache=read"))
        assert len(models.calls) == 8
        succeeded(evaluate(work, "mysql://nowhere", models, "hydra.run.dir=fourth", "cache=off"))
        assert len(models.calls) == 16
    assert not (work.parent / "cache" / "llm").exists()
    assert statement(url, "SELECT DISTINCT model FROM valueflow_completions") == [("fault",)]
    nothing_tells(server, work, first, second, read)


def test_a_run_whose_server_cannot_be_reached_is_refused(server: PostgresServer, url: str, work: Path) -> None:
    with FaultServer(permutation) as models:
        done = evaluate(work, url.replace(f":{server.port}/", ":1/"), models, "hydra.run.dir=out")
        assert models.calls == []
    refused(done, work, "127.0.0.1:1", "VALUEFLOW_CACHE_URL", "cache=off")
    assert server.password not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_server_that_goes_while_a_model_answers_costs_no_answer(server: PostgresServer, url: str, work: Path) -> None:
    def answer(call: Call) -> Reply:
        if call.number == 3:
            server.stop()
        return permutation(call)

    with FaultServer(answer) as models:
        done = succeeded(evaluate(work, url, models, "hydra.run.dir=out", "llm.concurrency=1"))
        assert len(models.calls) == 8
        summary = summary_in(work / "out")
        assert summary["judging"]["failed"] == 0
        assert "refused" in summary["judging"]["cache"]["fault"]
        assert "not cached for now" in done.stdout + done.stderr
        nothing_tells(server, work, done)
        server.start()
        succeeded(evaluate(work, url, models, "hydra.run.dir=again"))
        # The answers that came before the server went were kept, and those after it were not.
        assert len(models.calls) == 8 + 5


def test_the_state_of_a_server_that_has_gone_is_said(
    url: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE_URL", url)
    assert cache_state("on") == {"mode": "on", "entries": 0, "bytes": 0}
    server.stop()
    state = cache_state("on")
    assert state["mode"] == "on"
    assert server.password not in json.dumps(state)
    assert cache_state("off") == {"mode": "off"}
