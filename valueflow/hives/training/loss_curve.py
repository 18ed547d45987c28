"""Losses and held-out metrics by step, kept through interruptions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_only

from valueflow.hives.training.module import HELD_OUT
from valueflow.run import write_csv

CURVE_FILE = "curve.csv"

_EVERY = 10
"""Steps between two rows of losses."""


class LossCurve(pl.Callback):
    """Writes `curve.csv`: a row every 10 steps, and the metrics of held-out texts in the rows where they were measured.

    The rows so far are part of every checkpoint, so a training that continues from one has the same curve as one that
    was never stopped.

    Parameters
    ----------
    path
        The file; None writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: dict[int, dict[str, float]] = {}
        self._rate = float("nan")

    @property
    def table(self) -> pd.DataFrame:
        """The curve: `step`, then what was logged."""
        return pd.DataFrame([{"step": step, **self._rows[step]} for step in sorted(self._rows)])

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Note the rate of this step; after it the optimizer has that of the next one."""
        self._rate = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Add a row of losses."""
        if trainer.global_step % _EVERY == 0 or trainer.global_step == 1:
            self._add(trainer, lambda name: name.startswith("train/"))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add held-out metrics, and write what there is."""
        if not trainer.sanity_checking:
            self._add(trainer, lambda name: name.startswith((HELD_OUT, "train/")))
            self.write()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the whole curve."""
        self.write()

    def _add(self, trainer: pl.Trainer, wanted: Callable[[str], bool]) -> None:
        row = self._rows.setdefault(trainer.global_step, {})
        row.update({name: float(value) for name, value in trainer.callback_metrics.items() if wanted(name)})
        row["learning_rate"] = self._rate

    @rank_zero_only
    def write(self) -> None:
        """Write the file."""
        if self._path is not None and self._rows:
            write_csv(self.table, self._path)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, for a checkpoint."""
        return {"rows": {str(step): row for step, row in self._rows.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of a checkpoint."""
        self._rows = {int(step): dict(row) for step, row in state_dict["rows"].items()}
