"""What a judge that reads texts one by one says of them, and windows ranked by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from valueflow.judge.protocol import Criterion, Progress

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TextUtilities:
    """Utilities of N different texts on one value: the higher, the more a text supports it.

    Attributes
    ----------
    theory, value
        Ids of the theory and the value.
    texts
        (N,) the texts, no two equal.
    utility
        (N,) on the judge's own scale; NaN where the judge failed.
    failures
        (N,) why it failed, an empty string where it did not.
    details
        (N,) further figures by name, as the log-probabilities that a utility is made of.
    """

    theory: str
    value: str
    texts: npt.NDArray[np.object_]
    utility: FloatArray
    failures: npt.NDArray[np.object_]
    details: Mapping[str, FloatArray] = field(default_factory=dict)

    def of(self, texts: Sequence[str] | npt.NDArray[np.object_]) -> FloatArray:
        """Return the utilities of M texts, equal ones allowed, (M,).

        Raises
        ------
        KeyError
            A text is not among these.
        """
        number = {text: place for place, text in enumerate(self.texts)}
        return self.utility[[number[text] for text in texts]]


@runtime_checkable
class TextJudge(Protocol):
    """A judge that reads texts one by one: what it says of a text does not depend on other texts."""

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        """Return the utilities of texts on the criterion's value; equal texts are read once, in order of appearance.

        A text that the judge learned from is read without it. Each different text is reported to `progress` once.
        """
        ...

    def anchor_utilities(self, criterion: Criterion, progress: Progress) -> tuple[TextUtilities, ...]:
        """Return the utilities of all anchors of the criterion's VIDB, set by set, each on its set's own value.

        An anchor that the judge learned from is read without it, and without every copy of its text.
        """
        ...
