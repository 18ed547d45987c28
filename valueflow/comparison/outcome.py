"""What a comparison finds, and what it leaves in its folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from valueflow.comparison.display import show_comparison
from valueflow.comparison.drift import draw_drift
from valueflow.comparison.forest import draw_forest
from valueflow.run import PICTURE_FORMATS, Outcome

COMPARISON_FILE, MEANS_FILE, DRIFT_FILE = "comparison.csv", "means.csv", "drift.csv"
FORESTS = tuple(f"forest.{suffix}" for suffix in PICTURE_FORMATS)
MATRICES = tuple(f"drift.{suffix}" for suffix in PICTURE_FORMATS)
OUTPUTS = (COMPARISON_FILE, MEANS_FILE, DRIFT_FILE, *FORESTS, *MATRICES)


@dataclass(frozen=True, kw_only=True)
class Comparison(Outcome):
    """What a comparison found.

    Attributes
    ----------
    table
        One row per difference or slope; docs/compare.md describes the columns.
    means
        One row per job: its mean, the price of its responses where that is known and, where people rated enough of
        them, the prediction-powered mean.
    drift
        One row per value steered to and value measured; empty where responses were scored on their own values alone.
    summary
        Counts of jobs and tests, what was left out and why, settings, versions, timings.
    """

    table: pd.DataFrame
    means: pd.DataFrame
    drift: pd.DataFrame

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return the tables and the pictures in their formats."""
        pictures = {file: partial(draw_forest, self.table) for file in FORESTS}
        if not self.drift.empty:
            pictures |= {file: partial(draw_drift, self.drift) for file in MATRICES}
        return {COMPARISON_FILE: self.table, MEANS_FILE: self.means, DRIFT_FILE: self.drift, **pictures}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables, for loggers."""
        drift = {} if self.drift.empty else {"drift": self.drift}
        return {"comparison": self.table, "means": self.means, **drift}

    def show(self) -> None:
        """Print the tables for a person."""
        show_comparison(self.table, self.means, self.drift, self.summary)
