"""Whether a judge orders the anchors at all, and how far its order agrees with their ratings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr

from .windows import FloatArray, IntArray


@dataclass(frozen=True)
class OrderCheck:
    """How far a judge's orders of anchors follow the ratings.

    Attributes
    ----------
    z : float
        Score test of beta = 0 over windows: about standard normal for a judge that ranks each window at random.
    z_over_anchors : float
        The same question over anchors: whether those of higher rating are placed higher on average, as a normal
        deviate. A judge that always sees a text in the same, arbitrary place passes the test over windows half of the
        time, and this one as rarely as chance would. NaN below three anchors.
    agreement : float
        Share of pairs in the order of their ratings less the share of those against it: Kendall's tau over all pairs.
    agreement_se : float
        Its standard error, by the jackknife over anchors: windows that share an anchor share the judge's view of it.
    """

    z: float
    z_over_anchors: float
    agreement: float
    agreement_se: float


def check_order(orders: ArrayLike, ratings: ArrayLike) -> OrderCheck:
    r"""Test whether a judge orders anchors by their ratings.

    At beta = 0 all orders of a window are equally likely. The derivative of the log-likelihood in beta is then
    ``U = sum_s (r_s - mean of r over those left)`` over the stages s of all windows, and its variance the sum of the
    variances of r over those left; ``z = U / sqrt(var)`` (a score test). Grouped by anchor, U is ``sum_a r_a t_a`` with
    t the Savage scores; the test over anchors is that of the correlation of r and t.

    Parameters
    ----------
    orders : (W, J) int array
        Anchors of each window, numbered from 0, the most supportive first.
    ratings : (A,) float array
        Known intensities.

    References
    ----------
    Savage, I. R. (1956). Contributions to the theory of rank order statistics. Annals of Mathematical Statistics 27(3).
    """
    order, rating = np.asarray(orders), np.asarray(ratings, dtype=np.float64)
    in_order = rating[order].T
    j = len(in_order)
    left = np.arange(j, 0, -1)[:, None]
    mean = np.cumsum(in_order[::-1], axis=0)[::-1] / left
    variance = np.cumsum(in_order[::-1] ** 2, axis=0)[::-1] / left - mean**2
    total = float(variance[:-1].sum())
    z = float((in_order - mean)[:-1].sum() / np.sqrt(total)) if total > 1e-12 else float("nan")
    agreement, error = _pair_agreement(order, rating)
    return OrderCheck(z, _z_over_anchors(order, rating), agreement, error)


def _z_over_anchors(order: IntArray, rating: FloatArray) -> float:
    """Test the correlation of ratings with mean Savage scores."""
    correlation, effective = rating_correlation(order, rating)
    if np.isnan(correlation):
        return float("nan")
    # Away from 1, where the ratio below has no bound.
    correlation = float(np.clip(correlation, -1 + 1e-12, 1 - 1e-12))
    ratio = correlation * np.sqrt((effective - 2) / (1 - correlation**2))
    # By the smaller tail: its complement would be rounded to 1.
    return float(-np.sign(ratio) * ndtri(max(stdtr(effective - 2, -abs(ratio)), 1e-300)))


def rating_correlation(order: IntArray, rating: FloatArray) -> tuple[float, float]:
    """Correlate ratings with mean Savage scores, weighed by how often anchors were met.

    Returns the correlation, NaN below three anchors or without variance, and as how many equally weighed anchors the
    weights count (Kish), 3 at least.
    """
    n_windows, j = order.shape
    # What an anchor at a place won, less what it was expected to: 1 less the sum of 1 / those left, up to that stage.
    won = np.append(1 - np.cumsum(1 / np.arange(j, 1, -1)), 0.0)
    won[-1] = won[-2] - 1 if j > 1 else 0.0
    met = np.bincount(order.ravel(), minlength=len(rating)).astype(np.float64)
    score = np.bincount(order.ravel(), np.tile(won, n_windows), minlength=len(rating))
    seen = met > 0
    weight, r, t = met[seen] / met[seen].sum(), rating[seen], score[seen] / met[seen]
    r, t = r - weight @ r, t - weight @ t
    spread = np.sqrt((weight @ r**2) * (weight @ t**2))
    if len(r) < 3 or spread <= 1e-12:
        return float("nan"), 3.0
    return float(weight @ (r * t) / spread), max(1 / float(weight @ weight), 3.0)


def _pair_agreement(order: IntArray, rating: FloatArray) -> tuple[float, float]:
    agree, untied = np.zeros(len(rating)), np.zeros(len(rating))
    for earlier, later in combinations(order.T, 2):
        sign = np.sign(rating[earlier] - rating[later])
        for anchors in (earlier, later):
            agree += np.bincount(anchors, sign, minlength=len(rating))
            untied += np.bincount(anchors, np.abs(sign), minlength=len(rating))
    # Each pair was counted for both of its anchors.
    whole, pairs = agree.sum() / 2, untied.sum() / 2
    if pairs == 0:
        return float("nan"), float("nan")
    seen = untied > 0
    n = int(seen.sum())
    rest = pairs - untied[seen]
    without = np.divide(whole - agree[seen], rest, out=np.full(n, np.nan), where=rest > 0)
    if np.isnan(without).any():
        return float(whole / pairs), float("nan")
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    return float(whole / pairs), float(error)
