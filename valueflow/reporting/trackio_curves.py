"""The curves of a training in a run of Trackio."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only


class TrackioCurves(Logger):
    """Passes what Lightning logs to a run; the run's record holds the settings."""

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = handle

    @property
    def name(self) -> str:
        """Return the project."""
        return str(self._handle.project)

    @property
    def version(self) -> str:
        """Return the run's id."""
        return str(self._handle.id)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a point to each curve."""
        self._handle.log(dict(metrics), step=step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the settings are in the run already."""
