"""The anchors that a judge gave utilities, those of all values in one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.judge import TextUtilities
from valueflow.run import InputError
from valueflow.vidb import Anchors

FEWEST_ANCHORS = 9
"""Of all values: the fewest by which an interval that holds nine times in ten is finite."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def check_anchor_count(known: int, total: int) -> None:
    """Raise InputError where fewer than `FEWEST_ANCHORS` of all anchors are known to the judge."""
    if known < FEWEST_ANCHORS:
        failed = f" ({total}, less {total - known} that the judge could not read)" if known < total else ""
        raise InputError(f"vidb: {known} anchors{failed}; estimator=regression needs {FEWEST_ANCHORS} at least")


@dataclass(frozen=True, eq=False)
class ReadAnchors:
    """A anchors of V values that a judge gave a utility.

    Attributes
    ----------
    texts
        (A,) their texts.
    utility, rating
        (A,) what the judge says of each, and its known intensity.
    value
        (A,) number of its value.
    text
        (A,) number of its text; copies have one.
    own
        Number of the value that is scored.
    """

    texts: npt.NDArray[np.object_]
    utility: FloatArray
    rating: FloatArray
    value: IntArray
    text: IntArray
    own: int

    @classmethod
    def of(cls, read: Sequence[TextUtilities], anchors: Sequence[Anchors], own: Anchors) -> "ReadAnchors":
        """Join the utilities of all sets of anchors; anchors that the judge failed to read are left out.

        Raises
        ------
        InputError
            Fewer than `FEWEST_ANCHORS` are left.
        """
        utility = np.concatenate([part.of(each.texts) for part, each in zip(read, anchors, strict=True)])
        texts = np.concatenate([each.texts for each in anchors])
        known = np.isfinite(utility)
        check_anchor_count(int(known.sum()), len(known))
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts[known]))}
        return cls(
            texts=texts[known],
            utility=utility[known],
            rating=np.concatenate([each.intensities for each in anchors])[known],
            value=np.repeat(np.arange(len(anchors)), [len(each) for each in anchors])[known],
            text=np.array([numbers[text] for text in texts[known]]),
            own=next(number for number, each in enumerate(anchors) if each is own),
        )

    def __len__(self) -> int:
        return len(self.utility)

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> "ReadAnchors":
        """Return some of the anchors."""
        numbers = np.unique(self.text[rows], return_inverse=True)[1]
        return ReadAnchors(self.texts[rows], self.utility[rows], self.rating[rows], self.value[rows], numbers, self.own)

    @property
    def is_own(self) -> npt.NDArray[np.bool_]:
        """(A,) whether it is an anchor of the value that is scored."""
        return np.asarray(self.value == self.own, dtype=np.bool_)
