"""How near a model's distribution of answers is to a group's: to its own group's, and to other groups'.

Distributions and positions are (n, K) arrays, K the most options that a question has; options beyond a question's own
have probability 0 and no position. A row without a distribution is NaN.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.statistics import Codes, Values, cluster_codes

Nearness = Callable[[Values, Values, Values], Values]
"""Distributions, others, positions, (n, K) each -> (n,) how near they are, 1 where they are equal."""

_PAIRS_AT_ONCE = 500_000


def wasserstein_alignment(answers: Values, gold: Values, positions: Values) -> Values:
    """Return 1 less the Wasserstein distance of two distributions over ordered options, in units of the whole scale.

    Parameters
    ----------
    answers, gold
        (n, K) distributions.
    positions
        (n, K) where the options stand. Those with NaN are on no scale: distributions are taken without them.

    Returns
    -------
    (n,) array
        In [0, 1]; with evenly spaced options this is 1 - W/(options - 1) of Santurkar et al. 2023, Whose opinions do
        language models reflect? NaN where the options have no order, or a distribution is on no scale.
    """
    order = np.argsort(positions, axis=1)  # NaN goes last
    places = np.take_along_axis(positions, order, axis=1)
    on_scale = ~np.isnan(places)
    cumulative = [
        np.cumsum(_on_scale(np.take_along_axis(shares, order, axis=1), on_scale), axis=1) for shares in (answers, gold)
    ]
    gaps = np.nan_to_num(np.diff(places, axis=1))
    moved = (np.abs(cumulative[0] - cumulative[1])[:, :-1] * gaps).sum(axis=1)
    nearness: Values = np.clip(1 - divided(moved, gaps.sum(axis=1)), 0, 1)
    return nearness


def jensen_shannon_distance(answers: Values, gold: Values) -> Values:
    """Return the Jensen-Shannon distance to base 2 of distributions over all options, in [0, 1]; (n, K) -> (n,).

    The root of the divergence (Endres and Schindelin 2003, A new metric for probability distributions).
    """
    from scipy.special import rel_entr

    middle = (answers + gold) / 2
    divergence = (rel_entr(answers, middle) + rel_entr(gold, middle)).sum(axis=1) / (2 * np.log(2))
    # Rounding can leave a tiny negative sum of near equal distributions.
    distance: Values = np.sqrt(np.clip(divergence, 0, 1))
    return distance


def jensen_shannon_nearness(answers: Values, gold: Values, _: Values) -> Values:
    """Return 1 less the Jensen-Shannon distance, for all questions whether their options are ordered or not."""
    return 1 - jensen_shannon_distance(answers, gold)


def majority_alignment(gold: Values, positions: Values, nearness: Nearness) -> Values:
    """Return how near an answer is that names the group's most frequent option; the mean of those that tie."""
    return _mean_over(gold == gold.max(axis=1, keepdims=True), _of_each_option(gold, positions, nearness))


def best_option_alignment(gold: Values, positions: Values, nearness: Nearness) -> Values:
    """Return how near the best single option is: the most that an answer without a distribution can reach."""
    each = _of_each_option(gold, positions, nearness)
    best = np.where(np.isnan(each), -np.inf, each).max(axis=1)
    return np.where(np.isinf(best), np.nan, best)


def sampling_alignment(gold: Values, positions: Values, draws: int) -> Values:
    """Return the alignment to expect of answers drawn from the group's own distribution over ordered options.

    Parameters
    ----------
    gold, positions
        (n, K) as `wasserstein_alignment` takes them.
    draws
        Answers drawn to each question.

    Notes
    -----
    The distance is a sum over the gaps of the scale of the absolute difference of two cumulative shares; the drawn one
    is a binomial share, whose mean absolute deviation is known (De Moivre 1730): 2 v (1 - F) P(v) / draws, v the next
    whole number above draws times F.
    """
    from scipy import stats

    order = np.argsort(positions, axis=1)
    places = np.take_along_axis(positions, order, axis=1)
    shares = _on_scale(np.take_along_axis(gold, order, axis=1), ~np.isnan(places))
    below = np.clip(np.cumsum(shares, axis=1)[:, :-1], 0, 1)
    above = np.minimum(np.floor(draws * below) + 1, draws)
    deviation = 2 * above * (1 - below) * stats.binom.pmf(above, draws, below) / draws
    gaps = np.nan_to_num(np.diff(places, axis=1))
    return 1 - divided((deviation * gaps).sum(axis=1), gaps.sum(axis=1))


