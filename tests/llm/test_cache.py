"""Completions on disk: real files, real processes, real kills."""

import io
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.llm import Addition, Completion, Constraint, Message, Sampling, without_thoughts
from valueflow.llm.cache import CompletionCache, cache_file, request_key
from valueflow.run import InputError

ROOT = Path(__file__).parents[2]
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=40)
CONVERSATION: list[Message] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
CONSTRAINT = Constraint("ranking", "root ::= [1-3]", {"type": "object", "properties": {"a": {}, "b": {}}})
IDENTITY = {"engine": "vllm", "model": "Qwen/Qwen3-32B", "options": {"dtype": "auto"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm" / "completions.sqlite"


def user(content: str) -> list[Message]:
    return [{"role": "user", "content": content}]


def statement(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run SQL on the file with a connection of the test's own."""
    connection = sqlite3.connect(path)
    with connection:
        rows = connection.execute(sql, values).fetchall()
    connection.close()
    return rows


def python(script: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# Where


def test_the_file_is_under_the_cache_folder_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    assert cache_file() == tmp_path / "llm" / "completions.sqlite"
    monkeypatch.delenv("VALUEFLOW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert cache_file().parts[-3:] == ("valueflow", "llm", "completions.sqlite")


# Keys


def test_equal_requests_have_equal_keys() -> None:
    key = request_key(IDENTITY, CONVERSATION, Sampling(constraint=CONSTRAINT))
    assert len(key) == 64
    turned = dict(reversed(IDENTITY.items()))
    assert (
        request_key(
            turned,
            [{"content": m["content"], "role": m["role"]} for m in CONVERSATION],
            Sampling(constraint=CONSTRAINT),
        )
        == key
    )
    assert request_key(MappingProxyType(IDENTITY), tuple(CONVERSATION), Sampling(constraint=CONSTRAINT)) == key
    assert request_key(IDENTITY, CONVERSATION, Sampling(temperature=0, constraint=CONSTRAINT)) == key


def test_keys_are_the_same_in_every_process() -> None:
    script = """
from tests.llm.test_cache import *
print(request_key(IDENTITY, CONVERSATION, Sampling(constraint=CONSTRAINT)))
"""
    printed, errors = python(script, env=os.environ | {"PYTHONHASHSEED": "7"}).communicate()
    assert printed.strip() == request_key(IDENTITY, CONVERSATION, Sampling(constraint=CONSTRAINT)), errors


def test_keys_stay_what_they_were() -> None:
    """With other keys, no answer that users have kept would serve any more."""
    assert request_key(IDENTITY, CONVERSATION, Sampling()) == (
        "1cf9532860fe50f37d65797541745fd86e60256528bc32e1e427f34e8676402f"
    )
    assert request_key(IDENTITY, CONVERSATION, Sampling(constraint=CONSTRAINT)) == (
        "82af8f68a3069c04851b2f17b85720e545c45d1f8b79f3dbf017f9af85510714"
    )


def other_requests() -> Iterator[tuple[Mapping[str, object], list[Message], Sampling]]:
    sampling = Sampling(constraint=CONSTRAINT)
    yield IDENTITY, CONVERSATION, sampling
    for name in IDENTITY:
        yield {**IDENTITY, name: "other"}, CONVERSATION, sampling
    yield {**IDENTITY, "revision": "main"}, CONVERSATION, sampling
    yield IDENTITY, [], sampling
    yield IDENTITY, CONVERSATION[:1], sampling
    yield IDENTITY, CONVERSATION[::-1], sampling
    yield IDENTITY, [*CONVERSATION, {"role": "assistant", "content": ""}], sampling
    yield IDENTITY, [{"role": "system", "content": "Be brief.Hello"}], sampling
    yield IDENTITY, [CONVERSATION[0], {"role": "assistant", "content": "Hello"}], sampling
    yield IDENTITY, [CONVERSATION[0], {"role": "user", "content": "Hello "}], sampling
    yield IDENTITY, [CONVERSATION[0], {"role": "user", "content": "hello"}], sampling
    for text in ("\U0001f600", "\ud83d\ude00", "\\ud83d\\ude00", "\ud83d", "\ufffd", "?", "\x00", "", "é", "e\u0301"):
        yield IDENTITY, user(text), sampling
    yield IDENTITY, CONVERSATION, replace(sampling, constraint=None)
    added = Addition(3, 1.0, "all", np.ones(4, dtype=np.float32))
    different: dict[str, Any] = {"temperature": 0.1, "max_tokens": 51, "seed": 43, "top_logprobs": 1, "words": ("a",)}
    different |= {"additions": (added,)}
    assert {*different, "constraint"} == {field.name for field in fields(Sampling)}
    for name, value in different.items():
        yield IDENTITY, CONVERSATION, replace(sampling, **{name: value})
    elsewhere = {"layer": 4, "strength": 1.5, "tokens": "generated", "vector": np.full(4, 2, dtype=np.float32)}
    for name, value in elsewhere.items():
        yield IDENTITY, CONVERSATION, replace(sampling, additions=(replace(added, **{name: value}),))
    yield IDENTITY, CONVERSATION, replace(sampling, additions=(added, added))
    constraints: dict[str, Any] = {
        "name": "score",
        "grammar": "root ::= [1-4]",
        "schema": {"type": "object", "properties": {"b": {}, "a": {}}},
    }
    assert set(constraints) == {field.name for field in fields(Constraint)}
    for name, value in constraints.items():
        yield IDENTITY, CONVERSATION, replace(sampling, constraint=replace(CONSTRAINT, **{name: value}))
    for schema in (None, {}):
        yield IDENTITY, CONVERSATION, replace(sampling, constraint=replace(CONSTRAINT, schema=schema))


def test_keys_tell_requests_apart_by_everything_in_them() -> None:
    keys = [request_key(*request) for request in other_requests()]
    assert len(set(keys)) == len(keys)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
@example("a", '"},{"role":"user","content":"', "b", "")
@example("\U0001f600", "", "\ud83d\ude00", "")
@example("\ud83d", "\ude00", "\ud83d\ude00", "")
def test_texts_never_run_together(a: str, b: str, c: str, d: str) -> None:
    same = request_key(IDENTITY, user(a) + user(b), Sampling()) == request_key(IDENTITY, user(c) + user(d), Sampling())
    assert same == ((a, b) == (c, d))
    same = request_key({"model": a, "revision": b}, [], Sampling()) == request_key(
        {"model": c, "revision": d}, [], Sampling()
    )
    assert same == ((a, b) == (c, d))


# Keeping


def is_answer(text: str) -> bool:
    return bool(text.strip()) and not without_thoughts(text).thinks


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
@given(st.lists(ANY_TEXT.filter(is_answer), min_size=1, max_size=4), st.integers(0, 2**40), st.booleans())
@example(["\ud83d\ude00", "\U0001f600", "\udc00", "\x00", "a\x00b", " a", "\u2028b", "c\r\n", "{[\"'"], 0, True)
@example(["x" * 100_000, "\x00" * 100_000, "\udfff" * 100_000], 5, False)
def test_any_text_is_read_back(tmp_path: Path, texts: list[str], tokens: int, cut: bool) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder, CompletionCache(Path(folder) / "c.sqlite") as cache:
        kept = {str(i): Completion(text, tokens, tokens + 1, cut) for i, text in enumerate(texts)}
        cache.put(list(kept.items()), texts[0])
        assert cache.get(list(kept)) == kept
        assert cache.clear(texts[0]) == len(kept)


def test_every_field_but_the_error_is_kept(path: Path) -> None:
    completion = Completion("text", 1, 2, True, logprobs={"A": -0.1, " A\ud83d": -3.0000000000000004, "": -7})
    defaults = Completion("")
    changed = {
        field.name for field in fields(completion) if getattr(completion, field.name) != getattr(defaults, field.name)
    }
    assert changed == {field.name for field in fields(completion)} - {"error", "cached", "has_thought", "servers"}
    with CompletionCache(path) as cache:
        cache.put([("k", completion)], "m")
    with CompletionCache(path) as cache:
        assert cache.get(["k"]) == {"k": completion}


def test_a_record_without_log_probabilities_is_what_it_was(path: Path) -> None:
    """So that old caches are read, and older versions read new ones."""
    with CompletionCache(path) as cache:
        cache.put(
            [("k", Completion("text", 1, 2, True)), ("l", Completion("text", 1, 2, True, logprobs={"A": -1}))], "m"
        )
    ((first,), (second,)) = statement(path, "SELECT value FROM completions ORDER BY key")
    assert first == b'{"text": "text", "prompt_tokens": 1, "completion_tokens": 2, "cut": true}'
    assert second == first[:-1] + b', "logprobs": {"A": -1}}'
    assert statement(path, "PRAGMA user_version") == [(1,)]


@pytest.mark.parametrize("logprobs", ["[]", "3", '"A"', '{"A": "-1"}', '{"A": null}', '{"A": true}', '{"A": [-1]}'])
def test_log_probabilities_that_are_none_are_not_there(logprobs: str, path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put([("k", Completion("text", logprobs={"A": -1}))], "m")
        statement(path, "UPDATE completions SET value = replace(CAST(value AS TEXT), '{\"A\": -1}', ?)", logprobs)
        assert cache.get(["k"]) == {}
        cache.put([("k", Completion("again"))], "m")
        assert cache.get(["k"]) == {"k": Completion("again")}


@pytest.mark.parametrize("text", ["", " ", "\n\n", "<think>Hm, let", "<think>Hm.</think>\n", "[THINK]Hm."])
def test_what_is_no_answer_is_not_kept_nor_found_in_an_older_cache(text: str, path: Path) -> None:
    with CompletionCache(path) as cache:
        assert cache.put([("k", Completion("old")), ("l", Completion(text))], "m") == {}
        value = json.dumps({"text": text, "prompt_tokens": 1, "completion_tokens": 2, "cut": True}).encode()
        statement(path, "UPDATE completions SET value = ? WHERE key = 'k'", value)
        assert cache.get(["k"]) == {}
        assert cache.put([("k", Completion("new"))], "m") == {}
        assert cache.get(["k"]) == {"k": Completion("new")}


def test_thoughts_in_an_older_cache_are_left_out(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put([("k", Completion("<think>Hm.</think>\n[2, 1]", 1, 2, logprobs={"<": -0.1}))], "m")
        (found,) = cache.get(["k"]).values()
    assert found == Completion("[2, 1]", 1, 2)
    assert found.has_thought


def test_the_first_answer_stays_and_is_told(path: Path) -> None:
    first, second = Completion("first"), Completion("second")
    with CompletionCache(path) as cache:
        assert cache.put([("a", first), ("a", second)], "m") == {}
        assert cache.put([("a", second), ("b", second)], "m") == {"a": first}
        assert cache.get(["a", "b", "c"]) == {"a": first, "b": second}


def test_failures_are_never_kept(path: Path) -> None:
    with CompletionCache(path) as cache:
        assert cache.put([("a", Completion("", error="timed out")), ("b", Completion("yes"))], "m") == {}
        cache.put([("c", Completion("partial", error="cut off"))], "m")
        assert set(cache.get(["a", "b", "c"])) == {"b"}
        cache.put([("a", Completion("now"))], "m")
        assert cache.get(["a"]) == {"a": Completion("now")}


def test_many_keys_are_looked_up_and_only_those_asked_for_are_returned(path: Path) -> None:
    kept = {f"{i:064x}": Completion(str(i)) for i in range(5000)}
    with CompletionCache(path) as cache:
        cache.put(list(kept.items()), "m")
        wanted = [f"{i:064x}" for i in range(4000, 8000)]
        assert cache.get([*wanted, *wanted[:5]]) == {key: kept[key] for key in wanted if key in kept}
        assert cache.get([]) == {}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"text": "x"}',
        b'{"text": 1, "prompt_tokens": 1, "completion_tokens": 1, "cut": false}',
        b'{"text": "x", "prompt_tokens": "1", "completion_tokens": 1, "cut": false}',
        b'{"text": "x", "prompt_tokens": 1, "completion_tokens": 1, "cut": 0}',
        b"[" * 100_000,
        b"1" * 10_000,
        "\x00",
        12,
    ],
    ids=lambda value: repr(value)[:24],
)
def test_an_entry_that_cannot_be_read_is_not_there_and_is_replaced(path: Path, value: object) -> None:
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("old")), ("b", Completion("other"))], "m")
        statement(path, "UPDATE completions SET value = ? WHERE key = 'a'", value)
        assert cache.get(["a", "b"]) == {"b": Completion("other")}
        assert cache.put([("a", Completion("new"))], "m") == {}
        assert cache.get(["a"]) == {"a": Completion("new")}


def test_an_entry_that_is_text_in_bytes_of_no_encoding_is_not_there(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("old"))], "m")
        statement(path, "UPDATE completions SET value = CAST(X'FF7B' AS TEXT)")
        assert cache.get(["a"]) == {}


