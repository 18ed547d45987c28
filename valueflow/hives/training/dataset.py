"""From row numbers to the input of a training step: tokens in chunks of similar length, and labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from valueflow.hives.data import NONE, Labels, TrainingTable
from valueflow.hives.losses import BatchLabels
from valueflow.hives.sampling import CONCEPT, Batch

Features = dict[str, Any]
Tokenize = Callable[[list[str]], Features]


class Batches(Protocol):
    """Batches of either stage: each a function of epoch and number."""

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        ...

    def batch(self, epoch: int, number: int) -> Batch:
        """Return one batch."""
        ...


class Targets(Protocol):
    """What the texts of a batch are to be: labels, or utilities."""

    def __len__(self) -> int:
        """Return the number of texts."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """Return the same on another device."""
        ...


@dataclass(frozen=True, eq=False)
class Chunks:
    """Texts as tokens, in chunks of similar length.

    Attributes
    ----------
    features
        Tokens of each chunk, as the encoder takes them, padded to the longest text of the chunk only.
    places
        (n,) place of each text in the caller's order, chunk after chunk.
    """

    features: list[Features]
    places: Tensor

    def to(self, device: torch.device | str) -> "Chunks":
        """Return the chunks on another device."""
        moved = [
            {name: part.to(device) if isinstance(part, Tensor) else part for name, part in chunk.items()}
            for chunk in self.features
        ]
        return Chunks(moved, self.places.to(device))


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """One step's input in one of several processes.

    Attributes
    ----------
    chunks
        This process's share of the texts.
    labels
        Labels, or other targets, of ALL texts of the batch: every process computes the loss of the whole batch.
    step
        Number of the batch from the beginning of the training.
    """

    chunks: Chunks
    labels: Targets
    step: int

    def to(self, device: torch.device | str) -> "TrainingBatch":
        """Return the batch on another device."""
        return TrainingBatch(self.chunks.to(device), self.labels.to(device), self.step)


def in_chunks(texts: Sequence[str], size: int, tokenize: Tokenize) -> Chunks:
    """Tokenize texts in chunks of similar length.

    Parameters
    ----------
    texts
        n texts, one at least.
    size
        Texts a chunk holds at most.
    tokenize
        The encoder's own.
    """
    order = np.argsort([len(text) for text in texts], kind="stable")
    features = [
        tokenize([texts[place] for place in order[start : start + size]]) for start in range(0, len(order), size)
    ]
    return Chunks(features, torch.from_numpy(order))


class TrainingSteps(Dataset[TrainingBatch]):
    """The batches of a whole training by their numbers: epoch after epoch.

    Parameters
    ----------
    table
        The texts.
    batches
        Which of them meet in a batch.
    tokenize
        The encoder's own.
    chunk_size
        Texts the encoder sees at once.
    rank, world_size
        Which of how many processes this is: it gets the texts number rank, rank + world_size, ... of each batch.
    """

    def __init__(
        self,
        table: TrainingTable,
        batches: Batches,
        tokenize: Tokenize,
        *,
        chunk_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._table = table
        self._batches = batches
        self._tokenize = tokenize
        self._chunk_size = chunk_size
        self._rank, self._world_size = rank, world_size

    def __getitem__(self, step: int) -> TrainingBatch:
        """Return the batch of a step, from 0."""
        batch = self._batches.batch(*divmod(step, len(self._batches)))
        labels = self._table.labels
        return TrainingBatch(
            in_chunks(
                self._table.texts[own_share(batch.rows, self._rank, self._world_size)].tolist(),
                self._chunk_size,
                self._tokenize,
            ),
            BatchLabels(
                paths=torch.from_numpy(labels.paths[batch.rows]),
                directions=torch.from_numpy(labels.directions[batch.rows]),
                ids=torch.from_numpy(_ids(batch, labels)),
                parts=torch.from_numpy(batch.parts),
            ),
            step,
        )


def _ids(batch: Batch, labels: Labels) -> npt.NDArray[np.int64]:
    """Return the ids that the losses go by, (B, K): all concepts of what is drawn by concept, else the id drawn by."""
    concepts = labels.all_concepts[batch.rows]
    ids = np.full_like(concepts, NONE)
    ids[:, 0] = batch.ids
    return np.where((batch.parts == CONCEPT)[:, None], concepts, ids)


def own_share(rows: npt.NDArray[np.int64], rank: int, world_size: int) -> npt.NDArray[np.int64]:
    """Return the rows of one process: every world_size-th from its rank on, as many in every process.

    Where the batch does not divide, the last processes repeat its first row; `whole_batch` drops what is past the end.
    """
    each = -(-len(rows) // world_size)
    own = rows[rank::world_size]
    return np.concatenate([own, np.repeat(rows[:1], each - len(own))])


def whole_batch(shares: Tensor, n: int) -> Tensor:
    """Put the shares of all processes (world_size, each, D) back into the order of the batch: (n, D)."""
    return shares.transpose(0, 1).reshape(-1, shares.shape[-1])[:n]


class HeldOutChunks(Dataset[Chunks]):
    """Held-out texts in chunks of similar length, for one of several processes.

    Parameters
    ----------
    texts
        All held-out texts.
    tokenize, chunk_size, rank, world_size
        As in `TrainingSteps`. All processes have as many chunks, since layers that are sharded need all of them to
        embed: where the texts do not divide, one is embedded again, and its place is past the end.
    """

    def __init__(
        self, texts: Sequence[str], tokenize: Tokenize, *, chunk_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self._texts = texts
        self._tokenize = tokenize
        self._chunk_size = chunk_size
        order = np.argsort([len(text) for text in texts], kind="stable")
        self._rows = own_share(order, rank, world_size)
        self._places = np.where(np.arange(len(self._rows)) * world_size + rank < len(texts), self._rows, len(texts))

    def __len__(self) -> int:
        return -(-len(self._rows) // self._chunk_size)

    def __getitem__(self, number: int) -> Chunks:
        """Return a chunk; its places are row numbers of the held-out texts."""
        own = slice(number * self._chunk_size, (number + 1) * self._chunk_size)
        features = self._tokenize([self._texts[row] for row in self._rows[own]])
        return Chunks([features], torch.from_numpy(self._places[own]))
