"""Which texts do not behave as their utility says."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def outfit(rankings: npt.NDArray[np.intp], utility: FloatArray, error: FloatArray, slope: FloatArray) -> FloatArray:
    r"""Measure how surprising each text's comparisons are.

    Every pair of texts in a window is a comparison, won with probability p = 1 / (1 + exp(-b (u_i - u_j))). Its squared
    standardised residual is (1 - p) / p where the likelier side's loss is the surprise; the outfit of a text is the
    mean over its comparisons. It is about 1 where the model holds.

    Parameters
    ----------
    rankings
        (R, K) texts, the most supportive first.
    utility, error
        (N,) estimates and their standard errors. What is not known of two utilities makes p milder, as in probit
        averaging: b is divided by sqrt(1 + pi b^2 s^2 / 8).
    slope
        (R,) of each ranking's judge.

    Returns
    -------
    (N,) array
        NaN for a text without a comparison.

    References
    ----------
    Wright, B. D. and Masters, G. N. (1982). Rating scale analysis. MESA Press. Values above 2 are commonly read as
    distorting (Linacre, 2002).
    """
    k = rankings.shape[1]
    first, second = np.triu_indices(k, 1)
    winner, loser = rankings[:, first], rankings[:, second]
    steep = slope[:, None]
    doubt = error[winner] ** 2 + error[loser] ** 2
    distance = steep * (utility[winner] - utility[loser]) / np.sqrt(1 + np.pi / 8 * steep**2 * doubt)
    # (1 - p)^2 / (p (1 - p)) = exp(-distance); bounded, so that one window cannot be infinite.
    surprise = np.exp(np.clip(-distance, -20, 20)).ravel()
    sides = np.concatenate([winner.ravel(), loser.ravel()])
    count = np.bincount(sides, minlength=len(utility))
    total = np.bincount(sides, weights=np.concatenate([surprise, surprise]), minlength=len(utility))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