def test_the_log_is_flushed_with_every_commit(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("x"))], "m")
        connection = cache._connection.current
        assert connection is not None
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_threads_share_a_cache(path: Path) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(50):
                cache.put([(f"{number}-{i}", Completion(f"{number} {i}"))], "m")
                assert cache.get([f"{number}-{i}"]) == {f"{number}-{i}": Completion(f"{number} {i}")}
        except BaseException as fault:
            faults.append(fault)

    with CompletionCache(path) as cache:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert cache.statistics()[0].entries == 200


def test_a_cache_goes_on_working_in_a_forked_process(path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from valueflow.llm.cache import CompletionCache
from valueflow.llm import Completion
cache = CompletionCache(Path(sys.argv[1]))
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
    process = python(script, path)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    with CompletionCache(path) as cache:
        (kept,) = cache.statistics()
        assert kept.entries == 122
    assert statement(path, "PRAGMA integrity_check") == [("ok",)]


# Reading only


def test_reading_makes_nothing(path: Path) -> None:
    with CompletionCache(path, read_only=True) as cache:
        assert cache.get(["a"]) == {}
        assert cache.statistics() == []
        assert cache.size() == 0
        with pytest.raises(io.UnsupportedOperation):
            cache.put([("a", Completion("x"))], "m")
    assert not path.parent.exists()


def test_reading_leaves_nothing_behind(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("x"))], "m")
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with CompletionCache(path, read_only=True) as cache:
        assert cache.get(["a"]) == {"a": Completion("x")}
        with pytest.raises(io.UnsupportedOperation):
            cache.put([("b", Completion("x"))], "m")
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_reader_sees_what_a_writer_adds(path: Path) -> None:
    with CompletionCache(path) as writer:
        writer.put([("a", Completion("x"))], "m")
        with CompletionCache(path, read_only=True) as reader:
            assert set(reader.get(["a", "b"])) == {"a"}
            writer.put([("b", Completion("y"))], "m")
            assert set(reader.get(["a", "b"])) == {"a", "b"}


