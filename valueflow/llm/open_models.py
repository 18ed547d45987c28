"""Models whose residual stream can be read and added to: what steering inside a model needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from valueflow.llm.engine_pool import running_engine
from valueflow.llm.protocol import ChatModel, Conversation, Engine
from valueflow.run import InputError


@dataclass(frozen=True, eq=False)
class Readings:
    """The residual stream of N texts after each of L layers.

    Attributes
    ----------
    means
        (N, L, D) mean over the tokens of a text.
    norms
        (L,) Euclidean norm of the residual stream, mean over the tokens of all texts.
    truncated
        How many texts were too long and were read up to `MOST_TOKENS`.
    """

    means: npt.NDArray[np.float32]
    norms: npt.NDArray[np.float64]
    truncated: int


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """How likely a model is to say N texts.

    Attributes
    ----------
    logprobs
        (N,) natural log-probability of all tokens of a text, given the conversation before it.
    tokens
        (N,) how many tokens these are.
    """

    logprobs: npt.NDArray[np.float64]
    tokens: npt.NDArray[np.int64]

    def perplexity(self) -> npt.NDArray[np.float64]:
        """Return exp(-log-probability / tokens) of each text, NaN of a text without tokens."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.exp(-self.logprobs / self.tokens))


class ResidualStream(Protocol):
    """A running model, seen from inside."""

    @property
    def layers(self) -> int:
        """How many decoder layers it has."""
        ...

    @property
    def width(self) -> int:
        """How many numbers its residual stream has."""
        ...

    def read(self, opening: Conversation, texts: Sequence[str], *, progress: bool) -> Readings:
        """Read texts as the model's answers to an opening, after every layer.

        Raises
        ------
        InputError
            The opening does not fit into the model, or memory does not suffice.
        """
        ...

    def likelihoods(
        self, conversations: Sequence[Conversation], texts: Sequence[str], *, progress: bool
    ) -> Likelihoods:
        """Return how likely the model is, with nothing added, to answer N conversations with N texts.

        Raises
        ------
        InputError
            Memory does not suffice, or the template does not take the conversations.
        """
        ...


@runtime_checkable
class OpenModel(Protocol):
    """A chat model whose running engine has a residual stream, and takes the additions of a `Sampling`."""

    has_residual_stream: ClassVar[bool]


class _OpenEngine(Engine, Protocol):
    residual_stream: ResidualStream


def check_residual_stream(model: ChatModel, what: str) -> None:
    """Check that a model's residual stream is open; nothing is started.

    Raises
    ------
    InputError
        It is not; the line begins with `what` needs it.
    """
    if not (isinstance(model, OpenModel) and model.has_residual_stream):
        identity = model.identity()
        raise InputError(
            f"{what} works inside a model, and engine '{identity['engine']}' of '{identity['model']}' does not let it; "
            "use llm=transformers llm.model=NAME or FOLDER, or a model that runs by it, such as llm=qwen2_5_coder_1_5b"
        )


def residual_stream(model: ChatModel, what: str) -> ResidualStream:
    """Return the residual stream of a model, whose engine is started if it does not run.

    Raises
    ------
    InputError
        As `check_residual_stream`, or the engine cannot be started.
    """
    check_residual_stream(model, what)
    return cast("_OpenEngine", running_engine(model)).residual_stream
