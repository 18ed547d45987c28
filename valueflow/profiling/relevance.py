"""Which values a text bears on: by a sentence encoder, or by a chat model's log-odds."""

from collections.abc import Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field

from valueflow.encoder import load_encoder
from valueflow.judge import Cost, Criterion, LogprobJudge, cost_of_conversations
from valueflow.llm import CacheMode
from valueflow.run import PositiveInt, Progress, Settings, built_as
from valueflow.theory import Theory
from valueflow.vidb import Vidb

FloatArray = npt.NDArray[np.float64]

_TEXTS_AT_ONCE = 8_192

Threshold = Annotated[float, Field(allow_inf_nan=False)] | None


@runtime_checkable
class Relevance(Protocol):
    """Says how much texts have to do with the values of a theory, and which of these are near enough."""

    @property
    def n(self) -> int | None:
        """Values of a theory that a text may bear on at most; None: all."""
        ...

    @property
    def threshold(self) -> float | None:
        """Relevance from which a text bears on a value; None: any."""
        ...

    def of(self, texts: Sequence[str], theory: Theory, progress: Progress) -> FloatArray:
        """Return the relevance (T, V) of each text to each value; NaN where it could not be found out.

        Each text is reported to `progress` once.
        """
        ...

    def cost(self, texts: Sequence[str], theory: Theory) -> Cost | None:
        """Return what asking will cost; None where nothing is asked."""
        ...

    def describe(self) -> dict[str, object]:
        """Return what identifies it in a summary; no secrets."""
        ...


class EncoderRelevance(Settings):
    """Cosine similarity of a text with a value's label and definition; see `configs/relevance/encoder.yaml`."""

    encoder: str
    n: PositiveInt | None
    threshold: Threshold

    def of(self, texts: Sequence[str], theory: Theory, progress: Progress) -> FloatArray:
        """Return the cosines, in [-1, 1]."""
        encoder = load_encoder(self.encoder)
        nodes = [theory.nodes[value] for value in theory.values]
        definitions = encoder.encode([f"{node.label}: {node.definition}" for node in nodes])
        found = np.empty((len(texts), len(nodes)))
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            found[start : start + len(part)] = encoder.encode(part) @ definitions.T
            progress(len(part), 0)
        return found

    def cost(self, texts: Sequence[str], theory: Theory) -> Cost | None:
        """Return None: an encoder runs here."""
        return None

    def describe(self) -> dict[str, object]:
        """Return kind and encoder."""
        return {"kind": "encoder", "encoder": self.encoder}


class LogprobRelevance(Settings):
    """Share of probability that a chat model gives to a stance, support or oppose; its settings are those of the judge.

    `configs/relevance/logprob.yaml` describes the keys.
    """

    llm: Any
    wordings: Any
    cache: CacheMode
    max_text_bytes: PositiveInt
    n: PositiveInt | None
    threshold: Threshold

    def of(self, texts: Sequence[str], theory: Theory, progress: Progress) -> FloatArray:
        """Return (p(support) + p(oppose)) / (p(support) + p(oppose) + p(neutral)), in [0, 1]."""
        judge, found = self._judge(), np.empty((len(texts), len(theory.values)))
        for place, value in enumerate(theory.values):
            is_last = place == len(theory.values) - 1

            def advance(done: int, failed: int = 0, note: str = "", *, counts: bool = is_last) -> None:
                progress(done if counts else 0, failed, note)

            read = judge.text_utilities(_criterion(theory, value), texts, advance)
            support, oppose, neutral = (np.exp(read.details[key]) for key in ("support", "oppose", "neutral"))
            number = {text: row for row, text in enumerate(read.texts)}
            shares = (support + oppose) / (support + oppose + neutral)
            found[:, place] = shares[[number[text] for text in texts]]
        return found

    def cost(self, texts: Sequence[str], theory: Theory) -> Cost | None:
        """Return what asking about every value will cost."""
        judge = self._judge()
        asked = [turns for value in theory.values for turns in judge.conversations(_criterion(theory, value), texts)]
        return cost_of_conversations(asked, 1)

    def describe(self) -> dict[str, object]:
        """Return kind, model and wordings."""
        return {**self._judge().describe(), "kind": "logprob"}

    def _judge(self) -> LogprobJudge:
        return LogprobJudge(llm=self.llm, wordings=self.wordings, cache=self.cache, max_text_bytes=self.max_text_bytes)


ConfiguredRelevance = Annotated[
    Any,
    built_as(
        lambda relevance: isinstance(relevance, Relevance),
        "a measure of relevance (an object with `of`, `n` and `threshold`)",
    ),
]
"""A measure of relevance, or the config node of one."""


def related(relevance: FloatArray, n: int | None, threshold: float | None) -> npt.NDArray[np.bool_]:
    """Return which values each text bears on: the n most relevant ones, of those that reach the threshold.

    Parameters
    ----------
    relevance
        (T, V); NaN is no relevance.
    n, threshold
        None: all; any.

    Returns
    -------
    (T, V) array
        Of equal relevance, the value that the theory names first comes first.
    """
    known = np.where(np.isnan(relevance), -np.inf, relevance)
    chosen = known > -np.inf
    if threshold is not None:
        chosen &= known >= threshold
    if n is not None and n < relevance.shape[1]:
        order = np.argsort(-known, axis=1, kind="stable")
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.broadcast_to(np.arange(relevance.shape[1]), order.shape), axis=1)
        chosen &= ranks < n
    return np.asarray(chosen, dtype=np.bool_)


def _criterion(theory: Theory, value: str) -> Criterion:
    return Criterion(theory, value, Vidb("", (), 0, ""))
