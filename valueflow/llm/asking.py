"""Asking a model: kept completions first, the engine only for the rest, every answer kept as it arrives."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Self

from valueflow.llm.cache import CacheMode, CompletionCache, cache_file, request_key
from valueflow.llm.protocol import (
    Arrived,
    ChatModel,
    Completion,
    Conversation,
    PromptTooLong,
    Sampling,
    ignore_arrivals,
    one_each,
)
from valueflow.llm.running import release, running
from valueflow.run import InputError

_SECONDS_TO_NEXT_TRY = 60.0
"""After a failed write to the cache; a full disk or a held lock must not slow down every answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """What asking took. `calls`, `cache_hits` and `repeated` add up to the requests.

    Attributes
    ----------
    calls
        Different requests that the model was asked.
    cache_hits
        Different requests whose answer was kept.
    repeated
        Requests equal to an earlier one of their batch, answered together with it.
    failed
        Calls that got no answer.
    prompt_tokens, completion_tokens
        Of the calls.
    cached_prompt_tokens, cached_completion_tokens
        What the kept answers took when they were made.
    seconds
        Spent generating; the engine's start does not count.
    """

    calls: int = 0
    cache_hits: int = 0
    repeated: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def tokens_per_second(self) -> float:
        """Tokens generated a second; 0 where nothing was."""
        return self.completion_tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def note(self) -> str:
        """The figures that are watched while it runs, for a progress bar."""
        parts = [f"{self.calls:,} calls", f"{self.cache_hits:,} cached"]
        if self.completion_tokens:
            parts.append(f"{self.tokens_per_second:,.0f} tokens/s")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, int | float]:
        """Return all figures by name."""
        return {**asdict(self), "tokens_per_second": self.tokens_per_second}


def ask(
    model: ChatModel,
    conversations: Sequence[Conversation],
    sampling: Sampling | Sequence[Sampling],
    *,
    cache: CacheMode,
    arrived: Arrived = ignore_arrivals,
    used: Callable[[Usage], None] = lambda usage: None,
) -> tuple[list[Completion], Usage]:
    """Have conversations answered, each different one once, and only those that are not kept yet.

    Parameters
    ----------
    model
        Its engine is started when something is missing, and runs on for the next call. One that
        fails in the middle of a batch is closed.
    conversations
        N conversations.
    sampling
        One for all of them, or one each.
    cache
        `off`; `read` uses kept completions; `on` also keeps new ones, each as soon as it is
        there. If another process has kept an answer in the meantime, that one is returned. A
        write that fails is warned of once and the run goes on.
    arrived
        Told of every completion as soon as it is there, kept ones first.
    used
        Told before each call of `arrived` what asking has taken so far; for a progress bar.

    Returns
    -------
    completions : list of Completion
        N, in the order of the conversations.
    usage : Usage
        What it took.

    Raises
    ------
    PromptTooLong
        A conversation does not fit into the model; its index is that in `conversations`.
    InputError
        The model or the cache cannot be used.
    ValueError
        There are more or fewer samplings than conversations.
    """
    samplings = one_each(sampling, len(conversations))
    identity = model.identity()
    keys = [request_key(identity, turns, drawn) for turns, drawn in zip(conversations, samplings, strict=True)]
    positions: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        positions.setdefault(key, []).append(index)

    def tell(answers: Iterable[tuple[str, Completion]]) -> None:
        arrived([(index, completion) for key, completion in answers for index in positions[key]])

    with _Memory(cache, str(identity["model"])) as memory:
        answers = memory.recall(list(positions))
        usage = Usage(
            cache_hits=len(answers),
            repeated=len(conversations) - len(positions),
            cached_prompt_tokens=sum(completion.prompt_tokens for completion in answers.values()),
            cached_completion_tokens=sum(completion.completion_tokens for completion in answers.values()),
        )
        if answers:
            used(usage)
            tell(answers.items())
        missing = [key for key in positions if key not in answers]
        if missing:

            def keep(arrivals: Sequence[tuple[int, Completion]]) -> None:
                nonlocal usage
                usage = replace(
                    usage + _taken([completion for _, completion in arrivals]), seconds=time.perf_counter() - begin
                )
                news = {missing[place]: completion for place, completion in arrivals}
                news |= memory.keep(news)
                answers.update(news)
                used(usage)
                tell(news.items())

            first = [positions[key][0] for key in missing]
            wanted = sampling if isinstance(sampling, Sampling) else [samplings[index] for index in first]
            engine = running(model)
            begin = time.perf_counter()
            try:
                generated = engine.generate([conversations[index] for index in first], wanted, keep)
            except PromptTooLong as error:
                raise PromptTooLong(positions[missing[error.index]][0], error.detail) from error
            except BaseException:
                # Whatever state it is in, the next job of a sweep gets a new one.
                release(model)
                raise
            answers = dict(zip(missing, generated, strict=True)) | answers
            usage = replace(usage, seconds=time.perf_counter() - begin)
    return [answers[key] for key in keys], usage


def cache_state(mode: CacheMode) -> dict[str, object]:
    """Return what a summary says of the cache: its mode, how many completions it holds, and its size in bytes."""
    if mode == "off":
        return {"mode": mode}
    with CompletionCache(cache_file(), read_only=True) as cache:
        return {"mode": mode, "entries": sum(kept.entries for kept in cache.statistics()), "bytes": cache.size()}


def _taken(completions: Sequence[Completion]) -> Usage:
    return Usage(
        calls=len(completions),
        failed=sum(bool(completion.error) for completion in completions),
        prompt_tokens=sum(completion.prompt_tokens for completion in completions),
        completion_tokens=sum(completion.completion_tokens for completion in completions),
    )


class _Memory:
    """The cache as one run uses it: a write that fails does not end the run."""

    def __init__(self, mode: CacheMode, model: str) -> None:
        self._cache = None if mode == "off" else CompletionCache(cache_file(), read_only=mode == "read")
        self._is_written = mode == "on"
        self._model = model
        self._waiting: dict[str, Completion] = {}
        self._next_try: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._waiting:
            self._write()
        if self._cache is not None:
            self._cache.close()

    def recall(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Return what is kept."""
        return {} if self._cache is None else self._cache.get(keys)

    def keep(self, news: dict[str, Completion]) -> dict[str, Completion]:
        """Write completions; return the answers to the same requests that another process has kept before."""
        if not self._is_written:
            return {}
        self._waiting |= news
        if self._next_try is not None and time.monotonic() < self._next_try:
            return {}
        earlier = self._write()
        return {key: earlier[key] for key in news if key in earlier}

    def _write(self) -> dict[str, Completion]:
        assert self._cache is not None
        try:
            earlier = self._cache.put(list(self._waiting.items()), self._model)
        except InputError as error:
            if self._next_try is None:
                _log.warning("completions are not kept for now, the run goes on: %s", error)
            self._next_try = time.monotonic() + _SECONDS_TO_NEXT_TRY
            return {}
        self._waiting.clear()
        return earlier
