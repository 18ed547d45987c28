"""Single calls that are answered in batches."""

import threading
from collections.abc import Sequence

import anyio
import anyio.to_thread

from valueflow.integrations.gathering import Gathered


class Squares:
    """Squares numbers and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        if 13 in numbers:
            raise ValueError("unlucky")
        return [number**2 for number in numbers]


async def called(gathered: Gathered[int, int], number: int, found: dict[int, object]) -> None:
    try:
        found[number] = await gathered(number)
    except ValueError as fault:
        found[number] = str(fault)


def asked(answer: Squares, *groups: Sequence[int]) -> dict[int, object]:
    """Ask for groups of numbers, the first at once and each other group while the one before is answered."""
    found: dict[int, object] = {}

    async def main() -> None:
        gathered: Gathered[int, int] = Gathered(answer, wait=0.02)
        async with anyio.create_task_group() as tasks:
            for count, group in enumerate(groups, start=1):
                for number in group:
                    tasks.start_soon(called, gathered, number, found)
                while len(answer.batches) < count:
                    await anyio.sleep(0.002)

    anyio.run(main)
    return found


def test_calls_at_once_are_one_batch() -> None:
    squares = Squares()
    assert asked(squares, range(-12, 13)) == {number: (number**2, 25) for number in range(-12, 13)}
    assert squares.batches == [list(range(-12, 13))]


def test_calls_during_a_batch_are_the_next() -> None:
    squares = Squares()
    found = asked(squares, [1, 2, 3], [4, 5])
    assert squares.batches == [[1, 2, 3], [4, 5]]
    assert found == {1: (1, 3), 2: (4, 3), 3: (9, 3), 4: (16, 2), 5: (25, 2)}


def test_a_fault_reaches_each_call_of_its_batch_and_no_other() -> None:
    assert asked(Squares(), [12, 13], [14]) == {12: "unlucky", 13: "unlucky", 14: (196, 1)}


def test_a_call_that_is_canceled_leaves_the_others() -> None:
    squares = Squares()
    found: dict[int, object] = {}

    async def main() -> None:
        gathered: Gathered[int, int] = Gathered(squares, wait=0.05)

        async def impatient() -> None:
            with anyio.move_on_after(0.005):
                await called(gathered, 1, found)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(impatient)
            tasks.start_soon(called, gathered, 2, found)

    anyio.run(main)
    assert squares.batches == [[2]]
    assert found == {2: (4, 1)}


def test_a_call_that_is_canceled_while_its_batch_is_answered_leaves_the_others() -> None:
    found: dict[int, object] = {}
    asked_for = threading.Event()
    goes_on = threading.Event()

    def slow(numbers: Sequence[int]) -> list[int]:
        asked_for.set()
        goes_on.wait(5)
        return [number**2 for number in numbers]

    async def main() -> None:
        gathered: Gathered[int, int] = Gathered(slow, wait=0.01)

        async def canceled() -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await called(gathered, 1, found)

        scopes: list[anyio.CancelScope] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(canceled)
            tasks.start_soon(called, gathered, 2, found)
            await anyio.to_thread.run_sync(asked_for.wait)
            scopes[0].cancel()
            goes_on.set()

    anyio.run(main)
    assert found[2] == (4, 2)


def test_it_serves_one_event_loop_after_another() -> None:
    gathered: Gathered[int, int] = Gathered(Squares(), wait=0.0)
    assert [anyio.run(gathered, number) for number in (2, 3)] == [(4, 1), (9, 1)]
