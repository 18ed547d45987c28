"""The table of what judges said of texts one by one: `text_scores.csv`."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import TextUtilities
from valueflow.vidb import Anchors

TEXT_SCORES_FILE = "text_scores.csv"

RESPONSE, ANCHOR = "response", "anchor"


def text_scores_table(
    responses: TextUtilities, read: Sequence[TextUtilities], anchors: Sequence[Anchors]
) -> pd.DataFrame:
    """Return one row per text and value: responses, then anchors set by set.

    Returns
    -------
    table
        Columns `text`, `theory`, `value`, `role` (response or anchor), `rating` (of anchors), what the utility is made
        of (of a language model the log-probabilities `support`, `oppose` and `neutral`, and `outside`, the share of
        probability on other words), `utility`, `failure`.
    """
    parts = [_rows(responses, {})]
    parts += [_rows(own, _ratings(given)) for own, given in zip(read, anchors, strict=True)]
    return pd.concat(parts, ignore_index=True)


def text_scores_of_windows(
    utilities: Mapping[str, TextUtilities], responses: npt.NDArray[np.object_], anchors: Anchors
) -> pd.DataFrame | None:
    """Return the same of the texts in windows; None where no judge reads texts one by one.

    A response whose text is an anchor's has two rows.

    Parameters
    ----------
    utilities
        By the judge's name, as `RankedWindows.utilities`. With several judges, a column `judge` names the judge.
    responses
        (N,) texts of the responses.
    anchors
        The value's.
    """
    ratings, given = _ratings(anchors), set(responses.tolist())
    tables = {
        name: pd.concat(
            [
                _rows(own, {}).loc[[text in given for text in own.texts]],
                _rows(own, ratings).loc[[text in ratings for text in own.texts]],
            ]
        )
        for name, own in utilities.items()
    }
    if len(tables) > 1:
        tables = {name: table.assign(judge=name) for name, table in tables.items()}
    return pd.concat(tables.values(), ignore_index=True) if tables else None


def _ratings(anchors: Anchors) -> dict[str, float]:
    return dict(zip(anchors.texts.tolist(), anchors.intensities.tolist(), strict=True))


def _rows(read: TextUtilities, ratings: Mapping[str, float]) -> pd.DataFrame:
    roles = [ANCHOR if text in ratings else RESPONSE for text in read.texts]
    rating = [ratings.get(text, np.nan) for text in read.texts]
    identity = {"text": read.texts, "theory": read.theory, "value": read.value, "role": roles, "rating": rating}
    return pd.DataFrame({**identity, **read.details, "utility": read.utility, "failure": read.failures})
