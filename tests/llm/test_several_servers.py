"""One model behind several servers: each gets its share, a failing one is set aside, nothing is lost or asked twice."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command import ROOT, environment, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import (
    Answer,
    Call,
    FaultServer,
    Reply,
    delayed,
    echo,
    model_list,
    permutation,
    refusal,
)
from valueflow.llm import Client, Completion, Sampling, ServerModel, release
from valueflow.llm.engines.server import balance
from valueflow.llm.engines.server.balance import Balance
from valueflow.run import InputError


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a server that was set aside be tried again before long."""
    monkeypatch.setattr(balance, "FIRST_PAUSE", 0.1)
    yield
    release()


# ---- Who gets the next call


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_least_loaded_server_is_asked_and_none_beyond_its_most() -> None:
    load = Balance(3, most_at_once=2)
    chosen = []
    for _ in range(6):
        place = load.choose()
        assert place is not None
        load.begin(place)
        chosen.append(place)
    assert chosen == [0, 1, 2, 0, 1, 2]
    assert load.choose() is None
    load.leave(1)
    assert load.choose() == 1


def test_a_server_that_fails_is_set_aside_longer_each_time_and_tried_with_one_call() -> None:
    clock = Clock()
    load = Balance(2, most_at_once=9, clock=clock)
    assert load.failed(0) == pytest.approx(0.1)
    # Calls that were under way when it failed say nothing new.
    assert load.failed(0) is None
    assert load.choose() == 1
    assert load.seconds_to_next() == pytest.approx(0.1)
    clock.now = 0.11
    assert load.choose() == 0
    load.begin(0)
    assert load.choose() == 1
    assert load.seconds_to_next() is None
    load.leave(0)
    assert load.failed(0) == pytest.approx(0.2)
    clock.now = 0.5
    load.begin(0)
    assert load.answered(0)
    load.leave(0)
    assert not load.answered(0)
    assert load.failed(0) == pytest.approx(0.1)
    for _ in range(20):
        clock.now += 100
        load.failed(0)
    assert load.failed(0) is None
    assert load.seconds_to_next() == 60


@given(
    events=st.lists(st.tuples(st.sampled_from(["begin", "answer", "fail", "wait"]), st.integers(0, 3)), max_size=80),
    n=st.integers(1, 4),
    most=st.integers(1, 3),
)
def test_no_server_is_overloaded_or_asked_while_it_is_aside(events: list[tuple[str, int]], n: int, most: int) -> None:
    clock = Clock()
    load = Balance(n, most, clock=clock)
    under_way: list[int] = []
    aside_until = [0.0] * n
    for event, number in events:
        if event == "wait":
            clock.now += number * 0.1
        elif event == "begin":
            place = load.choose()
            if place is None:
                assert all(under_way.count(own) >= 1 or aside_until[own] > clock.now for own in range(n))
                continue
            assert under_way.count(place) < most
            assert aside_until[place] <= clock.now
            load.begin(place)
            under_way.append(place)
        elif under_way:
            place = under_way.pop(number % len(under_way))
            load.leave(place)
            if event == "answer":
                load.answered(place)
                aside_until[place] = 0.0
            elif (pause := load.failed(place)) is not None:
                aside_until[place] = clock.now + pause


# ---- Asked over HTTP

N = 120


def questions(n: int = N) -> list[Any]:
    return [[{"role": "user", "content": f"question {number}"}] for number in range(n)]


def ask(*servers: FaultServer | str, n: int = N, **settings: Any) -> tuple[list[Completion], dict[str, Any]]:
    urls = [server if isinstance(server, str) else server.url for server in servers]
    given = {"base_url": urls, "model": "m", "concurrency": 4, "timeout": 2, **settings}
    client = Client(ServerModel(**given), "off")
    completions = client.ask(questions(n), Sampling(), title="", unit="", progress=False)
    return completions, client.usage.as_dict()


def said(completions: list[Completion]) -> list[str]:
    assert [completion.error for completion in completions] == [""] * len(completions)
    return [completion.text for completion in completions]


def expected(n: int = N) -> list[str]:
    return [f"question {number}" for number in range(n)]


def test_a_slow_server_gets_less_and_nothing_is_asked_twice() -> None:
    with FaultServer(delayed(echo, 0.4)) as slow, FaultServer(echo) as fast:
        completions, usage = ask(slow, fast)
    assert said(completions) == expected()
    shares = len(slow.calls), len(fast.calls)
    assert sum(shares) == N
    assert 4 <= shares[0] < shares[1] / 2
    assert max(slow.most_at_once, fast.most_at_once) <= 4
    assert Counter(call.digest for call in [*slow.calls, *fast.calls]).most_common(1)[0][1] == 1
    assert usage["servers"] == {
        slow.url: {"calls": shares[0], "failed": 0},
        fast.url: {"calls": shares[1], "failed": 0},
    }
    assert (usage["calls"], usage["failed"]) == (N, 0)


def dying(answer: Answer, after: int, how: Reply) -> Answer:
    return lambda call: answer(call) if call.number < after else how


