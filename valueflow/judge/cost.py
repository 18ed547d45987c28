"""What rankings will cost, before anything is spent."""

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


NOTHING = Cost(0, 0, 0)


def cost_of(judge: Judge, criterion: Criterion, windows: Windows, n_windows: int) -> Cost:
    """Estimate what a judge's rankings will cost.

    Parameters
    ----------
    judge, criterion
        Who is asked what.
    windows
        Those that are known already; questions about later ones are taken to be as long.
    n_windows
        Of the whole plan. A judge that reads texts one by one is asked about each text of the known windows once.
    """
    if isinstance(judge, PanelJudge):
        return sum((cost_of(member, criterion, windows, n_windows) for member in judge.members), NOTHING)
    if isinstance(judge, LogprobJudge):
        texts = [*windows.response_texts[np.unique(windows.responses)], *_anchor_texts(windows)]
        return cost_of_conversations(judge.conversations(criterion, list(dict.fromkeys(texts))), 1)
    if not isinstance(judge, LLMJudge):
        return NOTHING
    conversations, _ = judge.conversations(judge.prompt.about(criterion.theory, criterion.value), windows)
    known = cost_of_conversations(conversations, judge.max_tokens)
    share = n_windows / max(len(windows), 1)
    return Cost(n_windows, round(known.prompt_tokens * share), n_windows * judge.max_tokens)


def cost_of_conversations(conversations: list[Conversation], max_tokens: int) -> Cost:
    """Estimate what asking conversations will cost, given the most tokens of an answer."""
    n_bytes = sum(len(turn["content"].encode()) for turns in conversations for turn in turns)
    return Cost(len(conversations), round(n_bytes / BYTES_A_TOKEN), len(conversations) * max_tokens)


def _anchor_texts(windows: Windows) -> list[str]:
    return [str(text) for text in windows.anchor_set.texts[np.unique(windows.anchors)]]
