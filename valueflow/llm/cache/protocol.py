"""What a cache of completions is, wherever they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from valueflow.llm.protocol import Completion


@dataclass(frozen=True)
class ModelStatistics:
    """What is cached of one model: completions, bytes of their values, when the oldest and the newest came."""

    model: str
    entries: int
    size: int
    first: datetime
    last: datetime


class CachedCompletions(Protocol):
    """Completions by the keys of their requests, shared by any number of processes and threads.

    Whatever goes wrong with the place where they are kept is an `InputError` of one line, from every method.
    """

    @property
    def place(self) -> str:
        """Where they are kept, as people are shown it: never with a password."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """Close this process's connection; the next call opens another."""

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Return the completions that are cached of these requests, by key.

        An entry that cannot be read, or holds no answer, counts as not there. Thoughts are left out: caches of earlier
        versions may hold some.
        """

    def put(self, entries: Sequence[tuple[str, Completion]], model: str) -> dict[str, Completion]:
        """Add completions, all of them or, if that fails, none; the first answer to a request stays.

        Parameters
        ----------
        entries
            Keys with their completions. Those with an `error`, or with no text, are passed over.
        model
            Whose completions these are, for people who look into the cache.

        Returns
        -------
        dict of str to Completion
            The answers that were there before, of the requests that had one. Using them in place
            of the new ones makes all processes agree.

        Raises
        ------
        io.UnsupportedOperation
            The cache was opened to be read only.
        """

    def has_any_of(self, model: str) -> bool:
        """Return whether any completion of a model is cached."""

    def entries(self) -> int:
        """Return how many completions are cached, without reading them."""

    def statistics(self) -> list[ModelStatistics]:
        """Return what is cached of each model, by name."""

    def size(self) -> int:
        """Return the bytes that the cache takes on its disk."""

    def clear(self, model: str | None = None) -> int:
        """Remove the completions of one model, or all, and return how many they were.

        Their disk space is free for those that come next; it goes back to the disk where nobody has to wait for it.
        """
