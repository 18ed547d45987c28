"""Sampling that follows what the rankings so far tell of each response."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.run import InputError
from valueflow.vidb.anchors import Anchors
from valueflow.vidb.sampling import BucketSampling, Indices, Uniforms

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AdaptiveSampling:
    """The first window by buckets; each further one of the anchors that tell most about the response.

    Windows are judged in rounds, one window of each response that goes on. A response takes part in at most `m` rounds.

    Attributes
    ----------
    target_se
        A response goes no further once the standard deviation of its posterior is at most this, in points.
    min_windows
        Windows that each response gets in any case (where `m` allows), not counting those the judge failed on.
    min_gain
        Nor does it go on where the next window is expected to raise the precision, 1 / variance, by a smaller share
        than this: a response far from all anchors, of which no window tells much.
    repeat_factor
        What an anchor counts for in the choice, for each time that the response has met it: below 1, so that an
        anchor whose own intensity is wrong does not decide alone.
    """

    target_se: float = 1.0
    min_windows: int = 2
    min_gain: float = 0.05
    repeat_factor: float = 0.7

    def __post_init__(self) -> None:
        if not (_is_number(self.target_se) and self.target_se > 0):
            raise InputError(f"target_se={self.target_se}: give a number above 0, in points")
        if not (isinstance(self.min_windows, int) and not isinstance(self.min_windows, bool) and self.min_windows >= 1):
            raise InputError(f"min_windows={self.min_windows}: give a whole number of 1 or more")
        if not (_is_number(self.min_gain) and 0 <= self.min_gain < 1):
            raise InputError(f"min_gain={self.min_gain}: give a share from 0 to below 1")
        if not (_is_number(self.repeat_factor) and 0 < self.repeat_factor <= 1):
            raise InputError(f"repeat_factor={self.repeat_factor}: give a factor above 0, at most 1")

    def draw(self, anchors: Anchors, uniforms: Uniforms) -> Indices:
        """Draw first windows as `AnchorSampling.draw` says."""
        return BucketSampling().draw(anchors, uniforms)

    def is_reached(self, sd: FloatArray, misreading: float) -> npt.NDArray[np.bool_]:
        """Return which responses are known well enough, by the standard deviations (N,) of their posteriors.

        What a judge misreads by a standard deviation of `misreading` it misreads in every window. To know better than
        half of that is worth no call.
        """
        return np.asarray(sd <= max(self.target_se, misreading / 2), dtype=np.bool_)

    def is_exhausted(self, sd: FloatArray, information: FloatArray) -> npt.NDArray[np.bool_]:
        """Return for which responses a window of the given expected information (N,) promises too little."""
        return np.asarray(information * sd**2 < self.min_gain, dtype=np.bool_)


def _is_number(entry: object) -> bool:
    return isinstance(entry, int | float) and not isinstance(entry, bool) and math.isfinite(entry)
