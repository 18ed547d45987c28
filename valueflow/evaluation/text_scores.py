"""The table of what a judge said of each text by itself."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from valueflow.judge import TextUtilities
from valueflow.vidb import Anchors


def text_scores_table(utilities: Mapping[str, TextUtilities], anchors: Anchors) -> pd.DataFrame | None:
    """Return one row per judge and text, in the order read; None where no judge reads texts one by one.

    Parameters
    ----------
    utilities
        By the judge's name, as `RankedWindows.utilities`.
    anchors
        The value's anchors, whose ratings are known.

    Returns
    -------
    table
        Columns `text`, `value`, what the utility is made of (of a language model the log-probabilities `support`,
        `oppose` and `neutral`, and `outside`, the share of probability on other words), `utility`, `rating` (of
        anchors), `failure` and, where there are several judges, `judge`.
    """
    ratings = dict(zip(anchors.texts, anchors.intensities, strict=True))
    tables = [
        pd.DataFrame(
            {
                "text": own.texts,
                "value": own.value,
                **own.details,
                "utility": own.utility,
                "rating": [ratings.get(text, np.nan) for text in own.texts],
                "failure": own.failures,
                **({"judge": name} if len(utilities) > 1 else {}),
            }
        )
        for name, own in utilities.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else None