def test_an_empty_file_has_no_entries_and_is_filled(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    with CompletionCache(path, read_only=True) as cache:
        assert cache.get(["a"]) == {}
    assert path.stat().st_size == 0
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("x"))], "m")
        assert cache.get(["a"]) == {"a": Completion("x")}


AS_ANYONE = """
import json, os, sys
from pathlib import Path
from valueflow.llm.cache import CompletionCache
from valueflow.llm import Completion
from valueflow.run import InputError
path = Path(sys.argv[1])
if os.geteuid() == 0:  # who may write anywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with CompletionCache(path, read_only=True) as cache:
        print(json.dumps(sorted(cache.get(["a", "b"]))))
    with CompletionCache(path) as cache:
        cache.put([("c", Completion("x"))], "m")
except InputError as error:
    print(error)
"""


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """Give a folder that this user, or `nobody` where this user is root, can reach and read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


def told_to_a_reader(path: Path) -> list[str]:
    process = python(AS_ANYONE, path)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return printed.splitlines()


def test_a_folder_that_cannot_be_written_is_read_but_not_added_to(foreign_folder: Path) -> None:
    path = foreign_folder / "c.sqlite"
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("x"))], "m")
    path.chmod(0o444)
    foreign_folder.chmod(0o555)
    before = sorted(file.name for file in foreign_folder.iterdir())
    entries, fault = told_to_a_reader(path)
    assert json.loads(entries) == ["a"]
    assert str(path) in fault
    assert "cannot be written" in fault
    assert "VALUEFLOW_CACHE" in fault
    assert "cache=off" in fault
    assert sorted(file.name for file in foreign_folder.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_read_while_its_owner_writes(foreign_folder: Path) -> None:
    path = foreign_folder / "c.sqlite"
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("x"))], "m")
        if os.geteuid() != 0:
            foreign_folder.chmod(0o555)
        assert json.loads(told_to_a_reader(path)[0]) == ["a"]


def test_a_folder_that_cannot_be_made_is_told(foreign_folder: Path) -> None:
    foreign_folder.chmod(0o555)
    entries, fault = told_to_a_reader(foreign_folder / "deeper" / "c.sqlite")
    assert json.loads(entries) == []
    assert "cannot be written" in fault


# Files that are something else


def damaged(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "text":
        path.write_text("this is no database, only a text of some length\n" * 100)
    elif kind == "other database":
        statement(path, "CREATE TABLE notes (text TEXT)")
    elif kind == "newer layout":
        with CompletionCache(path) as cache:
            cache.put([("a", Completion("x"))], "m")
        statement(path, "PRAGMA user_version = 99")
    else:
        with CompletionCache(path) as cache:
            cache.put([(str(i), Completion("x" * 1000)) for i in range(100)], "m")
        # All but the first page, which alone says that this is a database.
        with path.open("r+b") as stream:
            stream.seek(4096)
            stream.write(b"\x5a" * (path.stat().st_size - 4096))


@pytest.mark.parametrize("kind", ["text", "other database", "newer layout", "damaged pages"])
@pytest.mark.parametrize("read_only", [False, True], ids=["on", "read"])
def test_a_file_that_is_no_cache_is_told_and_can_be_cleared(
    path: Path, kind: str, read_only: bool, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(path, kind)
    before = path.read_bytes()
    with CompletionCache(path, read_only=read_only) as cache:
        with pytest.raises(InputError) as told:
            cache.get(["a", "1", "55"])
        if not read_only:
            with pytest.raises(InputError):
                cache.put([("a", Completion("x"))], "m")
    assert path.read_bytes() == before
    for part in (str(path), "valueflow-cache clear", "cache=off", "VALUEFLOW_CACHE"):
        assert part in str(told.value)
    assert "\n" not in str(told.value)
    if kind == "newer layout":
        assert "layout 99" in str(told.value)
    with CompletionCache(path) as cache:
        if kind != "damaged pages":
            with pytest.raises(InputError):
                cache.clear("m")
        assert cache.clear() == 0
        assert "deleted" in caplog.text
        cache.put([("a", Completion("x"))], "m")
        assert cache.get(["a"]) == {"a": Completion("x")}


def test_a_folder_in_the_files_place_and_a_file_in_the_folders_place_are_told(path: Path) -> None:
    path.mkdir(parents=True)
    for at in (path, Path(__file__) / "llm" / "c.sqlite"):
        with CompletionCache(at) as cache, pytest.raises(InputError, match="cannot be written"):
            cache.get(["a"])


def test_a_disk_that_is_full_is_told_and_takes_nothing_away(path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from valueflow.llm.cache import CompletionCache
from valueflow.llm import Completion
from valueflow.run import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
cache = CompletionCache(Path(sys.argv[1]))
for i in range(100):
    try:
        cache.put([(str(i), Completion("x" * 10_000))], "m")
    except InputError as error:
        print(error)
        break
assert len(cache.get([str(n) for n in range(100)])) == i
print(i)
"""
    process = python(script, path)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    fault, number = printed.splitlines()
    assert str(path) in fault
    assert "cache=off" in fault
    with CompletionCache(path) as cache:
        assert set(cache.get([str(n) for n in range(100)])) == {str(n) for n in range(int(number))}
        cache.put([(str(n), Completion("x" * 10_000)) for n in range(100)], "m")
        assert len(cache.get([str(n) for n in range(100)])) == 100


