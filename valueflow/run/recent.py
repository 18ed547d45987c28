"""A memory with a bound: what was used last is kept, whatever was not used for longest makes room."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_ENTRY_BYTES = 200
"""What an entry takes besides its key and what is kept under it."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps by key what was added or looked up last, as many entries as fit into a number of bytes.

    So the memory of a process that reads any number of texts stays what it is, while whatever comes again before the
    memory is full is found.

    Parameters
    ----------
    most_bytes
        Of all entries together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return what is kept under a key, which has then been used last; None: nothing is."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def add(self, key: K, entry: V, size: int) -> None:
        """Keep an entry in the place of the key's earlier one, and drop others until all fit.

        Parameters
        ----------
        key, entry
            The entry is not None.
        size
            Bytes that both take.
        """
        if key in self._kept:
            self._bytes -= self._kept.pop(key)[1]
        self._kept[key] = entry, size + _ENTRY_BYTES
        self._bytes += size + _ENTRY_BYTES
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1][1]
