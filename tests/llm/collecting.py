"""Streams read to their end."""

from collections.abc import Sequence

from valueflow.llm import Completion, Conversation, Sampling
from valueflow.llm.protocol import Streaming


def answers_of(
    engine: Streaming, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]
) -> list[Completion]:
    """Return the completions of a batch in the order of its conversations."""
    return answers_and_groups(engine, conversations, sampling)[0]


def answers_and_groups(
    engine: Streaming, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling]
) -> tuple[list[Completion], list[list[tuple[int, Completion]]]]:
    """Return the completions in the order of the conversations, and as they arrived; each must have come once."""
    groups = [list(arrivals) for arrivals in engine.stream(conversations, sampling).groups]
    arrived = [arrival for arrivals in groups for arrival in arrivals]
    completions = dict(arrived)
    assert len(arrived) == len(completions) == len(conversations)
    return [completions[index] for index in range(len(conversations))], groups
