"""Windows ranked by the utilities of their texts."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from valueflow.judge.utilities import TextUtilities
from valueflow.judge.windows import SINGLE_JUDGE, RankedWindows, Windows


def orders_by_score(windows: Windows, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the item numbers of each window, (W, K), by the scores (W, K) of its items, the highest first.

    Items of equal scores, up to rounding, are copies of one text. The order of the prompt, which is random, decides
    among them.
    """
    shown = np.take_along_axis(np.round(scores, 9), windows.prompt_order - 1, axis=1)
    places = np.argsort(-shown, axis=1, kind="stable")
    return np.take_along_axis(windows.prompt_order, places, axis=1)


def rank_by_utility(
    windows: Windows, utilities: TextUtilities, *, report: Mapping[str, object] | None = None
) -> RankedWindows:
    """Rank windows by the utilities of their texts, among which all of them are.

    A window that holds a text without a utility fails, for that text's reason.
    """
    number = {text: place for place, text in enumerate(utilities.texts)}

    def places(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
        # Texts that stand in no window have none.
        return np.array([number.get(text, -1) for text in texts], dtype=np.int64)

    responses = places(windows.response_texts)
    anchors = responses if windows.is_among else places(windows.anchor_set.texts)
    items = np.column_stack([responses[windows.responses], anchors[windows.anchors]])
    failed = (utilities.failures != "")[items]
    first = items[np.arange(len(items)), failed.argmax(axis=1)]
    reasons = np.where(failed.any(axis=1), utilities.failures[first], "").astype(object)
    orders = orders_by_score(windows, utilities.utility[items])
    ranked = windows.ranked(orders, reasons, report=report)
    return replace(ranked, utilities={SINGLE_JUDGE: utilities})
