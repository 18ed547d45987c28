"""Asking with a cache: what the model is asked, what is cached when, what arrives when."""

import signal
import sqlite3
import subprocess
import sys
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from valueflow.llm import (
    Arrivals,
    CacheMode,
    Client,
    Completion,
    Constraint,
    Conversation,
    Engine,
    LazySequence,
    Message,
    PromptsTooLongError,
    PromptTooLong,
    Sampling,
    ServerModel,
    Stream,
    Usage,
    VllmModel,
    check_startable,
    release,
)
from valueflow.llm.cache import CompletionCache, cache_file, request_key
from valueflow.llm.client import ServerCounts
from valueflow.llm.protocol import one_each
from valueflow.run import InputError

ROOT = Path(__file__).parents[2]
SAMPLING = Sampling(max_tokens=10)


@dataclass(frozen=True)
class Reversing:
    """A model that says the last message backwards; what it is asked and does is noted in `log`, how in `given`."""

    occupies_machine: ClassVar[bool] = False
    log: ClassVar[list[str]] = []
    given: ClassVar[list[Sequence[Sampling]]] = []
    before_each: ClassVar[Callable[[int], None]] = staticmethod(lambda place: None)
    model: str = "reversing"

    def identity(self) -> dict[str, object]:
        return {"engine": "test", "model": self.model}

    def start(self) -> Engine:
        self.log.append("start")
        return ReversingEngine(self.log, self.given, type(self).before_each)


