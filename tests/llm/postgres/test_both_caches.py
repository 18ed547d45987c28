"""What both kinds of cache do, in a file and on a server: a real one, real processes, real kills."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command import ROOT
from tests.llm.postgres.servers import NEEDS_SERVER, TEXTS, statement
from valueflow.llm import Completion
from valueflow.llm.cache import CachedCompletions, CompletionCache, PostgresCache, open_cache

pytestmark = NEEDS_SERVER


def python(script: str, *arguments: object, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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


def test_the_environment_says_which_it_is(place: Place) -> None:
    with place.opened() as cache:
        assert isinstance(cache, {"sqlite": CompletionCache, "postgres": PostgresCache}[place.kind])


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
        # A file is written anew; a server uses the space again.
        assert cache.size() < before / 4 or place.kind == "postgres"
        assert set(cache.get(["a1", "b1"])) == {"b1"}
        cache.put([(f"c{i}", Completion(os.urandom(500).hex())) for i in range(300)], "small again")
        assert cache.size() < before * 1.1
        assert cache.entries() == 302
        assert cache.clear("small again") == 300
        assert cache.clear() == 2
        assert (cache.entries(), cache.statistics()) == (0, [])
        assert cache.size() < before / 4


def test_names_of_models_have_any_length(place: Place) -> None:
    names = [f"{os.urandom(4000).hex()}{ending}" for ending in "xy"]
    names.append(names[0][:-1])
    with place.opened() as cache:
        for key, name in zip("abc", names, strict=True):
            cache.put([(key, Completion("x"))], name)
        assert [cache.has_any_of(name) for name in [*names, names[1][:-1]]] == [True, True, True, False]
        assert [cache.clear(name) for name in names] == [1, 1, 1]


def test_reading_makes_nothing(place: Place, tmp_path: Path) -> None:
    with place.opened(read_only=True) as cache:
        assert cache.get(["a"]) == {}
        assert cache.statistics() == []
        assert cache.entries() == 0
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
