"""Keys of rows, and random numbers that depend on a key alone."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd


def row_keys(frame: "pd.DataFrame", seed: int) -> npt.NDArray[np.uint64]:
    """Hash the cells of each row, and the seed, into a 64-bit key.

    A key does not depend on its row's position or on other rows; equal rows share one. The order of the columns
    counts, their names do not.
    """
    import pandas as pd

    # pandas takes a 16-byte key for its hash; any seed is digested into one.
    key = hashlib.blake2b(str(seed).encode(), digest_size=8).hexdigest()
    keys = pd.util.hash_pandas_object(frame.astype(object), index=False, hash_key=key, categorize=False)
    return np.asarray(keys, dtype=np.uint64)


def split_keys(keys: npt.NDArray[np.uint64], n: int) -> npt.NDArray[np.uint64]:
    """Derive n keys from each key.

    Parameters
    ----------
    keys
        (N,) 64-bit keys.
    n
        Keys per key. The first ones do not depend on n.

    Returns
    -------
    (N, n) array
        Well-mixed 64-bit keys.

    Notes
    -----
    SplitMix64 (Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators) with the
    key as its state: based on a counter, so that all rows are drawn at once.
    """
    with np.errstate(over="ignore"):
        state = keys[:, None] + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)


def keyed_uniforms(keys: npt.NDArray[np.uint64], n: int) -> npt.NDArray[np.float64]:
    """Return (N, n) uniform numbers in [0, 1), of 53 bits, that depend on nothing but key and column."""
    return np.asarray((split_keys(keys, n) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)
