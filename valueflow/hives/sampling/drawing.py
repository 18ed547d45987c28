"""Random numbers that depend on a place alone, and different positions drawn from lists of any length."""

import math
from functools import lru_cache

import numpy as np

from valueflow.hives.data import IntArray
from valueflow.hives.sampling.lists import places_in

SPARE = 8
"""How many more rows than needed are looked at, since some will be taken or will not do."""

EPOCH_STREAM, BATCH_STREAM, ROUND_STREAM, MEMBER_STREAM = range(4)
"""First words of a random stream's seed, so that no two uses share a stream."""


def random_stream(seed: int, *place: int) -> np.random.Generator:
    """Random numbers that depend on nothing but seed and place."""
    # The seed, which may be of any length, comes last: so no two places can be read as the same sequence of words.
    return np.random.default_rng([*place, int(seed < 0), abs(seed)])


def draw_positions(
    starts: IntArray, lengths: IntArray, size: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Draw `size` different positions of each list, or all: the list of each, and its position.

    From a random start, positions are taken in random strides around a circle whose length is the first prime from the
    list's length on: no position comes twice, and any two are equally likely to come together. What falls behind the
    end of the list is left out; as many more are taken, so some windows are a little larger than asked for.
    """
    primes = _primes_up_to(4 ** (int(lengths.max(initial=1)).bit_length() // 2 + 1))
    circles = primes[np.searchsorted(primes, lengths)]
    counts = np.where(lengths > 0, np.minimum(size + circles - lengths, circles), 0)
    stride, begin = rng.integers(1, circles), rng.integers(0, circles)
    of = np.repeat(np.arange(lengths.size), counts)
    offsets = (begin[of] + places_in(counts) * stride[of]) % circles[of]
    there = offsets < lengths[of]
    of = of[there]
    return of, starts[of] + offsets[there]


@lru_cache
def _primes_up_to(limit: int) -> IntArray:
    """Sieve the primes up to a limit, ascending."""
    prime = np.ones(limit + 1, dtype=bool)
    prime[:2] = False
    for number in range(2, math.isqrt(limit) + 1):
        if prime[number]:
            prime[number * number :: number] = False
    return np.flatnonzero(prime)
