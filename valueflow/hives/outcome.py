"""What each task of `train.py` leaves: a trained encoder, a measured one, or a training table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.hives.display import show_conversion, show_metrics, show_training
from valueflow.run import SUMMARY_FILE, write_csv, write_json

if TYPE_CHECKING:
    import pandas as pd

METRICS_FILE, TABLE_FILE = "metrics.csv", "training.csv"


@dataclass(frozen=True)
class TrainedEncoder:
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
        Whether this is the process that reports; of several that train together one does. The others show and write
        nothing, and their summary has no metrics.
    """

    model: Path
    curve: "pd.DataFrame"
    summary: dict[str, Any]
    is_main: bool = True

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"curve": self.curve}

    def show(self) -> None:
        """Print the table for a person."""
        if self.is_main:
            show_training(self.summary)

    def write(self, folder: Path) -> None:
        """Write `summary.json`; model and curve are in the folder already."""
        if self.is_main:
            write_json(self.summary, folder / SUMMARY_FILE)


@dataclass(frozen=True)
class MeasuredEncoder:
    """Metrics of an encoder.

    Attributes
    ----------
    metrics
        One row per theory, and one of all.
    summary
        The same with distances, data, settings, versions, timings.
    """

    metrics: "pd.DataFrame"
    summary: dict[str, Any]

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"metrics": self.metrics}

    def show(self) -> None:
        """Print the table for a person."""
        show_metrics(self.summary)

    def write(self, folder: Path) -> None:
        """Write `metrics.csv` and `summary.json`."""
        write_csv(self.metrics, folder / METRICS_FILE)
        write_json(self.summary, folder / SUMMARY_FILE)


@dataclass(frozen=True)
class ConvertedTable:
    """A training table.

    Attributes
    ----------
    table
        One row per text and path.
    summary
        Counts, sources, versions, timings.
    """

    table: "pd.DataFrame"
    summary: dict[str, Any]

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return no tables: for loggers, the texts are too many."""
        return {}

    def show(self) -> None:
        """Print the counts for a person."""
        show_conversion(self.summary)

    def write(self, folder: Path) -> None:
        """Write `training.csv` and `summary.json`."""
        write_csv(self.table, folder / TABLE_FILE)
        write_json(self.summary, folder / SUMMARY_FILE)
