"""Answers held to a grammar: at every step, only tokens that some allowed answer goes on with."""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from valueflow.llm.protocol import Constraint

if TYPE_CHECKING:
    import llguidance
    import torch

_log = logging.getLogger(__name__)


class Grammars:
    """What holds answers of one model to constraints; each grammar is compiled once."""

    def __init__(self, tokenizer: Any, ends: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self._vocabulary: llguidance.LLTokenizer | None = None
        self._compiled: dict[str, llguidance.LLMatcher | None] = {}
        self._logged: set[tuple[str, str]] = set()

    def mask(self, constraints: Sequence[Constraint | None]) -> "TokenMask | None":
        """Return what holds the rows of a new batch, each to its own constraint; None where none can be held.

        A constraint that cannot be kept to is logged once, and its rows are left alone.
        """
        starts = [None if constraint is None else self._start(constraint) for constraint in constraints]
        if self._vocabulary is None or all(start is None for start in starts):
            return None
        # What a model's settings name as an end need not be in its vocabulary.
        ends = [end for end in self._ends if end < self._vocabulary.vocab_size]
        matchers = [None if start is None else start.deep_copy() for start in starts]
        names = ["" if constraint is None else constraint.name for constraint in constraints]
        return TokenMask(
            matchers, self._vocabulary.vocab_size, ends, lambda row, reason: self._warn(names[row], reason)
        )

    def _start(self, constraint: Constraint) -> "llguidance.LLMatcher | None":
        """Return what stands at the start of a constraint's grammar, None where that cannot be read."""
        if constraint.grammar not in self._compiled:
            try:
                self._compiled[constraint.grammar] = self._compile(constraint.grammar)
            except Exception as error:  # a tokenizer or grammar that llguidance cannot read: each of its own type
                self._compiled[constraint.grammar] = None
                self._warn(constraint.name, str(error).partition("\n")[0])
        return self._compiled[constraint.grammar]

    def _compile(self, grammar: str) -> "llguidance.LLMatcher":
        from llguidance import LLMatcher, grammar_from
        from llguidance.hf import from_tokenizer

        if self._vocabulary is None:
            self._vocabulary = from_tokenizer(self._tokenizer)
        if not self._ends:
            raise ValueError("the model names no token that ends an answer")
        matcher = LLMatcher(self._vocabulary, grammar_from("gbnf", grammar), log_level=0)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher

    def _warn(self, name: str, reason: str) -> None:
        if (name, reason) not in self._logged:
            self._logged.add((name, reason))
            _log.warning("answers are not held to '%s': %s", name, reason)


class TokenMask:
    """A logits processor after which only tokens that the grammar allows have a score above -inf.

    Tokens that end an answer are allowed where the answer is complete, and nowhere else. A row whose answer has ended
    is left alone. So is one in which no token is allowed: the vocabulary cannot spell what the grammar asks for.

    Parameters
    ----------
    matchers
        One a row, at the start of its grammar; None: the row is left alone.
    vocabulary
        How many tokens the matchers know. A model may give scores to more; those are never allowed.
    ends
        Tokens that end an answer, all below `vocabulary`.
    warn
        Called with row and reason where one can no longer be held.
    """

    def __init__(
        self,
        matchers: Sequence["llguidance.LLMatcher | None"],
        vocabulary: int,
        ends: Sequence[int],
        warn: Callable[[int, str], None],
    ) -> None:
        from llguidance.numpy import allocate_token_bitmask

        self._matchers = list(matchers)
        self._bits = allocate_token_bitmask(len(matchers), vocabulary)
        self._vocabulary = vocabulary
        self._ends = list(ends)
        self._warn = warn
        self._is_under_way = False

    def __call__(self, tokens: "torch.Tensor", logits: "torch.Tensor") -> "torch.Tensor":
        """Mask the scores of the next tokens.

        Parameters
        ----------
        tokens
            Rows x tokens so far. In the first call these are the prompts; in each later one the last token is new.
        logits
            Rows x scores; draws must be in them already, so that none can lift what is masked.
        """
        import torch

        if self._is_under_way:
            self._consume(tokens[:, -1].tolist())
        self._is_under_way = True
        allowed = torch.zeros(logits.shape, dtype=torch.bool)
        allowed[:, : self._vocabulary] = torch.from_numpy(self._allowed()[:, : logits.shape[1]])
        allowed[[row for row, matcher in enumerate(self._matchers) if matcher is None]] = True
        # An allowed token that the model holds to be impossible still goes before all that are not allowed.
        possible = logits.clamp(min=torch.finfo(logits.dtype).min)
        return possible.masked_fill(~allowed.to(logits.device), -torch.inf)

    def _consume(self, latest: Sequence[int]) -> None:
        for row, (matcher, token) in enumerate(zip(self._matchers, latest, strict=True)):
            if token in self._ends:
                self._matchers[row] = None
            elif matcher is not None:
                matcher.consume_token(token)

    def _allowed(self) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
        """Return rows x vocabulary; rows that are no longer held are of no meaning."""
        from llguidance.numpy import fill_next_token_bitmask

        is_complete = np.zeros(len(self._matchers), dtype=bool)
        for row, matcher in enumerate(self._matchers):
            if matcher is not None:
                fill_next_token_bitmask(matcher, self._bits, row)
                is_complete[row] = matcher.is_accepting()
        bits = np.unpackbits(self._bits.view(np.uint8), axis=1, count=self._vocabulary, bitorder="little")
        allowed = bits.astype(bool)
        # Not left to llguidance: an end may be a token with a text, which would end an answer that it is a part of.
        allowed[:, self._ends] = is_complete[:, None]
        for row in np.flatnonzero(~allowed.any(axis=1)).tolist():
            if self._matchers[row] is not None:
                self._matchers[row] = None
                self._warn(row, "no token of the model goes on with an answer")
        return allowed