@dataclass(frozen=True)
class OtherGroups:
    """For each answer, the answers whose question is the same and whose group is another one.

    Attributes
    ----------
    mine, others
        (P,) indices of the answers: each answer with each of its others.
    same_kind
        (n,) whether its others are groups of the same kind, as other incomes are of an income. These are taken where
        the question is asked of one, and groups of any kind where it is not.
    """

    mine: Codes
    others: Codes
    same_kind: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, questions: Codes, attributes: Sequence[str], kinds: Sequence[str]) -> "OtherGroups":
        """Pair answers; (n,) question, group and kind of group of each."""
        members, kind = cluster_codes(attributes), cluster_codes(kinds)
        order = np.argsort(questions, kind="stable")
        sizes = np.bincount(questions)
        starts = np.cumsum(sizes) - sizes
        times = sizes[questions]
        mine = np.repeat(np.arange(len(questions)), times)
        # 0, 1, ... within each answer's block of pairs.
        within = np.arange(len(mine)) - np.repeat(np.cumsum(times) - times, times)
        others = order[starts[questions[mine]] + within]
        apart = members[mine] != members[others]
        mine, others = mine[apart], others[apart]
        alike = kind[mine] == kind[others]
        same_kind = np.bincount(mine[alike], minlength=len(questions)) > 0
        taken = alike | ~same_kind[mine]
        return cls(mine[taken], others[taken], same_kind)

    def gain(self, before: Values, after: Values, gold: Values, positions: Values, nearness: Nearness) -> Values:
        """Return how much nearer `after` is than `before` to the other groups' distributions, on average; (n,).

        NaN where an answer has no other group, or none to which its distributions can be compared.
        """
        sums, counts = np.zeros(len(gold)), np.zeros(len(gold))
        for start in range(0, len(self.mine), _PAIRS_AT_ONCE):
            mine, others = (side[start : start + _PAIRS_AT_ONCE] for side in (self.mine, self.others))
            towards, scale = gold[others], positions[mine]
            gained = nearness(after[mine], towards, scale) - nearness(before[mine], towards, scale)
            known = ~np.isnan(gained)
            sums += np.bincount(mine[known], weights=gained[known], minlength=len(gold))
            counts += np.bincount(mine[known], minlength=len(gold))
        return divided(sums, counts)


def _on_scale(shares: Values, on_scale: npt.NDArray[np.bool_]) -> Values:
    """Return distributions over the options that are on a scale; NaN where nothing is on it."""
    kept = np.where(on_scale, shares, 0)
    total = kept.sum(axis=1, keepdims=True)
    return divided(kept, total)


def _of_each_option(gold: Values, positions: Values, nearness: Nearness) -> Values:
    """Return (n, K) how near each option alone is to the distribution; NaN where that is not known."""
    each = np.empty(gold.shape)
    for option in range(gold.shape[1]):
        alone = np.zeros(gold.shape)
        alone[:, option] = 1
        each[:, option] = nearness(alone, gold, positions)
    return each


def _mean_over(chosen: npt.NDArray[np.bool_], figures: Values) -> Values:
    known = chosen & ~np.isnan(figures)
    count = known.sum(axis=1)
    sums = np.where(known, figures, 0).sum(axis=1)
    return divided(sums, count)


def divided(sums: Values, counts: npt.ArrayLike) -> Values:
    """Return sums over counts, NaN where a count is 0; counts broadcast."""
    numbers = np.broadcast_to(np.asarray(counts, dtype=np.float64), sums.shape)
    quotients = np.full(sums.shape, np.nan)
    np.divide(sums, numbers, out=quotients, where=numbers > 0)
    return quotients
