"""Vectors that actors of Ray Data make, in the order of the input."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.encoder import PROBE
from valueflow.extraction.embedding import Encoding, embedder
from valueflow.extraction.ray_chunks import Made, MadeChunks
from valueflow.extraction.reading import Chunk

Vectors = npt.NDArray[np.float32]

PROBE_CHUNK = Chunk([PROBE], [""], [0])
"""A text that goes before those of the file: what is made of it tells of the model."""


@dataclass(frozen=True)
class EncoderRecipe:
    """An encoder that actors load each for itself.

    Attributes
    ----------
    model
        What `load_model` takes; a folder must be there on every machine of the cluster.
    encoding
        How it makes vectors.
    """

    model: str
    encoding: Encoding

    @contextmanager
    def opened(self, *, on_gpu: bool) -> Iterator[Callable[[list[str]], Made]]:
        """Load the model; errors as of `embedder`."""
        with embedder(self.model, self.encoding, devices=None if on_gpu else ["cpu"]) as model:

            def embed(texts: list[str]) -> Made:
                vectors = model.embed(Chunk(texts, [""] * len(texts), [0] * len(texts)), lambda done: None)
                return Made({"vectors": vectors}, {"device": model.devices[0], "window": model.window})

            yield embed


class RayVectors:
    """What actors make of the chunks of a file, one after another.

    Attributes
    ----------
    dimension
        Length D of a vector.
    devices
        Where the actors work, one entry each.
    window
        Tokens of a text that the model sees; None where it has no bound.
    """

    def __init__(self, chunks: MadeChunks, actors: int) -> None:
        """Take what was made of `PROBE_CHUNK`, which goes before the file; errors as of `embedder`."""
        self._chunks = chunks
        probe = chunks.of(PROBE_CHUNK)
        self.dimension = int(probe.arrays["vectors"].shape[1])
        self.devices = (str(probe.record["device"]),) * actors
        self.window: int | None = probe.record["window"]

    def embed(self, chunk: Chunk, advance: Callable[[int], None]) -> Vectors:
        """Return the vectors (N, D) of the next N texts of the input; errors as of `MadeChunks.of`."""
        vectors = self._chunks.of(chunk).arrays["vectors"]
        advance(len(vectors))
        return vectors
