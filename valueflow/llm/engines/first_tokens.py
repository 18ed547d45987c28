"""Log-probabilities of an answer's first token."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueflow.llm.engines.vocabulary import Vocabulary

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


@dataclass(frozen=True)
class Wanted:
    """Of which first tokens of a row the log-probabilities are wanted.

    Attributes
    ----------
    most
        How many of the likeliest.
    tokens
        Which others, whatever their rank.
    """

    most: int = 0
    tokens: tuple[int, ...] = ()


def first_logprobs(
    logits: "torch.Tensor", wanted: Sequence[Wanted], vocabulary: Vocabulary
) -> list[dict[str, float] | None]:
    """Return the log-probabilities of each row by the text of the token, at temperature 1; None where none are wanted.

    Parameters
    ----------
    logits
        Rows x vocabulary.
    wanted
        One a row.
    vocabulary
        What knows the texts.
    """
    if not any(row.most or row.tokens for row in wanted):
        return [None] * len(wanted)
    logprobs = logits.float().log_softmax(dim=-1)
    top = logprobs.topk(min(max(row.most for row in wanted), logits.shape[-1]), dim=-1)
    certain = sorted({token for row in wanted for token in row.tokens})
    rows = zip(wanted, top.indices.tolist(), top.values.tolist(), logprobs[:, certain].tolist(), strict=True)
    found: list[dict[str, float] | None] = []
    for row, likeliest, their_logprobs, others in rows:
        of_certain = dict(zip(certain, others, strict=True))
        # By token, so that one of the likeliest that is also wanted by itself counts once.
        chosen = dict(zip(likeliest[: row.most], their_logprobs[: row.most], strict=True))
        chosen |= {token: of_certain[token] for token in row.tokens}
        found.append(by_text((vocabulary.text(token), logprob) for token, logprob in chosen.items()) or None)
    return found


class FirstTokens:
    """A logits processor that changes nothing and keeps what the first step says of the tokens that are wanted.

    It goes before all others, so the log-probabilities are the model's own, at temperature 1 and without constraints.

    Parameters
    ----------
    wanted
        Which tokens, one a row.
    vocabulary
        What knows the texts.
    """

    def __init__(self, wanted: Sequence[Wanted], vocabulary: Vocabulary) -> None:
        self._wanted = wanted
        self._vocabulary = vocabulary
        self._seen = False
        self.logprobs: list[dict[str, float] | None] = [None] * len(wanted)
        """Of each row, by the text of the token."""

    def __call__(self, _: "torch.Tensor", logits: "torch.Tensor") -> "torch.Tensor":
        """Return the scores as they are; in the first call, look at them."""
        if not self._seen:
            self._seen = True
            self.logprobs = first_logprobs(logits, self._wanted, self._vocabulary)
        return logits
