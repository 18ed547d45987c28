"""What a judge that reads texts one by one says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

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
    report
        What judging took, as `RankedWindows.report`; may be empty.
    """

    theory: str
    value: str
    texts: npt.NDArray[np.object_]
    utility: FloatArray
    failures: npt.NDArray[np.object_]
    details: Mapping[str, FloatArray] = field(default_factory=dict)
    report: Mapping[str, object] = field(default_factory=dict)

    def of(self, texts: Sequence[str] | npt.NDArray[np.object_]) -> FloatArray:
        """Return the utilities of M texts, equal ones allowed, (M,).

        Raises
        ------
        KeyError
            A text is not among these.
        """
        number = {text: place for place, text in enumerate(self.texts)}
        return self.utility[[number[text] for text in texts]]

    @classmethod
    def joined(cls, parts: Sequence["TextUtilities"]) -> Self:
        """Return what a judge said in several batches, on one value, as one: a text of several batches counts once.

        The report is the last one's.
        """
        texts = np.concatenate([part.texts for part in parts])
        number = {text: place for place, text in reversed([*enumerate(texts)])}
        kept = sorted(number.values())
        return cls(
            parts[0].theory,
            parts[0].value,
            texts[kept],
            np.concatenate([part.utility for part in parts])[kept],
            np.concatenate([part.failures for part in parts])[kept],
            {name: np.concatenate([part.details[name] for part in parts])[kept] for name in parts[0].details},
            parts[-1].report,
        )
