"""Anchors: texts whose intensity on a value is known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LOWEST_INTENSITY, HIGHEST_INTENSITY = -10.0, 10.0


@dataclass(frozen=True)
class Anchors:
    """The anchors of one value, in an order that does not depend on the file's.

    Attributes
    ----------
    theory, value
        Ids of the theory and of the value.
    texts
        (A,) texts.
    intensities
        (A,) known intensities in [-10, 10], ascending; equal ones in the order of their texts.
    errors
        (A,) their standard errors, NaN where one is unknown; None where the source has none.
    """

    theory: str
    value: str
    texts: npt.NDArray[np.object_]
    intensities: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> "Anchors":
        """Return some of the anchors, by ascending index."""
        errors = None if self.errors is None else self.errors[rows]
        return Anchors(self.theory, self.value, self.texts[rows], self.intensities[rows], errors)
