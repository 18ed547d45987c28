"""What each task of `train.py` returns: a trained encoder, a measured one, or a training table."""

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
    """The folder of an exported encoder, and its losses and held-out metrics by step.

    `is_main` as in `Outcome`; in the other processes the summary has no metrics.
    """

    model: Path
    curve: "pd.DataFrame"
    is_main: bool = True

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"curve": self.curve}

    def show(self) -> None:
        """Print the metrics."""
        show_training(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return nothing: model and curve are in the folder already."""
        return {}


@dataclass(frozen=True, kw_only=True)
class MeasuredEncoder(Outcome):
    """Metrics of an encoder: one row per theory, and one of all."""

    metrics: "pd.DataFrame"

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"metrics": self.metrics}

    def show(self) -> None:
        """Print the metrics."""
        show_metrics(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return the metrics."""
        return {METRICS_FILE: self.metrics}


@dataclass(frozen=True, kw_only=True)
class ConvertedTable(Outcome):
    """A training table: one row per text and path."""

    table: "pd.DataFrame"

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return no tables: for loggers, the texts are too many."""
        return {}

    def show(self) -> None:
        """Print the counts."""
        show_conversion(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return the training table."""
        return {TABLE_FILE: self.table}