def test_a_cache_that_another_process_holds_for_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import fcntl, sys
handle = open(sys.argv[1], "w")
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
    monkeypatch.setattr("valueflow.llm.cache.database.SECONDS_TO_WAIT", 0.05)
    path.parent.mkdir(parents=True)
    with CompletionCache(path) as cache:
        process = python(script, path.with_suffix(".lock"), stdin=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="held by another process.*cache=off"):
            cache.put([("a", Completion("x"))], "m")
        process.communicate("")
        cache.put([("a", Completion("x"))], "m")
        assert cache.get(["a"]) == {"a": Completion("x")}


# Looking into it, and clearing


def test_statistics_and_clearing_by_model(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put([(f"a{i}", Completion("x" * 1000)) for i in range(300)], "small")
        cache.put([(f"b{i}", Completion("x" * 1000)) for i in range(2)], "large")
        large, small = cache.statistics()
        assert [(large.model, large.entries), (small.model, small.entries)] == [("large", 2), ("small", 300)]
        assert small.first == small.last <= large.first
        assert 300_000 < small.size < 400_000
        before = cache.size()
        assert before >= 302_000
        assert cache.clear("neither") == 0
        assert cache.clear("small") == 300
        assert cache.size() < before / 4
        assert set(cache.get(["a1", "b1"])) == {"b1"}
        assert cache.clear() == 2
        assert cache.statistics() == []


def test_clearing_what_is_not_there_makes_nothing(path: Path) -> None:
    with CompletionCache(path) as cache:
        assert cache.clear() == 0
    assert not path.parent.exists()


def test_clearing_while_another_process_reads_and_writes(path: Path) -> None:
    with CompletionCache(path) as one, CompletionCache(path) as other:
        one.put([("a", Completion("x"))], "m")
        assert set(other.get(["a"])) == {"a"}
        assert other.clear() == 1
        assert one.get(["a"]) == {}
        one.put([("b", Completion("y"))], "m")
        assert other.get(["b"]) == {"b": Completion("y")}


def test_kept_files_are_readable_by_others_as_any_new_file(path: Path) -> None:
    with CompletionCache(path) as cache:
        cache.put([("a", Completion("x"))], "m")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~umask


# Many processes, and kills

WRITER = """
import random, sys, time
from pathlib import Path
from valueflow.llm.cache import CompletionCache
from valueflow.llm import Completion
path, number, start, n = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
draws = random.Random(number)
time.sleep(max(0, start - time.time()))
cache = CompletionCache(path)
agreed = {}
for i in range(n):
    shared = i % 5 == 0
    key = f"shared-{i}" if shared else f"{number}-{i}"
    mine = Completion(f"{key} from {number} " + "x" * draws.randrange(400), number, i)
    earlier = cache.put([(key, mine)], f"model {number}")
    if shared:
        agreed[key] = earlier.get(key, mine)
    else:
        assert not earlier
    if i % 50 == 0:
        assert cache.get([key]) == {key: agreed[key] if shared else mine}
        again = draws.sample(sorted(agreed), min(20, len(agreed)))
        assert cache.get(again) == {name: agreed[name] for name in again}
cache.close()
print(sorted((key, kept.prompt_tokens) for key, kept in agreed.items()))
"""


@pytest.mark.slow
def test_eight_processes_on_a_new_file_lose_and_spoil_nothing(path: Path) -> None:
    n, writers = 100, 8
    start = time.time() + 1.5
    processes = [python(WRITER, path, number, start, n) for number in range(writers)]
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * writers, ends
    # All saw the same answer to each request they shared, whoever gave it.
    assert len({printed for printed, _ in ends}) == 1
    own = {f"{number}-{i}": number for number in range(writers) for i in range(n) if i % 5}
    shared = [f"shared-{i}" for i in range(0, n, 5)]
    with CompletionCache(path) as cache:
        kept = cache.get([*own, *shared])
        assert sum(of_model.entries for of_model in cache.statistics()) == len(own) + len(shared)
    assert set(kept) == {*own, *shared}
    for key, number in own.items():
        assert kept[key].text.startswith(f"{key} from {number} ")
    assert {kept[key].text.split(" ")[0] for key in shared} == set(shared)
    assert statement(path, "PRAGMA integrity_check") == [("ok",)]


AT_THE_START = """
import sys, time
from pathlib import Path
from valueflow.llm.cache import CompletionCache
from valueflow.llm import Completion
folder, read_only, start = Path(sys.argv[1]), sys.argv[2] == "read", float(sys.argv[3])
for number in range(20):
    path, start = folder / str(number) / "c.sqlite", start + 0.04
    time.sleep(max(0, start - time.time()))
    while True:
        with CompletionCache(path, read_only=read_only) as cache:
            if not read_only:
                cache.put([("a", Completion("x"))], "m")
            if cache.get(["a"]):
                break
"""


@pytest.mark.slow
def test_readers_and_writers_meet_at_files_that_are_being_made(tmp_path: Path) -> None:
    start = time.time() + 1.5
    processes = [python(AT_THE_START, tmp_path, mode, start) for mode in ("on", "on", "read", "read")]
    ends = [process.communicate() for process in processes]
    assert ends == [("", "")] * 4


KILLED = """
import sys
from pathlib import Path
from valueflow.llm.cache import CompletionCache
from valueflow.llm import Completion
cache = CompletionCache(Path(sys.argv[1]))
i = 0
while True:
    cache.put([(f"{sys.argv[2]}-{i}", Completion("x" * 500))], "m")
    print(i, flush=True)
    i += 1
"""


@pytest.mark.parametrize("after", [0, 1, 40])
def test_a_kill_takes_nothing_that_was_kept(path: Path, after: int) -> None:
    processes = [python(KILLED, path, name) for name in ("one", "two")]
    done = {}
    for name, process in zip(("one", "two"), processes, strict=True):
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= after:
                break
        process.send_signal(signal.SIGKILL)
        lines = [*process.stdout]
        process.wait()
        done[name] = int(lines[-1]) if lines and lines[-1].endswith("\n") else after
    with CompletionCache(path, read_only=True) as cache:
        promised = [f"{name}-{i}" for name, last in done.items() for i in range(last + 1)]
        assert set(cache.get(promised)) == set(promised)
    with CompletionCache(path) as cache:
        cache.put([("next", Completion("x"))], "m")
        assert set(cache.get(["next"])) == {"next"}
    assert statement(path, "PRAGMA integrity_check") == [("ok",)]
