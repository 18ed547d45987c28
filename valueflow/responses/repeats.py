"""Unsteered responses that several jobs of a sweep have in common."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.responses.columns import FILTERS, IDENTITY
from valueflow.run import SUMMARY_FILE, read_record

_DRAWN_WITH = ("temperature", "max_tokens", "method")
"""What a summary of steering says under `settings` of how responses came about; the seed stands beside it."""


def repeats_of_earlier_jobs(frame: pd.DataFrame, files: Sequence[Path], sizes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Return which rows are unsteered responses that an earlier job of a sweep holds as well.

    A sweep over intensities asks the same unsteered queries at each of them. Its jobs repeat one another where they
    drew responses in the same way (seed, temperature, most tokens and method, by their `summary.json`) and hold the
    same unsteered ones throughout. Of all others each response is a draw of its own, even if its words are not new.

    Parameters
    ----------
    frame
        (N rows) of all files, one after another.
    files
        F files; `summary.json` lies beside each, or nothing is known of it.
    sizes
        How many rows are of each file.

    Returns
    -------
    (N,) array
    """
    repeats = np.zeros(len(frame), dtype=np.bool_)
    if not {"steering", "intensity"} <= {*frame.columns}:
        return repeats
    known = [column for column in (*IDENTITY, *FILTERS) if column in frame]
    is_unsteered = ((frame["steering"].str.strip() != "") & (frame["intensity"].str.strip() == "")).to_numpy()
    earlier: list[tuple[object, list[tuple[str, ...]]]] = []
    for file, rows in zip(files, np.split(np.arange(len(frame)), np.cumsum(sizes)[:-1]), strict=True):
        own = rows[is_unsteered[rows]]
        drawn = _drawn_with(read_record(file.parent / SUMMARY_FILE) or {})
        if not len(own) or drawn is None:
            continue
        said = drawn, sorted(frame[known].iloc[own].itertuples(index=False, name=None))
        if said in earlier:
            repeats[own] = True
        else:
            earlier.append(said)
    return repeats


def _drawn_with(summary: dict[str, Any]) -> object:
    """Return what decided a job's draws; None where its summary does not say."""
    settings = summary.get("settings")
    if "seed" not in summary or not isinstance(settings, dict) or not {*_DRAWN_WITH} <= settings.keys():
        return None
    return summary["seed"], *(settings[key] for key in _DRAWN_WITH)
