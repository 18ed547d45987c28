"""What each task of `train.py` leaves: a trained encoder, a measured one, or a training table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from valueflow.hives.display import show_conversion, show_metrics, show_training
from valueflow.run import Outcome

if TYPE_CHECKING:
    import pandas as pd

METRICS_FILE, TABLE_FILE = "metrics.csv", "training.csv"


@dataclass(frozen=True, kw_only=True)
class TrainedEncoder(Outcome):
    """A trained encoder.

    Attributes
    ----------
    model
        Folder of the export.
    curve
        Losses and held-out metrics by step.
    summary
        Data, metrics before and after, settings, versions, timings.
    is_main
        As in `Outcome`; in the other processes the summary has no metrics.
    """

    model: Path
    curve: "pd.DataFrame"
    is_main: bool = True

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"curve": self.curve}

    def show(self) -> None:
        """Print the table for a person."""
        show_training(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return nothing: model and curve are in the folder already."""
        return {}


@dataclass(frozen=True, kw_only=True)
class MeasuredEncoder(Outcome):
    """Metrics of an encoder.

    Attributes
    ----------
    metrics
        One row per theory, and one of all.
    summary
        The same with distances, data, settings, versions, timings.
    """

    metrics: "pd.DataFrame"

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"metrics": self.metrics}

    def show(self) -> None:
        """Print the table for a person."""
        show_metrics(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return the metrics."""
        return {METRICS_FILE: self.metrics}


@dataclass(frozen=True, kw_only=True)
class ConvertedTable(Outcome):
    """A training table.

    Attributes
    ----------
    table
        One row per text and path.
    summary
        Counts, sources, versions, timings.
    """

    table: "pd.DataFrame"

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return no tables: for loggers, the texts are too many."""
        return {}

    def show(self) -> None:
        """Print the counts for a person."""
        show_conversion(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return the training table."""
        return {TABLE_FILE: self.table}