class ReversingEngine:
    """Answers from the last conversation to the first, two at a time."""

    def __init__(self, log: list[str], given: list[Sequence[Sampling]], before_each: Callable[[int], None]) -> None:
        self.log = log
        self.given = given
        self.before_each = before_each

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        return Stream(self.groups(conversations, one_each(sampling, len(conversations))))

    def groups(
        self, conversations: Sequence[Conversation], samplings: Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        self.given.append(samplings)
        for place, conversation in enumerate(conversations):
            if len(conversation[-1]["content"]) > 1000:
                raise PromptTooLong(place, "too many words")
        self.log.extend(conversation[-1]["content"] for conversation in conversations)
        answers = [reversed_(conversation) for conversation in conversations]
        places = list(range(len(answers)))[::-1]
        for pair in [places[start : start + 2] for start in range(0, len(places), 2)]:
            for place in pair:
                self.before_each(place)
            yield [(place, answers[place]) for place in pair]

    def close(self) -> None:
        self.log.append("close")


def reversed_(conversation: Conversation) -> Completion:
    text = conversation[-1]["content"]
    if text.startswith("fail"):
        return Completion("", error="the server was busy")
    return Completion(text[::-1], prompt_tokens=len(text), completion_tokens=2 * len(text))


@pytest.fixture(autouse=True)
def afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    release()
    Reversing.log.clear()
    Reversing.given.clear()
    yield
    release()


def before_each(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    monkeypatch.setattr(Reversing, "before_each", staticmethod(act))


def asking(*texts: str) -> list[list[Message]]:
    return [[{"role": "user", "content": text}] for text in texts]


def key(text: str) -> str:
    return request_key(Reversing().identity(), asking(text)[0], SAMPLING)


def ignore(_: Arrivals) -> None:
    pass


def ask(
    model: Reversing,
    conversations: Sequence[Conversation],
    sampling: Sampling | Sequence[Sampling],
    *,
    cache: CacheMode,
    arrived: Callable[[Arrivals], object] = ignore,
) -> tuple[list[Completion], Usage]:
    """Have a batch answered by a client of its own, whose usage counts nothing else."""
    client = Client(model, cache)
    completions: dict[int, Completion] = {}
    with client.stream(conversations, sampling, most_too_long=0) as answers:
        for arrivals in answers.groups:
            completions.update(arrivals)
            arrived(arrivals)
    return [completions[index] for index in range(len(conversations))], client.usage


def kept(*texts: str) -> dict[str, Completion]:
    with CompletionCache(cache_file(), read_only=True) as cache:
        found = cache.get([key(text) for text in texts])
    return {text: found[key(text)] for text in texts if key(text) in found}


def texts_of(completions: Sequence[Completion]) -> list[str]:
    return [completion.text for completion in completions]


@pytest.mark.parametrize("cache", ["off", "read", "on"])
def test_answers_stand_in_order_and_equal_requests_are_asked_once(cache: CacheMode) -> None:
    told: list[tuple[int, Completion]] = []
    conversations = asking("one", "two", "one", "three", "one", "two")
    completions, usage = ask(Reversing(), conversations, SAMPLING, cache=cache, arrived=told.extend)
    assert completions == [reversed_(conversation) for conversation in conversations]
    assert Reversing.log == ["start", "one", "two", "three"]
    assert sorted(place for place, _ in told) == list(range(6))
    assert all(completions[place] == completion for place, completion in told)
    assert (usage.calls, usage.cache_hits, usage.repeated, usage.failed) == (3, 0, 3, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (11, 22)
    assert usage.seconds > 0
    assert cache_file().exists() == (cache == "on")
    assert cache_file().parent.exists() == (cache == "on")


@pytest.mark.parametrize("cache", ["read", "on"])
def test_a_run_whose_answers_are_all_kept_needs_no_engine(cache: CacheMode) -> None:
    conversations = asking("one", "two", "one")
    first, _ = ask(Reversing(), conversations, SAMPLING, cache="on")
    release()
    Reversing.log.clear()
    told: list[list[tuple[int, Completion]]] = []
    again, usage = ask(
        Reversing(), conversations, SAMPLING, cache=cache, arrived=lambda arrivals: told.append(list(arrivals))
    )
    assert again == first
    assert Reversing.log == []
    assert [sorted(place for place, _ in arrivals) for arrivals in told] == [[0, 1, 2]]
    assert usage == Usage(cache_hits=2, repeated=1, cached_prompt_tokens=6, cached_completion_tokens=12)


def test_only_what_is_missing_is_asked_and_kept_answers_are_told_first() -> None:
    ask(Reversing(), asking("b", "d"), SAMPLING, cache="on")
    Reversing.log.clear()
    told: list[int] = []
    completions, usage = ask(
        Reversing(),
        asking("a", "b", "c", "d", "a", "b"),
        SAMPLING,
        cache="on",
        arrived=lambda arrivals: told.extend(place for place, _ in arrivals),
    )
    assert texts_of(completions) == ["a", "b", "c", "d", "a", "b"]
    assert Reversing.log == ["a", "c"]
    assert sorted(told[:3]) == [1, 3, 5]
    assert sorted(told[3:]) == [0, 2, 4]
    assert (usage.calls, usage.cache_hits, usage.repeated) == (2, 2, 2)
    assert (usage.cached_prompt_tokens, usage.cached_completion_tokens) == (2, 4)


def test_cache_off_uses_nothing_and_read_adds_nothing() -> None:
    ask(Reversing(), asking("a"), SAMPLING, cache="on")
    for cache, asked in (("off", ["a", "b"]), ("read", ["b"])):
        Reversing.log.clear()
        mode: Literal["off", "read"] = "off" if cache == "off" else "read"
        ask(Reversing(), asking("a", "b"), SAMPLING, cache=mode)
        assert Reversing.log == asked
    assert set(kept("a", "b")) == {"a"}


def test_other_models_and_other_sampling_have_answers_of_their_own() -> None:
    for model, sampling in (
        (Reversing(), SAMPLING),
        (Reversing("other"), SAMPLING),
        (Reversing(), Sampling(max_tokens=11)),
    ):
        _, usage = ask(model, asking("a"), sampling, cache="on")
        assert (usage.calls, usage.cache_hits) == (1, 0)


def letters(options: str) -> Sampling:
    return Sampling(max_tokens=4, constraint=Constraint("option", f"root ::= [{options}]"))


def test_each_conversation_is_asked_for_and_kept_with_its_own_sampling() -> None:
    ask(Reversing(), asking("a", "b"), SAMPLING, cache="on")
    told: list[tuple[int, Completion]] = []
    texts = ("a", "a", "b", "c", "a", "c", "b")
    samplings = [letters("AB"), SAMPLING, letters("A-D"), letters("AB"), letters("AB"), letters("A-D"), SAMPLING]
    completions, usage = ask(Reversing(), asking(*texts), samplings, cache="on", arrived=told.extend)
    assert completions == [reversed_(conversation) for conversation in asking(*texts)]
    assert sorted(told) == list(enumerate(completions))
    # What was kept when one sampling was given for all still serves; equal conversations are apart by theirs.
    assert (usage.calls, usage.cache_hits, usage.repeated) == (4, 2, 1)
    assert Reversing.log == ["start", "a", "b", "a", "b", "c", "c"]
    assert Reversing.given == [[SAMPLING] * 2, [letters("AB"), letters("A-D"), letters("AB"), letters("A-D")]]
    for sampling, kept_texts in ((letters("AB"), ["a", "c"]), (letters("A-D"), ["b", "c"])):
        assert ask(Reversing(), asking(*kept_texts), sampling, cache="read")[1].cache_hits == 2


def test_the_index_of_a_long_prompt_is_the_callers_where_samplings_differ() -> None:
    ask(Reversing(), asking("a"), letters("AB"), cache="on")
    long = "x" * 1001
    with pytest.raises(PromptsTooLongError) as told:
        ask(Reversing(), asking("a", "a", long), [letters("AB"), SAMPLING, letters("AB")], cache="on")
    assert told.value.index == 2


def test_more_or_fewer_samplings_than_conversations_are_told_before_anything_is_asked() -> None:
    for n in (0, 1, 3):
        with pytest.raises(ValueError, match=f"{n} samplings for 2 conversations"):
            ask(Reversing(), asking("a", "b"), [SAMPLING] * n, cache="on")
    assert Reversing.log == []
    assert not cache_file().exists()


def test_answers_are_on_the_disk_before_anyone_is_told() -> None:
    texts = ["a", "b", "c", "d", "e"]
    seen: list[set[str]] = []
    ask(Reversing(), asking(*texts), SAMPLING, cache="on", arrived=lambda _: seen.append(set(kept(*texts))))
    assert seen == [{"d", "e"}, {"b", "c", "d", "e"}, {"a", "b", "c", "d", "e"}]


def test_a_kill_takes_no_answer_that_had_arrived() -> None:
    script = """
import os, signal
from tests.llm.test_client import *
def kill(place):
    if place == 2:
        os.kill(os.getpid(), signal.SIGKILL)
Reversing.before_each = staticmethod(kill)
ask(Reversing(), asking("a", "b", "c", "d", "e", "f"), SAMPLING, cache="on")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert set(kept(*"abcdef")) == {"e", "f"}
    completions, usage = ask(Reversing(), asking(*"abcdef"), SAMPLING, cache="on")
    assert texts_of(completions) == [*"abcdef"]
    assert (usage.calls, usage.cache_hits) == (4, 2)


def test_failures_are_counted_and_asked_again() -> None:
    for _ in range(2):
        told: list[tuple[int, Completion]] = []
        completions, usage = ask(Reversing(), asking("fail", "good", "fail"), SAMPLING, cache="on", arrived=told.extend)
        assert [completion.error for completion in completions] == ["the server was busy", "", "the server was busy"]
        assert usage.failed == 1
        assert sorted(place for place, _ in told) == [0, 1, 2]
    assert (usage.calls, usage.cache_hits, usage.repeated) == (1, 1, 1)


def test_an_answer_that_another_process_kept_meanwhile_is_the_one_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    def other_process(_: int) -> None:
        with CompletionCache(cache_file()) as cache:
            cache.put([(key("abc"), Completion("theirs", 1, 1))], "reversing")

    before_each(monkeypatch, other_process)
    told: list[tuple[int, Completion]] = []
    completions, usage = ask(Reversing(), asking("abc", "xyz"), SAMPLING, cache="on", arrived=told.extend)
    assert texts_of(completions) == ["theirs", "zyx"]
    assert sorted(told) == list(enumerate(completions))
    assert (usage.calls, usage.completion_tokens) == (2, 12)
    again, _ = ask(Reversing(), asking("abc", "xyz"), SAMPLING, cache="read")
    assert again == completions


def test_a_prompt_that_is_too_long_is_named_by_the_callers_index() -> None:
    ask(Reversing(), asking("kept"), SAMPLING, cache="on")
    long = "x" * 1001
    with pytest.raises(PromptsTooLongError) as told:
        ask(Reversing(), asking("kept", "a", "a", "b", long, "c", long), SAMPLING, cache="on")
    assert told.value.index == 4
    assert told.value.detail == "too many words"
    ask(Reversing(), asking("after"), SAMPLING, cache="on")
    assert Reversing.log == ["start", "kept", "after"]


def test_an_engine_that_breaks_is_closed_and_its_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(place: int) -> None:
        if place == 0:
            raise RuntimeError("out of memory")

    before_each(monkeypatch, break_down)
    with pytest.raises(RuntimeError, match="out of memory"):
        ask(Reversing(), asking("a", "b", "c"), SAMPLING, cache="on")
    assert Reversing.log == ["start", "a", "b", "c", "close"]
    before_each(monkeypatch, lambda place: None)
    Reversing.log.clear()
    completions, usage = ask(Reversing(), asking("a", "b", "c"), SAMPLING, cache="on")
    assert texts_of(completions) == ["a", "b", "c"]
    assert Reversing.log == ["start", "a"]
    assert usage.cache_hits == 2


def change_database(sql: str) -> None:
    connection = sqlite3.connect(cache_file())
    with connection:
        connection.execute(sql)
    connection.close()


def test_a_write_that_fails_is_warned_of_once_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("valueflow.llm.cache.engine.SECONDS_TO_NEXT_ATTEMPT", 0.0)

    def lose_the_table(place: int) -> None:
        if place == 3:
            change_database("ALTER TABLE completions RENAME TO gone")

    before_each(monkeypatch, lose_the_table)
    told: list[tuple[int, Completion]] = []
    completions, usage = ask(Reversing(), asking(*"abcdef"), SAMPLING, cache="on", arrived=told.extend)
    assert texts_of(completions) == [*"abcdef"]
    assert sorted(place for place, _ in told) == list(range(6))
    assert usage.calls == 6
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "not cached" in record.getMessage()
    assert str(cache_file()) in record.getMessage()
    change_database("ALTER TABLE gone RENAME TO completions")
    assert set(kept(*"abcdef")) == {"e", "f"}


@pytest.mark.parametrize("pause", [0.0, 3600.0])
def test_what_could_not_be_written_is_written_later(monkeypatch: pytest.MonkeyPatch, pause: float) -> None:
    monkeypatch.setattr("valueflow.llm.cache.engine.SECONDS_TO_NEXT_ATTEMPT", pause)

    def lose_and_find(place: int) -> None:
        if place == 5:
            change_database("ALTER TABLE completions RENAME TO gone")
        if place == 2:
            change_database("ALTER TABLE gone RENAME TO completions")

    before_each(monkeypatch, lose_and_find)
    told: list[int] = []
    ask(
        Reversing(),
        asking(*"abcdef"),
        SAMPLING,
        cache="on",
        arrived=lambda arrivals: told.extend(place for place, _ in arrivals),
    )
    assert sorted(told) == list(range(6))
    assert texts_of(list(kept(*"abcdef").values())) == [*"abcdef"]


def test_a_cache_that_is_lost_between_batches_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("valueflow.llm.cache.engine.SECONDS_TO_NEXT_ATTEMPT", 0.0)
    client = Client(Reversing(), "on")

    def asked(*texts: str) -> list[str]:
        return texts_of(client.ask(asking(*texts), SAMPLING, title="t", unit="u", progress=False))

    assert asked("a") == ["a"]
    change_database("ALTER TABLE completions RENAME TO gone")
    assert asked("a", "b") == ["a", "b"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert ["not looked up" in record.getMessage() for record in caplog.records] == [True, False]
    change_database("ALTER TABLE gone RENAME TO completions")
    assert asked("c") == ["c"]
    assert set(kept(*"abc")) == {*"abc"}
    assert Reversing.log == ["start", "a", "a", "b", "c"]


def test_a_disk_that_fills_up_does_not_end_the_run() -> None:
    script = """
import resource
from tests.llm.test_client import *
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
texts = [str(i) * 300 for i in range(200)]
completions, usage = ask(Reversing(), asking(*texts), SAMPLING, cache="on")
assert texts_of(completions) == [text[::-1] for text in texts]
print(usage.calls)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "200\n"
    assert len(done.stderr.splitlines()) == 1
    assert "not cached" in done.stderr
    with CompletionCache(cache_file(), read_only=True) as cache:
        (of_model,) = cache.statistics()
    assert 0 < of_model.entries < 200


def test_a_cache_that_cannot_be_used_is_told_before_the_engine_starts() -> None:
    cache_file().parent.mkdir()
    cache_file().write_text("no database at all, just a text " * 100)
    modes: list[CacheMode] = ["on", "read"]
    for cache in modes:
        with pytest.raises(InputError, match="valueflow-cache clear"):
            ask(Reversing(), asking("a"), SAMPLING, cache=cache)
    assert Reversing.log == []
    assert texts_of(ask(Reversing(), asking("a"), SAMPLING, cache="off")[0]) == ["a"]


def test_no_requests_need_no_engine() -> None:
    def never(_: object) -> None:
        raise AssertionError

    assert ask(Reversing(), [], SAMPLING, cache="on", arrived=never) == ([], Usage())
    assert Reversing.log == []


def test_hostile_texts_pass_through() -> None:
    texts = ["\ud83d\ude00", "\ude00\ud83d", "\U0001f600", "\x00", "", "{}", "\r\n", "é" * 999]
    for _ in range(2):
        completions, _ = ask(Reversing(), asking(*texts), SAMPLING, cache="on")
        assert texts_of(completions) == [text[::-1] for text in texts]


def test_usage_counts_what_has_arrived_so_far() -> None:
    ask(Reversing(), asking("b"), SAMPLING, cache="on")
    client = Client(Reversing(), "on")
    counted: list[tuple[int, Usage]] = []
    for arrivals in client.stream(asking("a", "b", "fail", "c", "a"), SAMPLING).groups:
        counted.append((len(arrivals), client.usage))
    assert [n for n, _ in counted] == [1, 2, 2]
    assert [(one.cache_hits, one.calls, one.failed, one.prompt_tokens) for _, one in counted] == [
        (1, 0, 0, 0),
        (1, 2, 1, 1),
        (1, 3, 1, 2),
    ]
    assert replace(counted[-1][1], seconds=client.usage.seconds) == client.usage
    # A client adds its batches up.
    list(client.stream(asking("b", "b", "new"), SAMPLING))
    usage = client.usage
    assert (usage.cache_hits, usage.calls, usage.repeated, usage.failed) == (2, 4, 2, 1)
    assert usage.seconds > counted[-1][1].seconds


def test_a_stream_that_is_left_cancels_the_batch_and_the_engine_runs_on() -> None:
    for _ in Client(Reversing(), "on").stream(asking(*"abcdef"), SAMPLING):
        break
    assert set(kept(*"abcdef")) == {"e", "f"}
    ask(Reversing(), asking("g"), SAMPLING, cache="on")
    assert [entry for entry in Reversing.log if len(entry) > 1] == ["start"]


def test_usage_adds_up() -> None:
    one = Usage(1, 2, 3, 4, 5, 60, 7, 8, 1.5, 9)
    other = Usage(10, 20, 30, 40, 50, 600, 70, 80, 2.5, 90)
    both = one + other
    assert both == Usage(11, 22, 33, 44, 55, 660, 77, 88, 4.0, 99)
    assert sum([one, other], Usage()) == both
    assert both.tokens_per_second == 165
    assert Usage(completion_tokens=5).tokens_per_second == 0
    figures = both.as_dict()
    # Servers are counted only where there are several.
    assert set(figures) == {field.name for field in fields(Usage)} - {"servers"} | {"tokens_per_second"}
    two = Usage(servers={"a": ServerCounts(1, 2)}) + Usage(servers={"a": ServerCounts(3), "b": ServerCounts(5, 7)})
    assert two.as_dict()["servers"] == {"a": {"calls": 4, "failed": 2}, "b": {"calls": 5, "failed": 7}}
    assert (figures["calls"], figures["completion_tokens"], figures["tokens_per_second"]) == (11, 660, 165)


def test_what_is_noted_beside_a_progress_bar() -> None:
    assert Usage().note == "0 calls, 0 cached"
    assert Usage(calls=1234, cache_hits=5, completion_tokens=30_000, seconds=2.0).note == (
        "1,234 calls, 5 cached, 15,000 tokens/s"
    )


@dataclass(frozen=True)
class Lacking:
    """A model whose engine is not installed."""

    occupies_machine: ClassVar[bool] = True

    def identity(self) -> dict[str, object]:
        return {"engine": "none", "model": "lacking"}

    def start(self) -> Engine:
        raise InputError("its engine is not installed")

    def check_startable(self) -> None:
        raise InputError("its engine is not installed")


def test_what_an_engine_lacks_is_said_at_once_unless_cached_answers_may_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path))
    for cache in ("off", "read", "on"):
        with pytest.raises(InputError, match="not installed"):
            check_startable(Lacking(), cache)  # type: ignore[arg-type]
    with CompletionCache(cache_file()) as completions:
        completions.put([("key", Completion("text"))], "lacking")
    check_startable(Lacking(), "on")
    with pytest.raises(InputError, match="not installed"):
        check_startable(Lacking(), "off")


def test_engines_know_at_once_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="vLLM, which is not installed"):
        check_startable(VllmModel(model="m"), "off")
    with pytest.raises(InputError, match="NO_SUCH_KEY is not set"):
        check_startable(ServerModel(base_url="http://localhost:1/v1", model="m", api_key_env="NO_SUCH_KEY"), "off")


class Watched(list[Message]):
    """A conversation that weak references may refer to."""


@pytest.mark.parametrize("cache", ["off", "on"])
def test_prompts_are_worded_as_they_are_asked(cache: CacheMode) -> None:
    worded = count()
    held: weakref.WeakValueDictionary[int, Watched] = weakref.WeakValueDictionary()
    most = 0

    def word(index: int) -> Conversation:
        nonlocal most
        conversation = Watched(asking(f"question {index // 2}")[0])
        held[next(worded)] = conversation
        most = max(most, len(held))
        return conversation

    completions, usage = ask(Reversing(), LazySequence(200, word), SAMPLING, cache=cache)

    assert texts_of(completions) == [f"question {index // 2}"[::-1] for index in range(200)]
    assert (usage.calls, usage.repeated) == (100, 100)
    assert most < 5
