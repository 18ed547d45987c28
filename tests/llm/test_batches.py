"""Asynchronous batches for callers that are not."""

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence

import pytest

from valueflow.llm import Completion
from valueflow.llm.batches import BatchLoop


@pytest.fixture
def loop() -> Iterator[BatchLoop]:
    made = BatchLoop("test")
    yield made
    made.close()


async def numbered(index: int) -> Completion:
    await asyncio.sleep(random.Random(index).random() / 100)
    return Completion(str(index))


def ignore(arrivals: Sequence[tuple[int, Completion]]) -> None:
    pass


def test_results_stand_in_order_and_are_told_once_in_the_caller_s_thread(loop: BatchLoop) -> None:
    told: list[tuple[int, Completion]] = []
    threads = set()

    def arrived(arrivals: Sequence[tuple[int, Completion]]) -> None:
        threads.add(threading.current_thread())
        told.extend(arrivals)

    completions = loop.complete_all(200, numbered, 30, arrived)
    assert [completion.text for completion in completions] == [str(index) for index in range(200)]
    assert sorted(index for index, _ in told) == list(range(200))
    assert [index for index, _ in told] != list(range(200)), "they come as they are ready"
    assert threads == {threading.current_thread()}


def test_an_empty_batch_is_no_batch(loop: BatchLoop) -> None:
    assert loop.complete_all(0, numbered, 5, ignore) == []


@pytest.mark.parametrize("concurrency", [1, 7])
def test_never_are_more_under_way_or_untold_than_allowed(loop: BatchLoop, concurrency: int) -> None:
    begun, told = 0, 0
    most = 0

    async def complete(index: int) -> Completion:
        nonlocal begun, most
        begun += 1
        most = max(most, begun - told)
        await asyncio.sleep(0)
        return Completion("")

    def arrived(arrivals: Sequence[tuple[int, Completion]]) -> None:
        nonlocal told
        told += len(arrivals)

    loop.complete_all(100, complete, concurrency, arrived)
    assert most == concurrency


def test_what_one_raises_ends_the_others(loop: BatchLoop) -> None:
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
        loop.complete_all(10, complete, 5, ignore)
    assert sorted(ended) == [0, 1, 2, 4]
    assert len(loop.complete_all(5, numbered, 5, ignore)) == 5


def test_an_interruption_while_telling_ends_the_batch_and_not_the_loop(loop: BatchLoop) -> None:
    asked: list[int] = []

    async def complete(index: int) -> Completion:
        asked.append(index)
        return Completion("")

    def arrived(arrivals: Sequence[tuple[int, Completion]]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.complete_all(1000, complete, 2, arrived)
    assert len(asked) <= 2
    assert len(loop.complete_all(5, numbered, 5, ignore)) == 5


def test_it_works_where_another_loop_runs(loop: BatchLoop) -> None:
    async def notebook() -> list[Completion]:
        return loop.complete_all(3, numbered, 3, ignore)

    assert len(asyncio.run(notebook())) == 3


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    made = BatchLoop("test")
    assert threading.active_count() == before + 1
    made.close()
    made.close()
    assert threading.active_count() == before
