"""What a plan will cost, before anything is spent."""

from dataclasses import dataclass

from valueflow.judge import Criterion, Judge, LLMJudge, PanelJudge, Windows

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


def cost_of(judge: Judge, criterion: Criterion, windows: Windows, n_windows: int) -> Cost:
    """Estimate what a judge's rankings will cost.

    Parameters
    ----------
    judge, criterion
        Who is asked what.
    windows
        Those that are known already; questions about later ones are taken to be as long.
    n_windows
        Of the whole plan.
    """
    if isinstance(judge, PanelJudge):
        parts = [cost_of(member, criterion, windows, n_windows) for member in judge.members]
        return Cost(
            sum(part.calls for part in parts),
            sum(part.prompt_tokens for part in parts),
            sum(part.completion_tokens for part in parts),
        )
    if not isinstance(judge, LLMJudge):
        return Cost(0, 0, 0)
    conversations, _ = judge.conversations(judge.prompt.about(criterion.theory, criterion.value), windows)
    n_bytes = sum(len(turn["content"].encode()) for turns in conversations for turn in turns)
    per_window = n_bytes / max(len(windows), 1) / BYTES_A_TOKEN
    return Cost(n_windows, round(per_window * n_windows), n_windows * judge.max_tokens)
