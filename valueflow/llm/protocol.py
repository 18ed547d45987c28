"""What a chat model is: something that answers conversations, whole batches at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypedDict


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = Sequence[Message]


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
        wrapped in an object; they are then not told what it must look like.
    """

    name: str
    grammar: str
    # Of no use for a hash, as mappings have none; equality looks at it.
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
        What the answer must look like. An engine that cannot hold to it ignores it.
    """

    temperature: float = 0.0
    max_tokens: int = 50
    seed: int = 42
    constraint: Constraint | None = None


@dataclass(frozen=True)
class Completion:
    """An answer, or why there is none.

    Attributes
    ----------
    text
        What the model said; of a reasoning model, its final answer.
    prompt_tokens, completion_tokens
        What it cost.
    cut
        Whether it ended at `max_tokens`, not by itself.
    error
        Why there is no answer, empty where there is one. Such a completion is never kept.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut: bool = False
    error: str = ""


Arrived = Callable[[Sequence[tuple[int, Completion]]], None]
"""Called, in the caller's thread, as completions arrive: (index of the conversation, completion) of each new one."""


def ignore_arrivals(arrivals: Sequence[tuple[int, Completion]]) -> None:
    """Do nothing; for callers who wait for the whole batch."""


def one_each(sampling: Sampling | Sequence[Sampling], n: int) -> Sequence[Sampling]:
    """Return the sampling of each of n conversations.

    Parameters
    ----------
    sampling
        One for all of them, or one each.
    n
        How many there are.

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


class Engine(Protocol):
    """A running model."""

    def generate(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling | Sequence[Sampling],
        arrived: Arrived = ignore_arrivals,
    ) -> list[Completion]:
        """Answer a batch.

        Parameters
        ----------
        conversations
            N conversations, given to the model all at once.
        sampling
            One for all of them, or one each.
        arrived
            Told of every completion as soon as it is there, in any order, each exactly once.

        Returns
        -------
        list of Completion
            N, in the order of the conversations. One that could not be had has its `error` set.

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
