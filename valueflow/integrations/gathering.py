"""Calls that come one by one, answered in batches."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Place(Generic[Item, Answer]):
    """An item that waits, and its answer or the fault of its batch once there is one."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.answer: Answer | None = None
        self.fault: Exception | None = None
        self.size = 0


class Gathered(Generic[Item, Answer]):
    """A function of batches that can be called with single items.

    The first call of a batch waits for others; while a batch is answered, the next one gathers. All calls must come
    from one event loop.

    Parameters
    ----------
    answer
        From N items to N answers; it runs in a thread.
    wait
        Seconds that a batch waits for further items.
    """

    def __init__(self, answer: Callable[[Sequence[Item]], Sequence[Answer]], wait: float) -> None:
        self._answer = answer
        self._wait = wait
        self._waiting: list[_Place[Item, Answer]] = []
        self._turn: anyio.Lock | None = None

    async def __call__(self, item: Item) -> tuple[Answer, int]:
        """Return the answer to an item, and how many items its batch had.

        Raises
        ------
        Exception
            What `answer` raised, in each call of the batch.
        """
        # A lock belongs to the event loop in which it is first used.
        self._turn = self._turn or anyio.Lock()
        place: _Place[Item, Answer] = _Place(item)
        self._waiting.append(place)
        try:
            async with self._turn:
                if place.size == 0:
                    await anyio.sleep(self._wait)
                    await self._answer_all()
        finally:
            # A call that was canceled while it waited asks for nothing anymore.
            if place in self._waiting:
                self._waiting.remove(place)
        if place.fault is not None:
            # All calls of a batch raise the same object: each with a traceback of its own.
            raise place.fault.with_traceback(None)
        assert place.answer is not None
        return place.answer, place.size

    async def _answer_all(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            # Others wait for this batch, whoever cancels the call that has it answered.
            with anyio.CancelScope(shield=True):
                answers = await anyio.to_thread.run_sync(self._answer, [place.item for place in batch])
            for place, answer in zip(batch, answers, strict=True):
                place.answer = answer
        except Exception as fault:
            for place in batch:
                place.fault = fault
        except BaseException:
            self._waiting[:0] = batch
            raise
        for place in batch:
            place.size = len(batch)
