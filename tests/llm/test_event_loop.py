"""Asynchronous batches for callers that are not."""

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from valueflow.llm import Completion
from valueflow.llm.engines.event_loop import EventLoop


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    made = EventLoop("test")
    yield made
    made.close()


async def numbered(index: int) -> Completion:
    await asyncio.sleep(random.Random(index).random() / 100)
    return Completion(str(index))


def test_each_completion_arrives_once_as_soon_as_it_is_ready(loop: EventLoop) -> None:
    arrived = list(loop.stream(200, numbered, 30))
    assert sorted(index for index, _ in arrived) == list(range(200))
    assert all(completion.text == str(index) for index, completion in arrived)
    assert [index for index, _ in arrived] != list(range(200)), "they come as they are ready"


def test_an_empty_batch_is_no_batch(loop: EventLoop) -> None:
    assert list(loop.stream(0, numbered, 5)) == []


@pytest.mark.parametrize("concurrency", [1, 7])
@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_slot_opens_only_when_the_consumer_comes_back(loop: EventLoop, concurrency: int, one_by_one: bool) -> None:
    begun: list[int] = []

    async def complete(index: int) -> Completion:
        begun.append(index)
        await asyncio.sleep(0)
        return Completion("")

    persisted, most = 0, 0
    stream = loop.stream(100, complete, concurrency)
    for arrivals in ([pair] for pair in stream) if one_by_one else stream.groups:
        if persisted % 10 == 0:
            time.sleep(0.002)  # whatever could start without being allowed to has started now
        most = max(most, len(begun) - persisted)
        persisted += len(arrivals)
    assert persisted == 100
    assert most == concurrency


def test_what_one_raises_ends_the_others(loop: EventLoop) -> None:
    ended: list[int] = []

    async def complete(index: int) -> Completion:
        if index == 3:
            raise ValueError("no")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(index)
            raise
        return Completion("")

    with pytest.raises(ValueError, match="no"):
        list(loop.stream(10, complete, 5))
    # The fifth may not have begun.
    assert sorted(ended) in ([0, 1, 2], [0, 1, 2, 4])
    assert len(list(loop.stream(5, numbered, 5))) == 5


def test_what_has_arrived_before_a_failure_is_still_passed_on(loop: EventLoop) -> None:
    async def complete(index: int) -> Completion:
        if index == 3:
            raise ValueError("no")
        return Completion("")

    arrived: list[int] = []
    with pytest.raises(ValueError, match="no"):
        arrived.extend(index for index, _ in loop.stream(10, complete, 1))
    assert arrived == [0, 1, 2]


@pytest.mark.parametrize("way", ["break", "raise", "close"])
def test_leaving_a_stream_ends_the_batch_and_not_the_loop(loop: EventLoop, way: str) -> None:
    asked: list[int] = []
    ended: list[int] = []

    async def complete(index: int) -> Completion:
        asked.append(index)
        if index:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append(index)
                raise
        return Completion("")

    def leave() -> None:
        stream = loop.stream(1000, complete, 3)
        for _ in stream:
            if way == "break":
                break
            if way == "raise":
                raise KeyboardInterrupt
            stream.close()

    with pytest.raises(KeyboardInterrupt) if way == "raise" else nullcontext():
        leave()
    assert set(asked) <= {0, 1, 2}
    assert sorted(ended) == sorted(set(asked) - {0})
    assert len(list(loop.stream(5, numbered, 5))) == 5


def test_it_works_where_another_loop_runs(loop: EventLoop) -> None:
    async def notebook() -> list[tuple[int, Completion]]:
        return list(loop.stream(3, numbered, 3))

    assert len(asyncio.run(notebook())) == 3


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    made = EventLoop("test")
    assert threading.active_count() == before + 1
    made.close()
    made.close()
    assert threading.active_count() == before


def test_a_stream_may_be_left_after_the_loop_is_closed() -> None:
    made = EventLoop("test")
    stream = made.stream(10, numbered, 2)
    next(stream.groups)
    made.close()
    stream.close()


FORKING = """
import os, sys
from tests.llm.test_event_loop import EventLoop, numbered
loop = EventLoop("test")
assert len(list(loop.stream(3, numbered, 3))) == 3
if os.fork() == 0:
    sys.exit()
assert os.wait()[1] == 0
assert len(list(loop.stream(3, numbered, 3))) == 3
"""


def test_a_forked_process_ends_although_its_loop_s_thread_is_its_parent_s() -> None:
    subprocess.run([sys.executable, "-c", FORKING], cwd=Path(__file__).parents[2], check=True, timeout=60)
