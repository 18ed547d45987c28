"""Rows given to owners that compete for them: each as many as it needs, no row to two of them."""

from collections.abc import Callable
from itertools import chain, repeat

import numpy as np

from valueflow.hives.data import BoolArray, IntArray
from valueflow.hives.sampling.drawing import draw_positions
from valueflow.hives.sampling.lists import Lists, places_in, starts_of


def assign_rows(
    pools: Lists,
    lengths: IntArray,
    owners: IntArray,
    need: IntArray,
    taken: IntArray,
    rng: np.random.Generator,
    *,
    first: tuple[int, ...],
    last: int | None,
    fits: Callable[[IntArray, IntArray], BoolArray] | None = None,
) -> tuple[IntArray, IntArray]:
    """Give each owner as many rows of its pools as it needs, no row to two of them.

    For each row that an owner still needs, one of its pools is drawn, then a row of the pool that is free. That is done
    in rounds, for all owners at once, until all have enough.

    Parameters
    ----------
    pools, lengths
        Pool i is `lengths[i]` entries of `pools.rows` from `pools.starts[i]` on.
    owners
        Owner of each pool, ascending.
    need
        (owners,) rows that each owner needs.
    taken
        Rows that cannot be given.
    rng
        Random numbers.
    first
        How many rows of each pool are looked at in the first rounds.
    last
        How many in all further rounds, which end when one of them finds nothing: whoever then lacks a row has no free
        one in any window of this size. None for no further rounds.
    fits
        From owners and rows to which rows can be given to whom; None: all.

    Returns
    -------
    owners, rows
        Who gets which row.
    """
    need, taken = need.copy(), np.sort(taken)
    given: list[tuple[IntArray, IntArray]] = []
    for size in chain(first, () if last is None else repeat(last)):
        live = np.flatnonzero(need[owners] > 0)
        if not live.size:
            break
        owner = owners[live]
        pool, positions = draw_positions(pools.starts[live], lengths[live], size, rng)
        rows = pools.rows[positions]
        free = ~_among(rows, taken)
        if fits is not None:
            free &= fits(owner[pool], rows)
        pool, rows = pool[free], rows[free]
        order = np.argsort(pool + rng.random(pool.size))
        rows = rows[order]
        new_owners, new_rows = _claim(owner, np.bincount(pool, minlength=live.size), rows, need, rng)
        if not new_rows.size and size == last:
            break
        given.append((new_owners, new_rows))
        need -= np.bincount(new_owners, minlength=need.size)
        taken = np.sort(np.concatenate([taken, new_rows]))
    if not given:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate([pair[0] for pair in given]), np.concatenate([pair[1] for pair in given])


def _claim(
    owners: IntArray, found: IntArray, rows: IntArray, need: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Let each owner claim rows of its pools at random; who claims a row first has it.

    `rows` holds the `found` rows of pool after pool. At least one is given where an owner in need has any.
    """
    filled = np.flatnonzero(found)
    choices = np.bincount(owners[filled], minlength=need.size)
    claimants = np.repeat(np.arange(need.size), np.where(choices > 0, need, 0))
    first = starts_of(choices)[claimants]
    pick = filled[first + (rng.random(claimants.size) * choices[claimants]).astype(np.int64)]
    pick.sort()
    place = places_in(np.bincount(pick, minlength=found.size))
    there = place < found[pick]
    pick = pick[there]
    claimed, index = np.unique(rows[starts_of(found)[pick] + place[there]], return_index=True)
    return owners[pick[index]], claimed


def _among(rows: IntArray, ascending: IntArray) -> BoolArray:
    """Return which rows are in an ascending array, which is not empty."""
    near = np.minimum(np.searchsorted(ascending, rows), ascending.size - 1)
    return np.asarray(ascending[near] == rows, dtype=np.bool_)
