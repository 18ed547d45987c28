"""Similarities of embeddings, in blocks of rows, so that memory grows with the number of texts and not of pairs."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from valueflow.hives.data import IntArray

FloatArray = npt.NDArray[np.float64]

# Pairs of texts worked on at once: a handful of arrays of this many numbers.
BLOCK_PAIRS = 1 << 18

# Similarities are whole multiples of 2**-GRID_BITS. Otherwise the order in which products are summed, which depends on
# the shape of a block, would decide between duplicates.
GRID_BITS = 30


def normalized(embeddings: npt.ArrayLike) -> FloatArray:
    """Scale each row of (N, D) embeddings to length 1; a row of zeros stays as it is, and is similar to nothing."""
    rows = np.array(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


def cosine_similarities(queries: FloatArray, others: FloatArray) -> FloatArray:
    """Return the (B, N) cosines of (B, D) with (N, D) normalized embeddings, rounded to multiples of 2**-30."""
    scale = 2.0**GRID_BITS
    products = queries @ others.T
    products *= scale
    np.rint(products, out=products)
    products /= scale
    return np.clip(products, -1.0, 1.0, out=products)


def whole_numbers(similarities: FloatArray) -> IntArray:
    """Return similarities as whole numbers of 2**-30."""
    return np.rint(similarities * 2.0**GRID_BITS).astype(np.int64)


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Part rows so that a block has at most BLOCK_PAIRS pairs, but at least one row."""
    size = max(BLOCK_PAIRS // max(n_columns, 1), 1)
    for first in range(0, n_rows, size):
        yield slice(first, min(first + size, n_rows))
