"""Sequences whose items are made when they are asked for, and not kept."""

from collections.abc import Callable, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """Holds what makes its items, so that a batch of a million prompts takes the memory of those that are under way.

    Parameters
    ----------
    n
        Number of items.
    item
        Makes an item, given its index in [0, n); the same one each time.
    """

    def __init__(self, n: int, item: Callable[[int], T]) -> None:
        self._indices = range(n)
        self._item = item

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return selected(self, self._indices[index])
        return self._item(self._indices[index])


def selected(items: Sequence[T], indices: Sequence[int]) -> Sequence[T]:
    """Return the items at some indices, in that order, without making any of them."""
    return LazySequence(len(indices), lambda place: items[indices[place]])
