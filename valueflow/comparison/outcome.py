"""What a comparison finds, and what it leaves in its folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from valueflow.comparison.display import show_comparison
from valueflow.comparison.forest import draw_forest
from valueflow.run import PICTURE_FORMATS, Outcome

COMPARISON_FILE, MEANS_FILE = "comparison.csv", "means.csv"
PICTURE_FILES = tuple(f"forest.{suffix}" for suffix in PICTURE_FORMATS)


@dataclass(frozen=True, kw_only=True)
class Comparison(Outcome):
    """What a comparison found.

    Attributes
    ----------
    table
        One row per difference or slope; docs/compare.md describes the columns.
    means
        One row per job: its mean and, where people rated enough responses, the prediction-powered one.
    summary
        Counts of jobs and tests, what was left out and why, settings, versions, timings.
    """

    table: pd.DataFrame
    means: pd.DataFrame

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return both tables and the picture in its formats."""
        pictures = {file: partial(draw_forest, self.table) for file in PICTURE_FILES}
        return {COMPARISON_FILE: self.table, MEANS_FILE: self.means, **pictures}

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return both tables, for loggers."""
        return {"comparison": self.table, "means": self.means}

    def show(self) -> None:
        """Print the tables for a person."""
        show_comparison(self.table, self.means, self.summary)
