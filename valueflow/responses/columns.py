"""The table between steering and evaluation: its columns and file, and how several values share a cell."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import row_keys

IDENTITY = ("query", "dataset", "response")
"""The columns every response has; together they are what a response is."""

FILTERS = ("theory", "value", "intensity", "steering", "model")
"""Columns that say how a response came about."""

PRICE = ("perplexity", "repetition", "refused")
"""Columns, where steering was asked for its price: of each response, numbers."""

REPEATED = "unsteered_repeats"
"""What counts the unsteered responses that jobs had in common, among the `attrs` of a table and in summaries."""

OURS = "valueflow"
"""Under it samples of our tasks in other tools say what they are of: `query`, `dataset`, and of `FILTERS` all but the
model."""

RESPONSES_FILE = "responses.csv"
"""What a file of responses is called in a folder."""

JOINT = "|"
"""Stands between the values that a response was steered to at once, and between their intensities."""


def joined(entries: Sequence[object]) -> str:
    """Write values or intensities into one cell: `benevolence|power`, `2|-1`."""
    return JOINT.join(map(str, entries))


def response_keys(frame: pd.DataFrame, seed: int) -> npt.NDArray[np.uint64]:
    """Hash what identifies each response, and the seed, into 64 bits.

    All draws for a response derive from its key: they do not depend on its row, on the other
    rows, or on how they are batched. Equal responses to equal queries share a key, hence a score.
    """
    return row_keys(frame[list(IDENTITY)], seed)
