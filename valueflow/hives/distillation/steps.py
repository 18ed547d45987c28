"""Batches of distillation: texts with both stances on the values that the teacher was asked about."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from valueflow.hives.distillation.objective import PairTargets
from valueflow.hives.distillation.pairs import FloatArray, IntArray, Pairs
from valueflow.hives.training import Tokenize, TrainingBatch, in_chunks, own_share
from valueflow.judge import UtilityHead

CORRELATION = "teacher_correlation"


class TextBatches:
    """Which texts meet in a batch: in each epoch all of them, in a new order.

    Parameters
    ----------
    n_texts
        How many there are.
    batch_size
        Texts per batch; the last one of an epoch has what is left.
    seed
        Of the orders.
    """

    def __init__(self, n_texts: int, batch_size: int, seed: int) -> None:
        self._n_texts, self._batch_size, self._seed = n_texts, batch_size, seed

    def __len__(self) -> int:
        return -(-self._n_texts // self._batch_size)

    def rows(self, epoch: int, number: int) -> IntArray:
        """Return the numbers of the texts of a batch, a function of its arguments alone."""
        order = np.random.default_rng([self._seed, epoch]).permutation(self._n_texts)
        return order[number * self._batch_size : (number + 1) * self._batch_size]


class DistillationSteps(Dataset[TrainingBatch]):
    """The batches of a whole distillation by their numbers: epoch after epoch.

    Parameters
    ----------
    texts, stances
        N texts that are learned from, and V pairs of what encoders embed of a value.
    pairs
        What is learned, utilities in standard deviations; every text has a pair.
    batches
        Which texts meet.
    tokenize
        The encoder's own.
    chunk_size
        Texts the encoder sees at once.
    rank, world_size
        Which of how many processes this is.
    """

    def __init__(
        self,
        texts: npt.NDArray[np.object_],
        stances: Sequence[tuple[str, str]],
        pairs: Pairs,
        batches: TextBatches,
        tokenize: Tokenize,
        *,
        chunk_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._texts = np.array([*texts, *flat(stances)], dtype=object)
        self._n_values = len(stances)
        self._pairs = pairs
        self._starts = np.searchsorted(pairs.text, np.arange(len(texts) + 1))
        self._batches = batches
        self._tokenize = tokenize
        self._chunk_size = chunk_size
        self._rank, self._world_size = rank, world_size

    def __getitem__(self, step: int) -> TrainingBatch:
        """Return the batch of a step, from 0."""
        rows = self._batches.rows(*divmod(step, len(self._batches)))
        counts = self._starts[rows + 1] - self._starts[rows]
        # The pairs of a text lie side by side: from its start, 0, 1, 2, ...
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        pairs = self._pairs[np.repeat(self._starts[rows], counts) + within]
        values, value = np.unique(pairs.value, return_inverse=True)
        supports = len(self._texts) - 2 * self._n_values + values
        batch = np.concatenate([rows, supports, supports + self._n_values])
        return TrainingBatch(
            in_chunks(
                self._texts[own_share(batch, self._rank, self._world_size)].tolist(), self._chunk_size, self._tokenize
            ),
            PairTargets(
                len(batch),
                text=torch.from_numpy(np.repeat(np.arange(len(rows)), counts)),
                supports=torch.from_numpy(len(rows) + value),
                opposes=torch.from_numpy(len(rows) + len(values) + value),
                utility=torch.from_numpy(pairs.utility.astype(np.float32)),
            ),
            step,
        )


class HeldOutPairs:
    """Held-out texts, and the stances on all values behind them, as a training measures them.

    Parameters
    ----------
    n_texts, n_values
        How many there are of both.
    pairs
        Held-out pairs, utilities in standard deviations.
    head
        Returns the head as it is by now.
    """

    decisive = CORRELATION

    def __init__(self, n_texts: int, n_values: int, pairs: Pairs, head: Callable[[], UtilityHead]) -> None:
        self._n_texts, self._n_values = n_texts, n_values
        self._pairs = pairs
        self._head = head

    def __len__(self) -> int:
        return self._n_texts + 2 * self._n_values

    def metrics(self, vectors: npt.NDArray[np.float32]) -> Mapping[str, float | None]:
        """Return the correlation (Pearson's) of student and teacher over all pairs, and the mean squared error.

        A head that gives all pairs the same utility has a correlation of 0.
        """
        head = self._head()
        said = utilities_of(head, vectors, self._n_texts, self._pairs)
        return {CORRELATION: _correlation(said, self._pairs.utility), "loss": _squared_error(said, self._pairs.utility)}


def flat(stances: Sequence[tuple[str, str]]) -> list[str]:
    """Return the V texts that support the values, then the V texts that oppose them."""
    return [text for side in zip(*stances, strict=True) for text in side]


def utilities_of(head: UtilityHead, vectors: npt.NDArray[np.floating], n_texts: int, pairs: Pairs) -> FloatArray:
    """Return a head's utilities (P,) of pairs, from embeddings (N + 2 V, D) of N texts and then of `flat` stances."""
    supports, opposes = np.split(vectors[n_texts:], 2)
    return head.utilities(vectors[:n_texts], supports, opposes)[pairs.text, pairs.value]


def _correlation(x: FloatArray, y: FloatArray) -> float:
    first, second = x - x.mean(), y - y.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size > 0 else 0.0


def _squared_error(x: FloatArray, y: FloatArray) -> float:
    return float(np.mean((x - y) ** 2))
