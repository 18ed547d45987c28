"""The plan and its rankings as tables."""

import json

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.construction.rounds import Judged
from valueflow.construction.texts import ID, Texts


def plan_table(
    texts: Texts,
    items: npt.NDArray[np.intp],
    prompt_order: npt.NDArray[np.int64],
    round_of: npt.NDArray[np.intp],
) -> pd.DataFrame:
    """Return one row per window: `window`, `round`, the ids of its texts, `prompt_order`."""
    columns = {f"{ID}_{number}": texts.ids[column] for number, column in enumerate(items.T, start=1)}
    shown = [json.dumps(order) for order in prompt_order.tolist()]
    numbers = {"window": np.arange(1, len(items) + 1), "round": round_of + 1}
    return pd.DataFrame({**numbers, **columns, "prompt_order": shown})


def rankings_table(judged: Judged) -> pd.DataFrame:
    """Return one row per ranking: `window`, `judge`, `ranking` (numbers of the ids), `failure`."""
    return pd.DataFrame(
        {
            "window": judged.windows + 1,
            "judge": np.array(judged.judge_names, dtype=object)[judged.judges],
            "ranking": [json.dumps(order) if order[0] else "" for order in judged.orders.tolist()],
            "failure": judged.failures,
        }
    )
