"""What a model is steered to: values with intensities, and which anchors stand for an intensity."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

INTENSITIES = (-2, -1, 0, 1, 2)


@dataclass(frozen=True)
class Target:
    """A value and how strongly it is to show.

    Attributes
    ----------
    value
        The value's id in its theory.
    intensity
        -2 (strongly rejected) to 2 (strongly valued); 0 asks for neither.
    """

    value: str
    intensity: int


def intensity_bins(
    intensities: npt.NDArray[np.float64], *, slight_from: float, strong_beyond: float
) -> npt.NDArray[np.int64]:
    """Return the steering intensity that each anchor stands for.

    Parameters
    ----------
    intensities
        (A,) intensities of anchors in [-10, 10].
    slight_from, strong_beyond
        Bounds on both sides of 0: an absolute intensity from `slight_from` to `strong_beyond` is slight (1 or -1),
        above it strong (2 or -2), below `slight_from` neutral (0).

    Returns
    -------
    (A,) array
        -2, -1, 0, 1 or 2.
    """
    strength = np.abs(intensities)
    size = (strength >= slight_from).astype(np.int64) + (strength > strong_beyond)
    return np.asarray(np.sign(intensities).astype(np.int64) * size, dtype=np.int64)
