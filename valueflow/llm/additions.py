"""Vectors that are added to a model's residual stream while it answers."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

AddedTokens = Literal["all", "generated"]
"""Where a vector is added: at every token of prompt and answer, or where the tokens of the answer come from."""


@dataclass(frozen=True)
class Addition:
    """A vector that is added to the residual stream after a layer; compared by the digest of its vector.

    Attributes
    ----------
    layer
        Number of the decoder layer after which it is added, from 0.
    strength
        What the vector is multiplied by.
    tokens
        `all`: at every token of the prompt and of the answer. `generated`: from the last token of the prompt on, where
        the model decides on the first token of the answer.
    vector
        (D,) numbers, as wide as the residual stream.
    digest
        SHA-256 of the vector as little-endian 32-bit floats.
    """

    layer: int
    strength: float
    tokens: AddedTokens
    vector: npt.NDArray[np.float32] = field(compare=False, repr=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        numbers = np.ascontiguousarray(self.vector, dtype="<f4")
        # The way that a frozen dataclass has for a field which depends on others.
        object.__setattr__(self, "digest", hashlib.sha256(numbers.tobytes()).hexdigest())

    def as_json(self) -> list[object]:
        """Return what decides a completion, for the key of its request."""
        return [self.digest, self.layer, float(self.strength), self.tokens]
