"""What a chat model is: something that answers conversations, whole batches at a time."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, TypedDict, runtime_checkable

from valueflow.llm.additions import Addition


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = Sequence[Message]

MAX_LOGPROBS = 20
"""Tokens that one may have the log-probabilities of: what OpenAI's servers give, and vLLM unless told otherwise."""


@dataclass(frozen=True)
class Constraint:
    """What an answer must look like, in the two languages that engines understand.

    Attributes
    ----------
    name
        A short identifier; servers ask for one.
    grammar
        GBNF whose start rule is `root`; vLLM takes it, in process and as a server.
    schema
        JSON schema of an object; other servers take it. None where the answer is too short to be
        wrapped in an object; these servers then apply no constraint.
    """

    name: str
    grammar: str
    # Left out of the hash, as mappings have none; equality looks at it.
    schema: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn.

    Attributes
    ----------
    temperature
        0 takes the likeliest token each time.
    max_tokens
        Most tokens of an answer; what a reasoning model thinks before it comes on top.
    seed
        Of the draws, where the temperature is above 0.
    constraint
        What the answer must look like. An engine that cannot apply it ignores it.
    top_logprobs
        Of how many of the likeliest first tokens of the answer the log-probability is wanted, at most `MAX_LOGPROBS`;
        0: of none. It changes no answer.
    words
        Spellings of words. Of every token that `begins` one of them, the log-probability is wanted too, whatever its
        rank. They change no answer.
    additions
        What is added to the residual stream; those of one layer add up. Only for models that have it open
        (`OpenModel`); the client refuses others.
    """

    temperature: float = 0.0
    max_tokens: int = 50
    seed: int = 42
    constraint: Constraint | None = None
    top_logprobs: int = 0
    words: tuple[str, ...] = ()
    additions: tuple[Addition, ...] = ()


@dataclass(frozen=True)
class Completion:
    """An answer, or why there is none.

    Attributes
    ----------
    text
        What the model said, without its thoughts.
    prompt_tokens, completion_tokens
        What it cost.
    truncated
        Whether it ended at `max_tokens`, not by itself.
    error
        Why there is no answer, empty where there is one. Such a completion is never cached.
    cached
        Whether it comes from the cache; of no account when completions are compared.
    has_thought
        Whether the model thought before it answered; of no account when completions are compared.
    logprobs
        Natural log-probability of the likeliest first tokens of the answer, by their text, at temperature 1; the text
        keeps the blanks that a tokenizer has in it, as in " B". Tokens of the same text are one. None where none were
        asked for, where the engine or server gives none, and where the model writes its thoughts before its answer.
        They are the model's own, before the constraint, but of vLLM, in process or as a server, which constrains
        first: there they are the model's given that the answer keeps to the constraint. Transformers and
        vLLM in this process add all tokens that begin one of the sampling's `words`; vLLM then gives these and the
        token that was chosen. Servers and OpenVINO give the likeliest tokens only.
    servers
        Of several servers those that were asked, one after another; the last one answered, unless there is an error.
        Empty where there is one server or none; of no account when completions are compared.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated: bool = False
    error: str = ""
    cached: bool = field(default=False, compare=False)
    has_thought: bool = field(default=False, compare=False)
    # Left out of the hash, as mappings have none; equality looks at it.
    logprobs: Mapping[str, float] | None = field(default=None, hash=False)
    servers: tuple[str, ...] = field(default=(), compare=False)


Arrivals = Sequence[tuple[int, Completion]]
"""Completions that arrived together, each with the index of its conversation."""


class Stream:
    """The completions of a batch as they arrive: (index of the conversation, completion), in any order, each once.

    Coming back for the next group acknowledges the one before: only then may an engine start as many further
    conversations. Closing the stream cancels what is under way.

    Attributes
    ----------
    groups
        The same completions, by those that arrived together, for consumers that save work by handling many at once.
    """

    def __init__(self, groups: Generator[Arrivals, None, None]) -> None:
        self.groups = groups

    def __iter__(self) -> Iterator[tuple[int, Completion]]:
        with self:
            for group in self.groups:
                yield from group

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what is under way; a stream that has ended is left alone."""
        self.groups.close()


def one_each(sampling: Sampling | Sequence[Sampling], n: int) -> Sequence[Sampling]:
    """Return the sampling of each of n conversations.

    Raises
    ------
    ValueError
        There are more or fewer samplings than conversations.
    """
    if isinstance(sampling, Sampling):
        return [sampling] * n
    if len(sampling) != n:
        raise ValueError(f"{len(sampling)} samplings for {n} conversations; give one each, or one for all of them")
    return sampling


class Streaming(Protocol):
    """Whatever answers conversations: an engine, or what stands before one."""

    def stream(self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]) -> Stream:
        """Answer a batch, completion by completion.

        Parameters
        ----------
        conversations
            N conversations, given to the model all at once.
        sampling
            One for all of them, or one each.

        Returns
        -------
        Stream
            N completions as they arrive. One that could not be had has its `error` set. The exceptions below are
            raised as the stream is consumed.

        Raises
        ------
        PromptTooLong
            A conversation does not fit into the model.
        InputError
            The model, or the server, cannot be used at all.
        ValueError
            There are more or fewer samplings than conversations.
        """
        ...


class Engine(Streaming, Protocol):
    """A running model."""

    def close(self) -> None:
        """Give back memory, processes and connections."""
        ...


class ChatModel(Protocol):
    """Which model to ask, and how to run it: settings only, nothing is loaded."""

    occupies_machine: ClassVar[bool]
    """Whether the running model takes memory of this machine, so that another one must make room first."""

    def identity(self) -> dict[str, object]:
        """Return all that decides what the model answers: engine, model, revision and the like; no secrets."""
        ...

    def start(self) -> Engine:
        """Load the model, or connect to its server.

        Raises
        ------
        InputError
            The engine is not installed, the model or server is not there, a key is missing.
        """
        ...


@runtime_checkable
class KnownToStart(Protocol):
    """A chat model that tells at once whether its engine lacks anything, before seconds of other work."""

    def check_startable(self) -> None:
        """Look for what the start of the engine needs, in no time.

        Raises
        ------
        InputError
            A package or a key is missing.
        """
        ...


class PromptTooLong(ValueError):  # noqa: N818 - it says what is the matter
    """A conversation that does not fit into the model.

    Parameters
    ----------
    index
        Which conversation of the batch.
    detail
        How long it is and what the model takes, as far as known.
    """

    def __init__(self, index: int, detail: str) -> None:
        super().__init__(f"conversation {index}: {detail}")
        self.index = index
        self.detail = detail
