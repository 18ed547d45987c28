"""Which texts say nearly the same: MinHash signatures and banding, linear in the amount of text.

References
----------
Broder, A. Z. (1997). On the resemblance and containment of documents. Compression and Complexity of Sequences, 21-29.
Leskovec, J., Rajaraman, A., Ullman, J. D. (2020). Mining of Massive Datasets, chapter 3. Cambridge University Press.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from valueflow.hives.data.labels import IntArray

LEAST_SIMILARITY = 0.8
"""Texts are near-duplicates from this share of common shingles on (Jaccard similarity)."""

_SHINGLE = 5  # characters
_HASHES = 128  # the standard deviation of an estimated similarity of .8 is .035
_BAND = 4  # a pair of similarity .8 agrees in one of the 32 bands with probability 1 - 5e-8, one of .3 with .23
_BEHIND = 8  # hashes behind a band that order its buckets
_NEIGHBORS = 4  # texts of a bucket that each is compared with: all pairs of a large one would be too many
_CHARACTERS_AT_ONCE = 1 << 20
_PAIRS_AT_ONCE = 1 << 16
_BASE = np.uint64(0x9E3779B97F4A7C15)
_NOT_A_WORD = re.compile(r"[\W_]+")

_Hashes = npt.NDArray[np.uint64]


def near_duplicates(texts: Sequence[str]) -> IntArray:
    """Return the groups of near-duplicates.

    Two texts are compared by their words alone: case, punctuation and white space do not matter. They are
    near-duplicates if they share 80% of their runs of five characters, as MinHash estimates it; a group is what such
    pairs connect. Where very many texts resemble each other without being near-duplicates, as those made from one
    template do, a pair may be overlooked: it was one of 2,000 among 4,000 such texts.

    Parameters
    ----------
    texts
        N texts.

    Returns
    -------
    (N,) array
        For each text the row of the first text of its group in alphabetical order, so that the order of rows does not
        matter.
    """
    if not len(texts):
        return np.empty(0, dtype=np.int64)
    folded = [words_alone(text) for text in texts]
    distinct, member = np.unique(np.array(folded, dtype=object), return_inverse=True)
    first, second = _candidates(signatures := _signatures(distinct.tolist()))
    alike = _are_alike(signatures, first, second)
    first, second = first[alike], second[alike]
    edges = coo_array((np.ones(len(first)), (first, second)), shape=(len(distinct), len(distinct)))
    group = connected_components(edges, directed=False)[1][member.reshape(-1)]
    alphabetical = np.array(sorted(range(len(texts)), key=lambda row: texts[row]), dtype=np.int64)
    _, place = np.unique(group[alphabetical], return_index=True)
    return alphabetical[place][group]


def words_alone(text: str) -> str:
    """Return a text in lower case, with a blank for each run of other characters than letters and digits.

    A text that has neither stays as it is.
    """
    return _NOT_A_WORD.sub(" ", text.casefold()).strip() or text


def _candidates(signatures: npt.NDArray[np.uint32]) -> tuple[IntArray, IntArray]:
    """Return pairs of texts that agree in a whole band, each text with the next few of its bucket."""
    n = len(signatures)
    # Two hashes in one number halve what is sorted; which of them counts first does not matter.
    hashes = np.ascontiguousarray(signatures).view(np.uint64)
    pairs = [np.empty(0, dtype=np.int64)]
    for start in range(0, _HASHES // 2, _BAND // 2):
        # A bucket is in the order of the hashes behind the band, so that those most alike stand side by side.
        places = (start + np.arange((_BAND + _BEHIND) // 2)) % hashes.shape[1]
        order = np.lexsort(hashes[:, places[::-1]].T)
        in_order = hashes[order, start : start + _BAND // 2]
        for further in range(1, min(_NEIGHBORS, n - 1) + 1):
            same = (in_order[further:] == in_order[:-further]).all(axis=1)
            both = order[:-further][same], order[further:][same]
            pairs.append(np.minimum(*both) * n + np.maximum(*both))
    first, second = np.divmod(np.unique(np.concatenate(pairs)), n)
    return first, second


def _are_alike(signatures: npt.NDArray[np.uint32], first: IntArray, second: IntArray) -> npt.NDArray[np.bool_]:
    """Return which pairs are near-duplicates, a block of them at a time."""
    alike = np.empty(len(first), dtype=bool)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        same = signatures[first[part]] == signatures[second[part]]
        alike[part] = same.mean(axis=1) >= LEAST_SIMILARITY
    return alike


def _signatures(texts: Sequence[str]) -> npt.NDArray[np.uint32]:
    """Return the (N, H) least values that H hash functions take over the shingles of each text."""
    rng = np.random.default_rng(20240817)  # fixed: a text has one signature in every run
    factors = rng.integers(0, 2**63, _HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    summands = rng.integers(0, 2**63, _HASHES, dtype=np.uint64)
    signatures = np.empty((len(texts), _HASHES), dtype=np.uint32)
    for rows in _blocks(texts):
        shingles, starts = _shingles(texts[rows])
        for number, (factor, summand) in enumerate(zip(factors, summands, strict=True)):
            hashed = ((shingles * factor + summand) >> np.uint64(32)).astype(np.uint32)
            signatures[rows, number] = np.minimum.reduceat(hashed, starts)
    return signatures


def _shingles(texts: Sequence[str]) -> tuple[_Hashes, IntArray]:
    """Return hashes of all shingles, text after text, and where each text's begin; each text has at least one."""
    padded = [text.ljust(_SHINGLE) for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    windows = np.zeros(len(codes) - _SHINGLE + 1, dtype=np.uint64)
    for offset in range(_SHINGLE):
        windows = windows * _BASE + codes[offset : offset + len(windows)]
    windows ^= windows >> np.uint64(29)
    windows *= _BASE
    ends = np.cumsum(lengths)
    counts = lengths - _SHINGLE + 1
    # Windows that begin in the last characters of a text reach into the next one.
    within = np.ones(len(codes), dtype=bool)
    for offset in range(1, _SHINGLE):
        within[ends - offset] = False
    return windows[within[: len(windows)]], np.concatenate([[0], np.cumsum(counts)[:-1]])


def _blocks(texts: Sequence[str]) -> Iterator[slice]:
    """Part texts so that a block has about a million characters, or one text."""
    first, size = 0, 0
    for row, text in enumerate(texts):
        if size and size + len(text) > _CHARACTERS_AT_ONCE:
            yield slice(first, row)
            first, size = row, 0
        size += max(len(text), _SHINGLE)
    yield slice(first, len(texts))
