"""An engine around an engine: cached completions first, all others from the inner one and into the cache."""

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator

from valueflow.llm.cache.keys import request_keys
from valueflow.llm.cache.place import open_cache
from valueflow.llm.lazy import selected
from valueflow.llm.protocol import (
    Arrivals,
    Completion,
    Conversation,
    PromptTooLong,
    Sampling,
    Stream,
    Streaming,
    one_each,
)
from valueflow.run import InputError

CacheMode = Annotated[
    Literal["off", "read", "on"],
    # In YAML the bare words on and off are truth values.
    BeforeValidator(lambda given: {True: "on", False: "off"}[given] if isinstance(given, bool) else given),
]
"""Whether cached completions are not used at all, only read, or read and added to."""

SECONDS_TO_NEXT_ATTEMPT = 60.0
"""After a failed write to the cache; a full disk or a held lock must not slow down every answer."""

_log = logging.getLogger(__name__)


def cache_state(mode: CacheMode) -> dict[str, object]:
    """Return what a summary says of the cache: its mode, how many completions it holds, and its size in bytes.

    Where it cannot be read any more, `fault` says why, and so does a warning: this is asked for at the end of a run,
    whose results must not be lost for it.
    """
    if mode == "off":
        return {"mode": mode}
    try:
        with open_cache(read_only=True) as cache:
            return {"mode": mode, "entries": cache.entries(), "bytes": cache.size()}
    except InputError as error:
        _log.warning("the summary does not say what is cached: %s", error)
        return {"mode": mode, "fault": str(error)}


class CachedEngine:
    """Answers from the cache what it can, and has another engine answer the rest.

    Each new completion is in the cache before it is passed on. If another process has cached an answer in the
    meantime, that one is passed on. A write that fails is warned of once, repeated later, and does not end the run; nor
    does a lookup that fails after one that did not. Closed, it may be used again.
    """

    def __init__(self, inner: Streaming, identity: Mapping[str, object], *, read_only: bool = False) -> None:
        self._inner = inner
        self._identity = identity
        self._read_only = read_only
        self._cache = open_cache(read_only=read_only)
        self._has_looked_up = False
        self._unwritten: dict[str, Completion] = {}
        self._next_attempt: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch, all cached completions first; see `valueflow.llm.protocol.Streaming`."""
        return Stream(self._groups(conversations, one_each(sampling, len(conversations))))

    def _groups(
        self, conversations: Sequence[Conversation], samplings: Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        keys = list(request_keys(self._identity, conversations, samplings))
        found = self._found(keys)
        if found:
            yield [(index, found[key]) for index, key in enumerate(keys) if key in found]
        missing = [index for index, key in enumerate(keys) if key not in found]
        if not missing:
            return
        try:
            with self._inner.stream(
                selected(conversations, missing), [samplings[index] for index in missing]
            ) as answers:
                for arrivals in answers.groups:
                    yield self._persisted(keys, [(missing[place], completion) for place, completion in arrivals])
        except PromptTooLong as error:
            raise PromptTooLong(missing[error.index], error.detail) from error

    def _found(self, keys: Sequence[str]) -> dict[str, Completion]:
        try:
            found = self._cache.get(keys)
        except InputError as error:
            if not self._has_looked_up:
                raise
            _log.warning("cached completions are not looked up for now, the run goes on: %s", error)
            return {}
        self._has_looked_up = True
        return found

    def close(self) -> None:
        """Write what could not be written before, and close the cache; the inner engine runs on."""
        if self._unwritten:
            self._write()
        self._cache.close()

    def _persisted(self, keys: Sequence[str], arrivals: Arrivals) -> Arrivals:
        if self._read_only:
            return arrivals
        self._unwritten |= {keys[index]: completion for index, completion in arrivals}
        if self._next_attempt is not None and time.monotonic() < self._next_attempt:
            return arrivals
        earlier = self._write()
        return [
            (index, replace(earlier[keys[index]], cached=False) if keys[index] in earlier else completion)
            for index, completion in arrivals
        ]

    def _write(self) -> dict[str, Completion]:
        """Write what waits for it; return the answers that another process has cached before."""
        try:
            earlier = self._cache.put(list(self._unwritten.items()), str(self._identity["model"]))
        except InputError as error:
            if self._next_attempt is None:
                _log.warning("completions are not cached for now, the run goes on: %s", error)
            self._next_attempt = time.monotonic() + SECONDS_TO_NEXT_ATTEMPT
            return {}
        self._unwritten.clear()
        return earlier
