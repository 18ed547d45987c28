"""Batches of asynchronous calls for callers that are not asynchronous."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from valueflow.llm.protocol import Arrived, Completion

T = TypeVar("T")

Complete = Callable[[int], Awaitable[Completion]]
"""Answers one conversation of a batch, given its index."""


class BatchLoop:
    """An event loop in a thread of its own.

    An engine keeps one as long as it runs, so that connections outlive a batch, and so that
    batches can be asked for where another event loop runs already, as in a notebook.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one coroutine and wait for its result; if the waiting is interrupted, it is cancelled."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def complete_all(self, n: int, complete: Complete, concurrency: int, arrived: Arrived) -> list[Completion]:
        """Answer a batch, at most `concurrency` conversations at a time, in the order of their indices.

        The next conversation takes the place of one whose answer has been told. So whoever keeps
        answers when told has, at any moment, at most `concurrency` yet to keep.

        Parameters
        ----------
        n
            Conversations in the batch.
        complete
            Answers one of them. What it raises ends the batch and is raised here.
        concurrency
            Most conversations under way at once.
        arrived
            Called in this thread, with all completions that have come since the last call.

        Returns
        -------
        list of Completion
            N, by index.
        """
        completions: dict[int, Completion] = {}
        arrivals: queue.SimpleQueue[_Arrival | None] = queue.SimpleQueue()
        future = asyncio.run_coroutine_threadsafe(_work(n, complete, concurrency, arrivals.put), self._loop)
        future.add_done_callback(lambda _: arrivals.put(None))
        try:
            under_way = True
            while under_way:
                fresh = [arrivals.get()]
                while not arrivals.empty():
                    fresh.append(arrivals.get())
                under_way = None not in fresh
                answered = [arrival for arrival in fresh if arrival is not None]
                if answered:
                    completions.update((arrival.index, arrival.completion) for arrival in answered)
                    arrived([(arrival.index, arrival.completion) for arrival in answered])
                    self._loop.call_soon_threadsafe(_go_on, [arrival.told for arrival in answered])
            future.result()
        except BaseException:
            future.cancel()
            raise
        return [completions[index] for index in range(n)]

    def close(self) -> None:
        """Stop the loop; what is still under way is cancelled."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        if not self._thread.is_alive():
            self._loop.close()


@dataclass(frozen=True)
class _Arrival:
    index: int
    completion: Completion
    told: asyncio.Event


def _go_on(told: Sequence[asyncio.Event]) -> None:
    for event in told:
        event.set()


async def _work(n: int, complete: Complete, concurrency: int, done: Callable[[_Arrival], None]) -> None:
    indices = iter(range(n))

    async def worker() -> None:
        for index in indices:
            arrival = _Arrival(index, await complete(index), asyncio.Event())
            done(arrival)
            await arrival.told.wait()

    workers = [asyncio.create_task(worker()) for _ in range(min(n, concurrency))]
    try:
        await asyncio.gather(*workers)
    finally:
        # Where one has failed, the others must not go on asking.
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
