"""What each task of `train.py` returns: a trained encoder, a measured one, or a training table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from valueflow.hives.display import show_conversion, show_metrics, show_training
from valueflow.run import Outcome

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from valueflow.hives.data import Labels

METRICS_FILE, TABLE_FILE, NAMES_FILE, MAP_FILE = "metrics.csv", "training.csv", "names.csv", "map.png"


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


@dataclass(frozen=True, eq=False)
class EncoderMap:
    """The (N, D) embeddings of the measured texts by one encoder."""

    name: str
    vectors: "npt.NDArray[np.floating]"


@dataclass(frozen=True, kw_only=True)
class MeasuredEncoder(Outcome):
    """Metrics of an encoder: one row per theory, and one of all.

    `maps` are the embeddings of the texts with these `labels`, by the encoders it is compared with and, last, its own.
    """

    metrics: "pd.DataFrame"
    labels: "Labels"
    maps: "Sequence[EncoderMap]"

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return the tables by name, for loggers."""
        return {"metrics": self.metrics}

    def show(self) -> None:
        """Print the metrics."""
        show_metrics(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return the metrics, and the picture of the texts."""
        from valueflow.hives.picture import draw_map

        return {METRICS_FILE: self.metrics, MAP_FILE: lambda path: draw_map(self.maps, self.labels, path)}


@dataclass(frozen=True, kw_only=True)
class ConvertedTable(Outcome):
    """A training table: one row per text and path; and what free names of values were taken for, if there are any."""

    table: "pd.DataFrame"
    names: "pd.DataFrame | None"

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return no tables: for loggers, the texts are too many."""
        return {}

    def show(self) -> None:
        """Print the counts."""
        show_conversion(self.summary)

    def outputs(self) -> "Mapping[str, pd.DataFrame]":
        """Return the training table and the list of names."""
        return {TABLE_FILE: self.table} | ({} if self.names is None else {NAMES_FILE: self.names})
