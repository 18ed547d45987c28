"""How far judges agree beyond chance."""

import numpy as np
import numpy.typing as npt


def fleiss_kappa(counts: npt.NDArray[np.int64]) -> float | None:
    r"""Fleiss' kappa of votes for named categories.

    .. math::

        P_i = \frac{\sum_c n_{ic} (n_{ic} - 1)}{n_i (n_i - 1)}, \qquad
        p_c = \frac{\sum_i n_{ic}}{\sum_i n_i}, \qquad
        \kappa = \frac{\bar P - \sum_c p_c^2}{1 - \sum_c p_c^2}

    Parameters
    ----------
    counts
        (N, C) how many judges chose each category for each text. Texts may have different numbers n_i of votes, as some
        judges abstain; one with fewer than two says nothing about agreement and is left out. With equal numbers this is
        the published statistic.

    Returns
    -------
    float or None
        1: all agree; 0: as by chance. None where no text has two votes, or all votes are for one category: then chance
        agrees as well.

    References
    ----------
    Fleiss, J. L. (1971). Measuring nominal scale agreement among many raters. Psychological Bulletin 76(5).
    """
    votes = counts.sum(axis=1)
    counts, votes = counts[votes >= 2], votes[votes >= 2]
    if not len(counts):
        return None
    agreeing = (counts * (counts - 1)).sum(axis=1) / (votes * (votes - 1))
    shares = counts.sum(axis=0) / votes.sum()
    by_chance = float((shares**2).sum())
    return None if by_chance == 1 else (float(agreeing.mean()) - by_chance) / (1 - by_chance)
