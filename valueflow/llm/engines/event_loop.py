"""Batches of asynchronous calls for callers that are not asynchronous."""

import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from valueflow.llm.protocol import Arrivals, Completion, Stream

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")

Complete = Callable[[int], Awaitable[Completion]]
"""Answers one conversation of a batch, given its index."""


class EventLoop:
    """An event loop in a thread of its own.

    An engine keeps one as long as it runs, so that connections outlive a batch, and so that
    batches can be asked for where another event loop runs already, as in a notebook.
    """

    def __init__(self, name: str) -> None:
        import anyio

        # Not `start_blocking_portal`: in a forked process, the end of its generator would wait for ever for a thread
        # that only the parent has.
        started: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=anyio.run, args=(_serve, started), name=name, daemon=True)
        self._thread.start()
        self._portal = started.result()

    def call(self, function: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Await a function in the loop and wait for its result; if the waiting is interrupted, it is cancelled."""
        future: Future[T] = self._portal.start_task_soon(function, *arguments)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stream(self, n: int, complete: Complete, concurrency: int) -> Stream:
        """Answer a batch, at most `concurrency` conversations at a time, in the order of their indices.

        The next conversation takes the place of one that the consumer has acknowledged. So a consumer that
        persists completions as they arrive has, at any moment, at most `concurrency` yet to persist.

        Parameters
        ----------
        n
            Conversations in the batch.
        complete
            Answers one of them. What it raises ends the batch and is raised to the consumer.
        concurrency
            Most conversations under way at once.
        """
        return Stream(self._groups(n, complete, concurrency))

    def _groups(self, n: int, complete: Complete, concurrency: int) -> Generator[Arrivals, None, None]:
        batch = self.call(_begin, n, complete, concurrency)
        end = self._portal.start_task_soon(batch.run)
        try:
            while arrivals := self.call(batch.next_arrivals):
                yield arrivals
        finally:
            with suppress(RuntimeError, CancelledError):  # the loop may have been closed first
                self.call(batch.cancel)
                end.result()
                self.call(batch.close)
        if batch.error is not None:
            raise batch.error

    def close(self) -> None:
        """Stop the loop; what is still under way is cancelled."""
        with suppress(RuntimeError):  # closed before
            self.call(self._portal.stop, True)
        self._thread.join(timeout=10)


async def _serve(started: "Future[BlockingPortal]") -> None:
    from anyio.from_thread import BlockingPortal

    async with BlockingPortal() as portal:
        started.set_result(portal)
        await portal.sleep_until_stopped()


async def _begin(n: int, complete: Complete, concurrency: int) -> "_Batch":
    return _Batch(n, complete, concurrency)


class _Batch:
    """A batch under way; all of it runs in the loop."""

    def __init__(self, n: int, complete: Complete, concurrency: int) -> None:
        import anyio

        self.error: Exception | None = None
        self._n = n
        self._complete = complete
        self._slots = anyio.Semaphore(concurrency)
        self._scope = anyio.CancelScope()
        # Nobody waits to send: a slot stays taken until its completion has been acknowledged.
        self._send, self._receive = anyio.create_memory_object_stream[tuple[int, Completion]](concurrency)
        self._unacknowledged = 0

    async def run(self) -> None:
        import anyio

        with self._scope, self._send:
            async with anyio.create_task_group() as tasks:
                for index in range(self._n):
                    await self._slots.acquire()
                    tasks.start_soon(self._answer, index)

    async def next_arrivals(self) -> list[tuple[int, Completion]]:
        """Acknowledge the last completions and wait for the next; return none at the end."""
        import anyio

        for _ in range(self._unacknowledged):
            self._slots.release()
        arrivals = []
        with suppress(anyio.EndOfStream, anyio.WouldBlock):
            arrivals.append(await self._receive.receive())
            while True:
                arrivals.append(self._receive.receive_nowait())
        self._unacknowledged = len(arrivals)
        return arrivals

    async def cancel(self) -> None:
        self._scope.cancel()

    async def close(self) -> None:
        self._receive.close()

    async def _answer(self, index: int) -> None:
        try:
            completion = await self._complete(index)
        except Exception as error:
            # The others must not go on asking.
            self.error = self.error or error
            self._scope.cancel()
        else:
            self._send.send_nowait((index, completion))
