"""Which texts meet in which window: every text equally often, all of them connected."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from valueflow.run import keyed_uniforms, split_keys

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]

_NEAR = 0.3
"""Noise, as a share of standard errors, that is added to estimates before texts are sorted by them: enough that
neighbors change. With draws from the posterior (1), texts meet that are too far apart to tell much: a tenth more calls
for the same correlation with the truth."""

_FAR, _EVERY = 1.0, 3
"""Least noise of every third round, in utilities. Near texts alone tell little of how far apart the ends of the scale
are: where utilities go from -10 to 10, windows of four near texts saved next to nothing."""

_SALT_RANDOM, _SALT_INFORMED = 0, 1


def random_rounds(keys: npt.NDArray[np.uint64], k: int, rounds: Sequence[int]) -> IntArray:
    """Draw windows in which every text appears once a round.

    Round 0 cuts a random ring of all texts into windows, and round 1 goes around the same ring again with the cuts in
    other places, so that after these two, drawn in one call, all texts hang together; each further round is a random
    order of its own.

    Parameters
    ----------
    keys
        (N,) a key for each text; what is drawn depends on nothing else. Different texts have different keys.
    k
        Texts in a window, from 2 to N.
    rounds
        Which rounds, each from 0, in order.

    Returns
    -------
    (W, k) array
        Indices of texts, none twice in a window. Where k does not divide N, a round's last texts are in a window with
        the next round's first; where the last window would not be full, it gets texts of a further round.
    """
    ring = _order(keys, 0)
    # Where k does not divide N the cuts shift by themselves, as the last window of a round goes on into the next one.
    shift = k // 2 if len(keys) % k == 0 else 0
    orders = [
        np.roll(ring, -shift * number) if number < 2 else _order(keys, number)
        for number in (*rounds, max(rounds, default=0) + 2)
    ]
    return _into_windows(orders[:-1], orders[-1], k)


def informed_round(
    keys: npt.NDArray[np.uint64], k: int, utility: FloatArray, error: FloatArray, number: int
) -> IntArray:
    """Draw windows of texts with near utilities, in which every text appears once.

    The order of two texts far apart is known before it is asked. So texts are sorted by their estimated utility, with
    noise, and neighbors go into one window. The noise is small in two rounds and larger in every third (2, 5, 8, ...),
    which holds the order at large. In odd rounds the cuts between windows lie elsewhere, around a ring: one window then
    has texts of both ends.

    Parameters
    ----------
    keys, k
        As in `random_rounds`.
    utility, error
        (N,) estimates so far and their standard errors; NaN where a text has none yet, which then moves by at least 1.
    number
        Of the round; another number adds other noise.

    Returns
    -------
    (W, k) array
    """
    noise = ndtri(np.clip(_uniforms(keys, number, _SALT_INFORMED), 1e-9, 1 - 1e-9))
    width = np.where(np.isnan(error), _FAR, _NEAR * error)
    if number % _EVERY == _EVERY - 1:
        width = np.hypot(width, _FAR)
    order = np.argsort(utility + width * noise, kind="stable")
    order = np.roll(order, -(k // 2) * (number % 2))
    # Where k does not divide N, the last window is filled from the texts before it.
    return _into_windows([order], order[::-1], k)


def _into_windows(orders: Sequence[IntArray], filling: IntArray, k: int) -> IntArray:
    """Divide orders of all texts, one behind the other, into windows of k different texts."""
    row = orders[0] if orders else np.zeros(0, dtype=np.intp)
    for order in orders[1:]:
        row = np.concatenate([row, _behind(row, order, k)])
    if len(row) % k:
        row = np.concatenate([row, _behind(row, filling, k)[: k - len(row) % k]])
    return row.reshape(-1, k)


def _behind(row: IntArray, order: IntArray, k: int) -> IntArray:
    """Return an order of all texts in which those that the row's last, open window holds come last."""
    open_ = row[len(row) - len(row) % k :]
    is_held = np.isin(order, open_)
    return np.concatenate([order[~is_held], order[is_held]])


def _order(keys: npt.NDArray[np.uint64], number: int) -> IntArray:
    return np.argsort(_uniforms(keys, number, _SALT_RANDOM), kind="stable")


def _uniforms(keys: npt.NDArray[np.uint64], number: int, salt: int) -> FloatArray:
    return keyed_uniforms(split_keys(keys, number + 1)[:, number], 2)[:, salt]
