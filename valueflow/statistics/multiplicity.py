"""Correction of p-values for how many hypotheses are tested."""

import numpy as np
import numpy.typing as npt


def holm(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Adjust p-values so that the chance of any false rejection in the family is kept, whatever their dependence.

    Parameters
    ----------
    p
        (T,) p-values of a family; NaN is no test and stays NaN.

    Returns
    -------
    (T,) array
        Adjusted p-values; a hypothesis is rejected where it is at most the level.

    Notes
    -----
    Holm (1979), A simple sequentially rejective multiple test procedure: the i-th smallest of n p-values is multiplied
    by n - i + 1, and none may fall below a smaller one's.
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
