"""How far two halves of the windows agree."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.plackett_luce import fit_items


@dataclass(frozen=True)
class SplitHalf:
    """Correlations of the utilities that two halves of the windows give.

    Attributes
    ----------
    spearman, pearson
        Of the two halves; None where one of them does not order the texts.
    stepped_up
        What Pearson's correlation would be for two sets as large as the whole, 2 r / (1 + r) (Spearman and Brown,
        1910).
    n_texts
        Texts that stand in both halves.
    """

    spearman: float | None
    pearson: float | None
    stepped_up: float | None
    n_texts: int


def split_half(
    rankings: npt.NDArray[np.intp],
    n_texts: int,
    *,
    judges: npt.NDArray[np.intp] | None,
    windows: npt.NDArray[np.intp],
    prior_precision: float,
    seed: int,
) -> SplitHalf:
    """Fit two halves of the windows by themselves and compare.

    Parameters
    ----------
    rankings
        (R, K) texts of each ranking, the most supportive first.
    n_texts
        N.
    judges
        (R,) which judge; None: one.
    windows
        (R,) which window was ranked: all judges' rankings of a window are in the same half, as they share its texts.
    prior_precision
        Of the fit of the whole.
    seed
        Of the draw of the halves.
    """
    # Slow to load, and needed at the end of a run alone.
    from scipy.stats import pearsonr, spearmanr

    names, place = np.unique(windows, return_inverse=True)
    in_first = np.zeros(len(names), dtype=bool)
    in_first[np.random.default_rng(seed).permutation(len(names))[: len(names) // 2]] = True
    fits, ranked = [], []
    for half in (in_first[place], ~in_first[place]):
        own = None if judges is None else judges[half]
        fits.append(
            fit_items(rankings[half], n_texts, judges=own, prior_precision=prior_precision, errors=False).utility
        )
        ranked.append(np.bincount(rankings[half].ravel(), minlength=n_texts) > 0)
    both = ranked[0] & ranked[1]
    first, second = fits[0][both], fits[1][both]
    if both.sum() < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return SplitHalf(None, None, None, int(both.sum()))
    pearson = float(pearsonr(first, second).statistic)
    stepped_up = 2 * pearson / (1 + pearson) if pearson > -1 else None
    return SplitHalf(float(spearmanr(first, second).statistic), pearson, stepped_up, int(both.sum()))
