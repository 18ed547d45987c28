"""Asking a model: each different request once, cached completions first, and an account of what it took."""

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from valueflow.llm.cache import CachedEngine, CacheMode, open_cache, request_keys
from valueflow.llm.engine_pool import is_news, release, running_engine
from valueflow.llm.lazy import selected
from valueflow.llm.open_models import check_residual_stream
from valueflow.llm.prompting import CUT_IN_THOUGHTS
from valueflow.llm.protocol import (
    Arrivals,
    ChatModel,
    Completion,
    Conversation,
    KnownToStart,
    PromptTooLong,
    Sampling,
    Stream,
    Streaming,
    one_each,
)
from valueflow.llm.recorded import TOO_LONG, AnswerLog, RecordedAnswers
from valueflow.run import InputError, current_share, progress_bar, shorten

MAX_TOO_LONG = 20
"""Prompts that may be too long for the model before it is the model that does not fit."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerCounts:
    """Calls that one of several servers answered, and calls that it failed to answer, which went to another."""

    calls: int = 0
    failed: int = 0

    def __add__(self, other: "ServerCounts") -> "ServerCounts":
        return ServerCounts(self.calls + other.calls, self.failed + other.failed)


@dataclass(frozen=True)
class Usage:
    """What asking took. `calls`, `cache_hits` and `repeated` add up to the requests that fit into the model.

    Attributes
    ----------
    calls
        Different requests that the model was asked.
    cache_hits
        Different requests whose completion was cached.
    repeated
        Requests equal to an earlier one of their batch, answered together with it.
    failed
        Calls that got no answer.
    prompt_tokens, completion_tokens
        Of the calls.
    cached_prompt_tokens, cached_completion_tokens
        What the cached completions took when they were made.
    seconds
        Spent generating; the engine's start does not count.
    with_thoughts
        Calls whose answer came with the model's thoughts, which are left out.
    servers
        Of several servers, by address: calls that each answered, and calls that it failed to answer.
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
    with_thoughts: int = 0
    servers: Mapping[str, ServerCounts] = field(default_factory=dict)

    def __add__(self, other: "Usage") -> "Usage":
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        both = {*self.servers, *other.servers}
        of_none = ServerCounts()
        counts = {url: self.servers.get(url, of_none) + other.servers.get(url, of_none) for url in sorted(both)}
        return Usage(**sums, servers=counts)

    @property
    def tokens_per_second(self) -> float:
        """Tokens generated per second; 0 where nothing was."""
        return self.completion_tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def note(self) -> str:
        """The figures that are watched while it runs, for a progress bar."""
        parts = [f"{self.calls:,} calls", f"{self.cache_hits:,} cached"]
        if self.completion_tokens:
            parts.append(f"{self.tokens_per_second:,.0f} tokens/s")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures by name; those of servers only where there are several."""
        sums = {name: getattr(self, name) for name in _SUMMED}
        servers = {"servers": {url: asdict(counts) for url, counts in self.servers.items()}} if self.servers else {}
        return {**sums, "tokens_per_second": self.tokens_per_second, **servers}


_SUMMED = tuple(figure.name for figure in fields(Usage) if figure.name != "servers")


class PromptsTooLongError(InputError):
    """More prompts than are tolerated do not fit into the model.

    Attributes
    ----------
    index
        The last conversation that did not fit.
    detail
        How long it is and what the model takes, as far as known.
    """

    def __init__(self, message: str, index: int, detail: str) -> None:
        super().__init__(message)
        self.index = index
        self.detail = detail


def is_too_long(completion: Completion) -> bool:
    """Return whether a completion failed because its prompt does not fit into the model."""
    return completion.error.startswith(TOO_LONG)


def check_startable(model: ChatModel, cache: CacheMode) -> None:
    """Say now what the engine of a model lacks, rather than after other work.

    Where completions of the model are cached they may be all that is asked for, so nothing is said.

    Raises
    ------
    InputError
        A package or a key is missing.
    """
    if not isinstance(model, KnownToStart) or current_share().merged:
        return
    if cache != "off":
        with open_cache(read_only=True) as completions:
            if completions.has_any_of(str(model.identity()["model"])):
                return
    model.check_startable()


class Client:
    """Asks a model any number of batches, each different request of a batch once, and only those not cached yet.

    Parameters
    ----------
    model
        Its engine is started when something is missing, and runs on for the next batch. One that
        fails in the middle of a batch is closed.
    cache
        `off`; `read` uses cached completions; `on` also adds new ones, each as soon as it is there.
    """

    def __init__(self, model: ChatModel, cache: CacheMode) -> None:
        self._model = model
        self._cache = cache
        self._engine = _MeteredEngine(model)
        # One for all batches: it knows what could not be written, and that the cache could be used at first.
        self._cached_engine: CachedEngine | None = None
        self._without_calls = Usage()

    @property
    def usage(self) -> Usage:
        """What all batches have taken so far."""
        return self._without_calls + self._engine.usage

    def ask(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling | Sequence[Sampling],
        *,
        title: str,
        unit: str,
        progress: bool,
    ) -> list[Completion]:
        """Return N completions in order, with a progress bar in `unit` (plural); for the rest see `stream`."""
        completions: dict[int, Completion] = {}
        with (
            progress_bar(title, len(conversations), unit, enabled=progress) as advance,
            self.stream(conversations, sampling) as answers,
        ):
            for arrivals in answers.groups:
                completions.update(arrivals)
                advance(len(arrivals), sum(bool(completion.error) for _, completion in arrivals), self.usage.note)
        return [completions[index] for index in range(len(conversations))]

    def stream(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling | Sequence[Sampling],
        *,
        most_too_long: int = MAX_TOO_LONG,
    ) -> Stream:
        """Answer conversations as completions arrive, cached ones first.

        A conversation that is too long for the model gets a completion with an error, and the others are asked without
        it: one monstrous text of a data set does not cost a run the rest.

        Parameters
        ----------
        conversations
            N conversations.
        sampling
            One for all of them, or one each.
        most_too_long
            Conversations that may be too long.

        Raises
        ------
        PromptsTooLongError
            More conversations do not fit into the model.
        InputError
            The model or the cache cannot be used, or the model takes no additions to its residual stream.
        ValueError
            There are more or fewer samplings than conversations.
        """
        samplings = one_each(sampling, len(conversations))
        if any(one.additions for one in samplings):
            check_residual_stream(self._model, "steering by activations")
        return Stream(self._groups(conversations, samplings, most_too_long))

    def _groups(
        self, conversations: Sequence[Conversation], samplings: Sequence[Sampling], most_too_long: int
    ) -> Generator[Arrivals, None, None]:
        waiting = _equal_requests(conversations, samplings)
        log = AnswerLog(self._model, current_share())
        n_too_long = 0
        with self._cached() as engine:
            while waiting:
                first = [indices[0] for indices in waiting]
                answered: set[int] = set()
                try:
                    with engine.stream(
                        selected(conversations, first), [samplings[index] for index in first]
                    ) as answers:
                        for arrivals in answers.groups:
                            answered.update(place for place, _ in arrivals)
                            log.add(
                                (conversations[first[place]], samplings[first[place]], completion)
                                for place, completion in arrivals
                            )
                            self._count([(len(waiting[place]), completion) for place, completion in arrivals])
                            yield [(index, completion) for place, completion in arrivals for index in waiting[place]]
                    return
                except PromptTooLong as error:
                    refused = waiting[error.index]
                    n_too_long += len(refused)
                    if n_too_long > most_too_long:
                        message = self._too_long(most_too_long, conversations[refused[0]], error.detail)
                        raise PromptsTooLongError(message, refused[0], error.detail) from error
                    unanswered = Completion("", error=TOO_LONG + error.detail)
                    log.add([(conversations[refused[0]], samplings[refused[0]], unanswered)])
                    yield [(index, unanswered) for index in refused]
                    answered.add(error.index)
                waiting = [indices for place, indices in enumerate(waiting) if place not in answered]

    def _cached(self) -> AbstractContextManager[Streaming]:
        if self._cache == "off" or current_share().merged:
            return nullcontext(self._engine)
        if self._cached_engine is None:
            self._cached_engine = CachedEngine(self._engine, self._model.identity(), read_only=self._cache == "read")
        return self._cached_engine

    def _count(self, answered: Sequence[tuple[int, Completion]]) -> None:
        cached = [completion for _, completion in answered if completion.cached]
        self._without_calls += Usage(
            cache_hits=len(cached),
            repeated=sum(times for times, _ in answered) - len(answered),
            cached_prompt_tokens=sum(completion.prompt_tokens for completion in cached),
            cached_completion_tokens=sum(completion.completion_tokens for completion in cached),
        )

    def _too_long(self, most: int, conversation: Conversation, detail: str) -> str:
        model, end = self._model.identity()["model"], shorten(conversation[-1]["content"][-200:])
        return (
            f"more than {most} prompts are too long for model '{model}', such as the one that ends in '{end}': "
            f"{detail}; use a model that takes longer prompts, or a lower max_tokens"
        )


class _MeteredEngine:
    """The engine of a model, started once it is asked, and the account of its calls."""

    def __init__(self, model: ChatModel) -> None:
        self.usage = Usage()
        self._model = model

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        return Stream(self._groups(conversations, sampling))

    def _groups(
        self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]
    ) -> Generator[Arrivals, None, None]:
        share = current_share()
        engine: Streaming = RecordedAnswers(self._model, share) if share.merged else running_engine(self._model)
        begin = time.perf_counter() - self.usage.seconds
        try:
            with engine.stream(conversations, sampling) as answers:
                for arrivals in answers.groups:
                    calls = Usage(
                        calls=len(arrivals),
                        failed=sum(bool(completion.error) for _, completion in arrivals),
                        with_thoughts=sum(
                            completion.has_thought and not completion.error for _, completion in arrivals
                        ),
                        prompt_tokens=sum(completion.prompt_tokens for _, completion in arrivals),
                        completion_tokens=sum(completion.completion_tokens for _, completion in arrivals),
                        servers=_by_server(arrivals),
                    )
                    self.usage = replace(self.usage + calls, seconds=time.perf_counter() - begin)
                    self._tell_of_thoughts(arrivals)
                    yield arrivals
        except (PromptTooLong, GeneratorExit):
            raise
        except BaseException:
            # Whatever state it is in, the next job of a sweep gets a new one.
            release(self._model)
            raise
        self.usage = replace(self.usage, seconds=time.perf_counter() - begin)

    def _tell_of_thoughts(self, arrivals: Arrivals) -> None:
        """Warn once of thoughts that leave no tokens for an answer, and say once that thoughts are left out."""
        for _, completion in arrivals:
            if completion.error == CUT_IN_THOUGHTS and is_news(self._model, CUT_IN_THOUGHTS):
                _log.warning(
                    "%s: %s (such answers are counted as failed)", self._model.identity()["model"], CUT_IN_THOUGHTS
                )
            elif completion.has_thought and not completion.error and is_news(self._model, "thoughts"):
                _log.info("%s thinks before it answers; its thoughts are left out", self._model.identity()["model"])


def _by_server(arrivals: Arrivals) -> dict[str, ServerCounts]:
    """Count, for each of several servers, what it answered and what it did not."""
    counts: dict[str, ServerCounts] = {}
    for _, completion in arrivals:
        for place, url in enumerate(completion.servers, start=1):
            answers = place == len(completion.servers) and not completion.error
            one = ServerCounts(calls=1) if answers else ServerCounts(failed=1)
            counts[url] = counts.get(url, ServerCounts()) + one
    return counts


def _equal_requests(conversations: Sequence[Conversation], samplings: Sequence[Sampling]) -> list[list[int]]:
    """Return the indices of each different request."""
    indices: dict[str, list[int]] = {}
    # By their keys, not by themselves: memory need not have room for all prompts of a batch at once.
    for index, key in enumerate(request_keys({}, conversations, samplings)):
        indices.setdefault(key, []).append(index)
    return list(indices.values())
