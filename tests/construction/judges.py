"""Judges whose rankings a test knows beforehand."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pandas as pd

from valueflow.judge import Criterion, Progress, RankedWindows, Windows


def level(text: str) -> float:
    """The support that a test's text expresses: its last word."""
    return float(text.split()[-1])


class KnowingJudge:
    """Ranks texts by their last word; fails, or answers always alike, where a test wants it to."""

    rankings_per_window: ClassVar[int] = 1

    def __init__(self, *, fails: Callable[[list[str]], bool] = lambda texts: False, stuck: bool = False) -> None:
        self.asked: list[frozenset[str]] = []
        self._fails, self._stuck = fails, stuck

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        items = np.column_stack([windows.responses, windows.anchors])
        texts = windows.response_texts[items]
        self.asked += [frozenset(row) for row in texts]
        levels = np.vectorize(level)(texts)
        orders = windows.prompt_order if self._stuck else np.argsort(-levels, axis=1, kind="stable") + 1
        failed = np.array([self._fails(row.tolist()) for row in texts])
        progress(len(windows), int(failed.sum()))
        reasons = np.where(failed, "no answer", "").astype(object)
        return windows.ranked(np.where(failed[:, None], 0, orders), reasons, report={"calls": len(windows)})

    def describe(self) -> dict[str, object]:
        return {"kind": "knowing"}


def raw_texts(n: int = 30) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"a text of level {number}" for number in np.linspace(-8, 8, n).round(2)]})
