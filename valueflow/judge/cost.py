"""What rankings will cost, before anything is spent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from valueflow.judge.llm import LLMJudge
from valueflow.judge.logprob import LogprobJudge
from valueflow.judge.panel import PanelJudge
from valueflow.judge.protocol import Criterion, Judge
from valueflow.judge.windows import Windows
from valueflow.llm import Conversation

BYTES_A_TOKEN = 4
"""Of English text, about, for the tokenizers of today; other scripts take more tokens."""


@dataclass(frozen=True)
class Cost:
    """Calls of language models, and about how many tokens these take.

    Attributes
    ----------
    calls
        Questions; fewer where completions are cached.
    prompt_tokens
        Of all questions, at `BYTES_A_TOKEN` bytes each.
    completion_tokens
        At most, without repeated questions.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def times(self, share: float) -> "Cost":
        """Return the cost of so many times as much."""
        return Cost(round(self.calls * share), round(self.prompt_tokens * share), round(self.completion_tokens * share))


NOTHING = Cost(0, 0, 0)


def cost_of(judge: Judge, criterion: Criterion, windows: Windows, n_windows: int, n_texts: int | None = None) -> Cost:
    """Estimate what a judge's rankings will cost.

    Parameters
    ----------
    judge, criterion
        Who is asked what.
    windows
        Those that are known already; questions about later ones are taken to be as long.
    n_windows
        Of the whole plan.
    n_texts
        Responses of the whole plan, each of which a judge that reads texts one by one is asked about once; None: those
        of the known windows.
    """
    if isinstance(judge, PanelJudge):
        return sum((cost_of(member, criterion, windows, n_windows, n_texts) for member in judge.members), NOTHING)
    if isinstance(judge, LogprobJudge):
        responses = windows.response_texts[np.unique(windows.responses)].tolist()
        known = cost_of_conversations(judge.conversations(criterion, responses), 1)
        anchors = [text for text in _anchor_texts(windows) if text not in set(responses)]
        share = 1.0 if n_texts is None else n_texts / max(len(responses), 1)
        return known.times(share) + cost_of_conversations(judge.conversations(criterion, anchors), 1)
    if not isinstance(judge, LLMJudge):
        return NOTHING
    conversations, _ = judge.conversations(judge.prompt.about(criterion.theory, criterion.value), windows)
    known = cost_of_conversations(conversations, judge.max_tokens)
    share = n_windows / max(len(windows), 1)
    return Cost(n_windows, round(known.prompt_tokens * share), n_windows * judge.max_tokens)


def cost_of_conversations(conversations: Sequence[Conversation], max_tokens: int) -> Cost:
    """Estimate what asking conversations will cost, given the most tokens of an answer."""
    n_bytes = sum(len(turn["content"].encode()) for turns in conversations for turn in turns)
    return Cost(len(conversations), round(n_bytes / BYTES_A_TOKEN), len(conversations) * max_tokens)


def _anchor_texts(windows: Windows) -> list[str]:
    return [str(text) for text in windows.anchor_set.texts[np.unique(windows.anchors)]]
