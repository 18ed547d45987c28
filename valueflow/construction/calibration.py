"""From utilities, whose scale is the judge's, to intensities in [-10, 10]."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

FloatArray = npt.NDArray[np.float64]

LARGEST_SHARE = 0.98
"""Without known ratings, this share of the texts on each side lies within the ends of the scale."""


@dataclass(frozen=True)
class Scale:
    """A monotone, piecewise linear way from utilities to intensities.

    Attributes
    ----------
    utilities
        (P,) places, ascending.
    intensities
        (P,) their intensities, not descending, within [-10, 10]. Beyond the first and the last place the scale goes on
        with the slope between these two, up to its ends.
    """

    utilities: FloatArray
    intensities: FloatArray

    def rate(self, utility: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return intensities and their standard errors.

        Parameters
        ----------
        utility, error
            (N,) utilities and their standard errors.

        Returns
        -------
        intensities : (N,) array
            Within [-10, 10].
        errors : (N,) array
            Half of what the scale makes of the interval from one standard error below to one above: where the scale is
            flat it is 0, and at its ends it shrinks.
        """
        return self._at(utility), (self._at(utility + error) - self._at(utility - error)) / 2

    def _at(self, utility: FloatArray) -> FloatArray:
        places, heights = self.utilities, self.intensities
        slope = (heights[-1] - heights[0]) / (places[-1] - places[0])
        beyond = slope * (np.minimum(utility - places[0], 0) + np.maximum(utility - places[-1], 0))
        inside = np.interp(utility, places, heights)
        return np.asarray(np.clip(inside + beyond, LOWEST_INTENSITY, HIGHEST_INTENSITY), dtype=np.float64)


def isotonic_scale(utility: FloatArray, rating: FloatArray, neutral: FloatArray | None = None) -> Scale:
    """Learn the scale from texts whose intensities are known.

    Parameters
    ----------
    utility, rating
        (C,) utilities and known intensities of two texts or more that differ in both.
    neutral
        Utilities of texts known to be neutral: their median is fixed at 0, and texts rated on the other side of it
        count as 0.

    Returns
    -------
    Scale
        The least-squares monotone fit (pool adjacent violators), joined by straight lines between the middles of its
        steps.

    Raises
    ------
    ValueError
        The fit is flat: the judge orders these texts at random, or against their ratings.

    References
    ----------
    Barlow, R. E. et al. (1972). Statistical inference under order restrictions. Wiley.
    """
    order = np.argsort(utility, kind="stable")
    places, ratings = utility[order], rating[order]
    middle = None if neutral is None or not len(neutral) else float(np.median(neutral))
    if middle is None:
        fitted = isotonic_regression(ratings).x
    else:
        below = places < middle
        # Each side by itself, at most and at least 0.
        sides = [isotonic_regression(ratings[side]).x if side.any() else ratings[side] for side in (below, ~below)]
        fitted = np.concatenate([np.minimum(sides[0], 0.0), np.maximum(sides[1], 0.0)])
    _, step = np.unique(fitted, return_inverse=True)
    middles = np.bincount(step, weights=places) / np.bincount(step)
    heights = np.unique(fitted)
    if middle is not None:
        keep = heights != 0
        middles, heights = np.append(middles[keep], middle), np.append(heights[keep], 0.0)
        ascending = np.argsort(middles, kind="stable")
        middles, heights = middles[ascending], heights[ascending]
    if len(heights) < 2:
        raise ValueError("the judge does not order these texts as their ratings do")
    return Scale(middles, heights)


def symmetric_scale(utility: FloatArray, neutral: FloatArray | None = None) -> Scale:
    """Set the scale where no intensities are known.

    0 is the median of the neutral texts, or of all where none is known to be neutral. On each side of it the scale is
    straight, and 98% of that side's texts lie within its end; a side without texts takes the slope of the other.

    Parameters
    ----------
    utility
        (N,) utilities, not all alike.
    neutral
        Utilities of texts known to be neutral.

    Raises
    ------
    ValueError
        All utilities are alike.
    """
    middle = float(np.median(utility if neutral is None or not len(neutral) else neutral))
    distances = np.abs(utility - middle)
    if not distances.max(initial=0.0) > 0:
        raise ValueError("all utilities are alike")
    reach = [
        float(np.quantile(distances[side], LARGEST_SHARE)) if side.any() else 0.0
        for side in (utility < middle, utility > middle)
    ]
    low, high = (own if own > 0 else max(reach) for own in reach)
    return Scale(np.array([middle - low, middle, middle + high]), np.array([LOWEST_INTENSITY, 0.0, HIGHEST_INTENSITY]))
