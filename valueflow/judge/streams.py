"""Judges of texts that come without end, some thousand at a time: what they keep must not grow."""

from typing import Protocol, runtime_checkable

from valueflow.judge.protocol import TextJudge


@runtime_checkable
class Streamable(Protocol):
    """A text judge that keeps something of what it reads, and can do without."""

    def for_stream(self) -> TextJudge:
        """Return a judge that says the same and keeps nothing that grows with the texts, in memory or on disk.

        Cached completions of language models are kept. The reports of `text_utilities` are about that call alone.
        """
        ...


def for_stream(judge: TextJudge) -> TextJudge:
    """Return a judge that says the same and keeps nothing that grows with the texts it reads; see `Streamable`."""
    return judge.for_stream() if isinstance(judge, Streamable) else judge