@pytest.mark.parametrize("how", [Reply(how="drop"), refusal(503, "shutting down"), Reply(b"<html>"), Reply(how="hang")])
def test_a_server_that_dies_half_way_loses_nothing(how: Reply, caplog: pytest.LogCaptureFixture) -> None:
    with (
        FaultServer(dying(delayed(echo, 0.01), 20, how)) as mortal,
        FaultServer(delayed(echo, 0.01)) as other,
        caplog.at_level(logging.WARNING),
    ):
        completions, usage = ask(mortal, other, timeout=0.5)
    assert said(completions) == expected()
    # What the dying one has answered is not asked of the other one.
    answered = {call.digest for call in mortal.calls if call.number < 20}
    assert len(answered) == 20
    assert not answered & {call.digest for call in other.calls}
    assert len(other.calls) == len({call.digest for call in other.calls}) == N - 20
    assert usage["servers"][mortal.url]["calls"] == 20
    assert usage["servers"][mortal.url]["failed"] >= 1
    assert usage["servers"][other.url] == {"calls": N - 20, "failed": 0}
    assert f"{mortal.url} is set aside for 0 s" in caplog.text


def test_a_server_that_comes_back_gets_calls_again(caplog: pytest.LogCaptureFixture) -> None:
    def ill(call: Call) -> Reply:
        return Reply(how="drop") if 5 <= call.number < 7 else echo(call)

    with FaultServer(ill) as patient, FaultServer(delayed(echo, 0.03)) as other, caplog.at_level(logging.INFO):
        completions, usage = ask(patient, other, n=300)
    assert said(completions) == expected(300)
    assert usage["servers"][patient.url]["calls"] > 5
    assert f"{patient.url} answers again" in caplog.text


@pytest.mark.slow
def test_a_server_that_is_not_there_at_the_start_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    with FaultServer(echo) as gone:
        address = gone.url
    with FaultServer(echo, models=model_list("only")) as there, caplog.at_level(logging.WARNING):
        completions, _ = ask(address, there, n=10, model=None, max_retries=2)
        assert said(completions) == expected(10)
        assert {call.body["model"] for call in there.calls} == {"only"}
        assert f"{address} is set aside" in caplog.text
    with pytest.raises(InputError, match="is the server running"):
        ask(address, address.replace("127.0.0.1", "localhost"), n=10, max_retries=0)


def test_all_have_failed_once_each_has_failed_so_often_since_its_last_answer() -> None:
    now = [0.0]
    balance = Balance(2, 4, clock=lambda: now[0])
    for place in (0, 1, 0, 1):
        assert not balance.all_failed(2)
        now[0] += 100
        balance.failed(place)
    assert balance.all_failed(2)
    balance.answered(0)
    assert not balance.all_failed(1)


def test_when_all_have_gone_the_run_ends_in_one_line() -> None:
    dies = dying(echo, 3, Reply(how="drop"))
    with (
        FaultServer(dies) as first,
        FaultServer(dies) as second,
        pytest.raises(InputError, match="have each failed 2 times in a row .connection dropped."),
    ):
        ask(first, second, max_retries=1)


def test_servers_that_list_different_models_need_a_name() -> None:
    with FaultServer(models=model_list("a")) as first, FaultServer(models=model_list("b")) as second:
        model = ServerModel(base_url=[first.url, second.url])
        with pytest.raises(InputError, match="lists 2 models; choose one with llm.model=NAME: a, b"):
            model.identity()


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ([], "is an empty list"),
        (["http://a/v1", "http://a/v1/"], "names http://a/v1 twice"),
        (["http://a/v1", "b:8000"], "'b:8000' is no address of a server"),
        ([3], "is no URL"),
    ],
)
def test_lists_that_are_none_of_servers_are_refused(urls: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServerModel(base_url=urls, model="m")


def test_which_servers_there_are_is_no_part_of_the_identity() -> None:
    one, other = (ServerModel(base_url=[url], model="m") for url in ("http://a/v1", "http://b/v1"))
    assert one.identity() == other.identity()
    assert ServerModel(base_url="http://a/v1", model="m").identity()["base_url"] == "http://a/v1"


@pytest.mark.slow
def test_rankings_are_those_of_one_server_and_the_cache_serves_all(tmp_path: Path) -> None:
    def evaluate(folder: str, *urls: str, cache: str) -> dict[str, Any]:
        servers = f"llm.base_url=[{','.join(urls)}]" if len(urls) > 1 else f"llm.base_url={urls[0]}"
        arguments = ("judge=llm", "value=benevolence", "intensity=2", "llm=openai", "llm.model=fault", servers)
        done = run_app(
            ROOT / "evaluate.py",
            *(*arguments, "llm.timeout=2", "llm.concurrency=2", f"hydra.run.dir={folder}", "progress=false"),
            folder=tmp_path,
            env=environment(tmp_path / cache),
        )
        succeeded(done)
        return dict(summary_in(tmp_path / folder)["judging"])

    mortal = dying(permutation, 5, Reply(how="drop"))
    with FaultServer(permutation) as one, FaultServer(mortal) as first, FaultServer(permutation) as second:
        evaluate("one", one.url, cache="a")
        judging = evaluate("two", first.url, second.url, cache="b")
        again = evaluate("again", second.url, one.url, cache="b")
    assert (tmp_path / "one" / "rankings.csv").read_bytes() == (tmp_path / "two" / "rankings.csv").read_bytes()
    assert sum(counts["calls"] for counts in judging["servers"].values()) == judging["calls"] == 24
    assert judging["servers"][first.url]["calls"] == 5
    assert (again["calls"], again["cache_hits"]) == (0, 24)
