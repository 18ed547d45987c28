"""Which of several servers gets the next call: the least loaded of those that answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_PAUSE = 1.0
"""Seconds for which a server that has failed is set aside; twice as long each time that it fails again."""

LONGEST_PAUSE = 60.0

_SHORTEST_WAIT = 0.05


@dataclass
class _Server:
    under_way: int = 0
    begun: int = 0
    pause: float = 0.0
    failures: int = 0
    """In a row, of calls begun when it was not set aside."""

    until: float | None = None
    """When it is to be tried again; None where it is not set aside."""


class Balance:
    """The load of N servers. It only counts; who asks them tells it.

    Parameters
    ----------
    n
        Servers.
    most_at_once
        Most calls under way at one of them.
    clock
        Seconds, from any moment on.
    """

    def __init__(self, n: int, most_at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = [_Server() for _ in range(n)]
        self._most = most_at_once
        self._clock = clock

    def choose(self) -> int | None:
        """Return the server for the next call; None where all are busy or set aside.

        A server that was set aside gets a single call when its pause is over, and more once it has answered that one.
        """
        now = self._clock()
        for place, server in enumerate(self._servers):
            if server.until is not None and server.until <= now and not server.under_way:
                return place
        open_ones = [
            (server.under_way, server.begun, place)
            for place, server in enumerate(self._servers)
            if server.until is None and server.under_way < self._most
        ]
        return min(open_ones)[2] if open_ones else None

    def seconds_to_next(self) -> float | None:
        """Return how long to wait for a server that is set aside; None where none will be tried by itself."""
        now = self._clock()
        times = [
            server.until
            for server in self._servers
            if server.until is not None and (server.until > now or not server.under_way)
        ]
        return max(min(times) - now, _SHORTEST_WAIT) if times else None

    def begin(self, place: int) -> None:
        """Count a call that goes to a server."""
        self._servers[place].under_way += 1
        self._servers[place].begun += 1

    def leave(self, place: int) -> None:
        """Count a call that has ended, however it did."""
        self._servers[place].under_way -= 1

    def answered(self, place: int) -> bool:
        """Note that a server answers; return whether it had been set aside."""
        server = self._servers[place]
        was_aside = server.until is not None
        server.until, server.pause, server.failures = None, 0.0, 0
        return was_aside

    def failed(self, place: int) -> float | None:
        """Set a server aside; return for how many seconds, or None where it is already: by a call begun before."""
        server, now = self._servers[place], self._clock()
        if server.until is not None and now < server.until:
            return None
        server.pause = min(max(2 * server.pause, FIRST_PAUSE), LONGEST_PAUSE)
        server.until = now + server.pause
        server.failures += 1
        return server.pause

    def all_failed(self, times: int) -> bool:
        """Return whether each server has failed so many times in a row."""
        return all(server.failures >= times for server in self._servers)
