"""One or several servers that answer batches."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from valueflow.llm.engines.event_loop import EventLoop
from valueflow.llm.engines.server.balance import Balance
from valueflow.llm.engines.server.endpoint import NO_COMPLETION, Endpoint
from valueflow.llm.engines.server.errors import is_passing
from valueflow.llm.protocol import Completion, Conversation, Sampling, Stream, one_each
from valueflow.run import InputError

if TYPE_CHECKING:
    import anyio

    from valueflow.llm.engines.server.settings import ServerModel

_log = logging.getLogger(__name__)


class ServerEngine:
    """Connections to the servers of a model; they live on between batches.

    Of several servers each call goes to the least loaded. A call that one of them fails to answer goes to another, and
    that server is set aside for a while.

    Parameters
    ----------
    settings
        How to ask.
    endpoints
        The servers.
    missing
        Those among them that did not answer at the start, with the reason.
    """

    def __init__(self, settings: "ServerModel", endpoints: Sequence[Endpoint], missing: dict[int, str]) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._unanswered_in_a_row = 0
        self._balance = Balance(len(endpoints), settings.concurrency)
        self._loop = EventLoop("server")
        self._freed: anyio.Condition = self._loop.call(_condition)
        for place, reason in missing.items():
            self._set_aside(place, reason)

    @property
    def _has_several(self) -> bool:
        return len(self._endpoints) > 1

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch; see `valueflow.llm.protocol.Streaming`."""
        samplings = one_each(sampling, len(conversations))

        async def complete(index: int) -> Completion:
            return await self._complete(index, conversations[index], samplings[index])

        return self._loop.stream(len(conversations), complete, self._settings.concurrency * len(self._endpoints))

    def close(self) -> None:
        """Close the connections; a second time does nothing."""
        for endpoint in self._endpoints:
            if not endpoint.is_closed:
                self._loop.call(endpoint.close)
        self._loop.close()

    async def _complete(self, index: int, conversation: Conversation, sampling: Sampling) -> Completion:
        """Answer one conversation; of several servers, at the next one where one fails."""
        asked: list[str] = []
        reason = ""
        for _ in range(self._settings.max_retries + 1 if self._has_several else 1):
            place = await self._next_place()
            asked.append(self._endpoints[place].url)
            try:
                found = await self._ask(self._endpoints[place], index, conversation, sampling)
                # Before it leaves, so that no call that waits is sent to a server that has just failed.
                self._note(place, found)
            finally:
                await self._leave(place)
            if isinstance(found, Completion):
                return replace(found, servers=tuple(asked)) if self._has_several else found
            reason = found
            if self._has_several and self._balance.all_failed(self._settings.max_retries + 1):
                await self._give_up(f"each failed {self._settings.max_retries + 1} times in a row", reason)
        return replace(await self._unanswered(reason), servers=tuple(asked) if self._has_several else ())

    async def _ask(
        self, endpoint: Endpoint, index: int, conversation: Conversation, sampling: Sampling
    ) -> Completion | str:
        """Ask a server; return its answer, or why it has given none."""
        import openai

        try:
            completion = await endpoint.complete(conversation, sampling)
        except openai.APIStatusError as error:
            if self._has_several and is_passing(error):
                return endpoint.errors.fault(error)
            return endpoint.refused(index, error)
        except openai.APITimeoutError:
            return f"no answer within {self._settings.timeout:g} s"
        except openai.APIConnectionError:
            return "connection dropped"
        return NO_COMPLETION if self._has_several and completion.error == NO_COMPLETION else completion

    async def _next_place(self) -> int:
        """Wait for a server that takes a call, and count the call."""
        import anyio

        async with self._freed:
            while (place := self._balance.choose()) is None:
                with anyio.move_on_after(self._balance.seconds_to_next()):
                    await self._freed.wait()
            self._balance.begin(place)
        return place

    async def _leave(self, place: int) -> None:
        import anyio

        self._balance.leave(place)
        with anyio.CancelScope(shield=True):
            async with self._freed:
                self._freed.notify_all()

    def _note(self, place: int, found: Completion | str) -> None:
        if isinstance(found, Completion):
            self._unanswered_in_a_row = 0
            if self._balance.answered(place):
                _log.info("%s answers again", self._endpoints[place].url)
        elif self._has_several:
            self._set_aside(place, found)

    def _set_aside(self, place: int, reason: str) -> None:
        pause = self._balance.failed(place)
        if pause is not None:
            _log.warning("%s is set aside for %.0f s: %s", self._endpoints[place].url, pause, reason)

    async def _unanswered(self, reason: str) -> Completion:
        """Return a failed completion, or raise where no call has been answered for long.

        A server that has gone, or hangs, would let each of maybe 100,000 calls run through all its repetitions.
        """
        self._unanswered_in_a_row += 1
        if self._unanswered_in_a_row > self._settings.concurrency:
            await self._give_up(f"answered none of the last {self._unanswered_in_a_row} calls", reason)
        return Completion("", error=reason)

    async def _give_up(self, what: str, reason: str) -> None:
        """End the run in one line."""
        await self._check_any_there()
        urls = ", ".join(endpoint.url for endpoint in self._endpoints)
        raise InputError(
            f"{urls} {'have' if self._has_several else 'has'} {what} ({reason}); cached completions serve when the "
            "same command is started again"
        )

    async def _check_any_there(self) -> None:
        faults = []
        for endpoint in self._endpoints:
            try:
                await endpoint.check_there()
            except InputError as error:
                faults.append(error)
        if len(faults) == len(self._endpoints):
            raise faults[0]


async def _condition() -> "anyio.Condition":
    import anyio

    return anyio.Condition()
