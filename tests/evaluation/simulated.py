"""Judges that read texts one by one, whose errors are known, and texts that say where they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from valueflow.judge import Criterion, RankedWindows, TextUtilities, Windows
from valueflow.run import Progress, row_keys

VALUES = ("benevolence", "power", "security", "tradition")


@dataclass(frozen=True)
class Reads:
    """A judge whose utility is a line in the number that a text ends with, and always the same error for a text.

    The line of each value is a little different.
    """

    rankings_per_window: ClassVar[int] = 1

    misreading: float = 2.0
    slope: float = 0.4
    fails_on: str = "\0"
    name: str = "reads"
    read: list[str] = field(default_factory=list)

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        raise AssertionError("no window is drawn")

    def text_utilities(self, criterion: Criterion, texts: Sequence[str], progress: Progress) -> TextUtilities:
        self.read.extend(texts)
        return self._utilities(criterion.theory.name, criterion.value, list(dict.fromkeys(texts)), progress)

    def anchor_utilities(self, criterion: Criterion, progress: Progress) -> tuple[TextUtilities, ...]:
        return tuple(
            self._utilities(anchors.theory, anchors.value, list(anchors.texts), progress)
            for anchors in criterion.vidb.anchors
        )

    def describe(self) -> dict[str, object]:
        return {"kind": self.name, "misreading": self.misreading}

    def _utilities(self, theory: str, value: str, texts: list[str], progress: Progress) -> TextUtilities:
        failures = np.array(["no answer" if self.fails_on in text else "" for text in texts], dtype=object)
        utility = np.array([self._utility(value, text) for text in texts])
        for failure in failures:
            progress(1, failure != "")
        known = np.where(failures == "", utility, np.nan)
        return TextUtilities(theory, value, np.array(texts, dtype=object), known, failures, {"support": known / 2})

    def _utility(self, value: str, text: str) -> float:
        number = VALUES.index(value)
        seed = row_keys(pd.DataFrame({"text": [text], "value": [value]}), 5)
        error = self.misreading * float(np.random.default_rng(seed).standard_normal())
        slope = self.slope * (1 + 0.1 * (number - 1.5))
        return 1 + 0.2 * number + slope * (float(text.split()[-1]) + error)


def anchors_table(each: int = 14, values: Sequence[str] = VALUES) -> pd.DataFrame:
    """Anchors of some values, none between -4 and 4."""
    ratings = np.concatenate([np.linspace(-9.5, -4, each // 2), np.linspace(4, 9.5, each - each // 2)]).round(3)
    return pd.DataFrame(
        [
            {"theory": "pvq", "value": value, "text": f"{value} seen at {rating:.3f}", "final_rating": rating}
            for value in values
            for rating in ratings
        ]
    )


def responses_table(center: float, n: int = 40, seed: int = 0, sd: float = 1.0) -> pd.DataFrame:
    """Responses whose true intensities are normal about a center."""
    truths = np.random.default_rng(seed).normal(center, sd, n)
    return pd.DataFrame(
        {
            "query": [f"query {row // 2}" for row in range(n)],
            "dataset": "d",
            "response": [f"an answer ({seed}, {row}) of {truth:.3f}" for row, truth in enumerate(truths)],
        }
    )
