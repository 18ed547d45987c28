"""Which texts are measured: all of a theory or a sample of them, with embeddings that can be used."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import IntArray, Labels
from valueflow.run import InputError


def checked_embeddings(embeddings: npt.ArrayLike, n_texts: int) -> npt.NDArray[np.floating]:
    """Return (N, D) embeddings of N texts as an array.

    Raises
    ------
    InputError
        Where one holds NaN or an infinity.
    ValueError
        Where there is not one row per text.
    """
    vectors = np.asarray(embeddings)
    if vectors.ndim != 2 or len(vectors) != n_texts:
        raise ValueError(f"embeddings must have one row for each of {n_texts} texts, got shape {vectors.shape}")
    faulty = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if faulty.size:
        raise InputError(
            f"embeddings: {faulty.size} of {len(vectors)} texts (the first is number {faulty[0] + 1}) have values that "
            "are not finite numbers; a model whose training went well gives finite ones"
        )
    return vectors


def theory_samples(labels: Labels, max_rows: int, seed: int) -> Iterator[tuple[int, IntArray, int]]:
    """Yield each theory that has texts, the rows of at most `max_rows` texts drawn at random, and how many it has."""
    if max_rows < 1:
        raise ValueError(f"max_rows must be at least 1, got {max_rows}")
    for theory in np.unique(labels.theories).tolist():
        rows = np.flatnonzero(labels.theories == theory)
        n_total = len(rows)
        if n_total > max_rows:
            rows = np.sort(np.random.default_rng([seed, int(theory)]).choice(rows, max_rows, replace=False))
        yield theory, rows, n_total
