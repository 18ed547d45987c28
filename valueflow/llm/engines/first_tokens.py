"""Log-probabilities of an answer's first token."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def by_text(tokens: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return log-probabilities by the text of their tokens, the likeliest first.

    Tokens of the same text are one, with their probabilities added. What has none, as tokens that a constraint does not
    allow, is left out: -inf, and the -9999 that servers write for it.
    """
    sums: dict[str, float] = {}
    for text, logprob in tokens:
        if math.isfinite(logprob) and logprob > -9999:
            earlier = sums.get(text)
            sums[text] = logprob if earlier is None else _log_of_sum(earlier, logprob)
    return dict(sorted(sums.items(), key=lambda pair: (-pair[1], pair[0])))


def _log_of_sum(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high))


class FirstTokens:
    """A logits processor that changes nothing and keeps what the first step says of its likeliest tokens.

    It goes before all others, so the log-probabilities are the model's own, at temperature 1 and without constraints.

    Parameters
    ----------
    counts
        Of how many tokens, one a row.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = counts
        self._likeliest: list[list[tuple[int, float]]] = []

    def __call__(self, _: "torch.Tensor", logits: "torch.Tensor") -> "torch.Tensor":
        """Return the scores as they are; in the first call, look at them."""
        if not self._likeliest:
            count = min(max(self._counts), logits.shape[-1])
            top = logits.float().log_softmax(dim=-1).topk(count, dim=-1)
            rows = zip(top.indices.tolist(), top.values.tolist(), self._counts, strict=True)
            self._likeliest = [[*zip(tokens, logprobs, strict=True)][:most] for tokens, logprobs, most in rows]
        return logits

    def logprobs(self, tokenizer: Any) -> list[dict[str, float] | None]:
        """Return the log-probabilities of each row by the text of the token; None where none were asked for."""
        texts: dict[int, str] = {}
        for row in self._likeliest:
            texts.update((token, "") for token, _ in row)
        for token in texts:
            texts[token] = tokenizer.decode([token])
        return [by_text((texts[token], logprob) for token, logprob in row) or None for row in self._likeliest]
