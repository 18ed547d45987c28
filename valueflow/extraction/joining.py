"""Vectors that the shards of a run have left, in the order of the whole input."""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.extraction.npz import array_rows
from valueflow.extraction.outcome import file_of
from valueflow.extraction.reading import Chunk
from valueflow.run import InputError, ShardFolder, owners

Vectors = npt.NDArray[np.float32]
Rows = Callable[[int], npt.NDArray[Any]]


class JoinedVectors:
    """What the model of every shard has made of its texts; no model is loaded.

    Attributes
    ----------
    dimension
        Length D of a vector.
    devices
        Where the shards worked.
    window
        Tokens of a text that the model saw; None where it has no bound.
    """

    def __init__(self, shards: Sequence[ShardFolder], rows: Mapping[tuple[int, str], Rows]) -> None:
        first = shards[0].summary
        self.dimension = int(first["dimension"])
        self.devices = tuple(dict.fromkeys(str(name) for found in shards for name in found.summary["devices"]))
        self.window: int | None = first["window"]
        self._count = len(shards)
        self._rows = rows

    def embed(self, chunk: Chunk, advance: Callable[[int], None]) -> Vectors:
        """Return the vectors (N, D) of the next N texts of the input."""
        vectors = np.empty((len(chunk.texts), self.dimension), dtype=np.float32)
        of = owners(chunk.keys(), self._count)
        theories = np.array(chunk.theories, dtype=object)
        for shard, theory in sorted(set(zip(of.tolist(), chunk.theories, strict=True))):
            own = (of == shard) & (theories == theory)
            try:
                vectors[own] = self._rows[shard, theory](int(own.sum()))
            except (ValueError, OSError, zipfile.BadZipFile) as error:
                raise InputError(f"merge: the vectors of shard {shard} are damaged ({error}); run it again") from error
        advance(len(chunk.texts))
        return vectors


@contextmanager
def joined_vectors(shards: Sequence[ShardFolder]) -> Iterator[JoinedVectors]:
    """Open the files of vectors of all shards of a run, in their order.

    Raises
    ------
    InputError
        One is not there or damaged.
    """
    rows: dict[tuple[int, str], Rows] = {}
    with ExitStack() as stack:
        for found in shards:
            for record in found.summary["theories"]:
                theory = str(record["theory"])
                path = found.path / file_of(theory)
                try:
                    rows[found.shard.number, theory] = stack.enter_context(array_rows(path, "embeddings"))
                except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
                    raise InputError(
                        f"merge: {path} cannot be read ({error}); run shard {found.shard} again"
                    ) from error
        yield JoinedVectors(shards, rows)
