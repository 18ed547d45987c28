"""An encoder measured on labelled texts, without training."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.hives.display import show_metrics
from valueflow.hives.held_out import is_held_out, measured
from valueflow.hives.settings import TrainSettings
from valueflow.hives.sources import load_table
from valueflow.run import SUMMARY_FILE, InputError, Timings, versions, write_csv, write_json

METRICS_FILE = "metrics.csv"


@dataclass(frozen=True)
class MeasuredEncoder:
    """Metrics of an encoder.

    Attributes
    ----------
    metrics
        One row a theory, and one of all.
    summary
        The same with distances, data, settings, versions, timings.
    """

    metrics: pd.DataFrame
    summary: dict[str, Any]

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers."""
        return {"metrics": self.metrics}

    def show(self) -> None:
        """Print the table for a person."""
        show_metrics(self.summary)

    def write(self, folder: Path) -> None:
        """Write `metrics.csv` and `summary.json`."""
        write_csv(self.metrics, folder / METRICS_FILE)
        write_json(self.summary, folder / SUMMARY_FILE)


def measure_encoder(settings: TrainSettings) -> MeasuredEncoder:
    """Measure an encoder on `data.test` or, where that is not given, on the held-out texts of `data.train`.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    started = datetime.now(UTC)
    timings = Timings()
    given = settings.data
    with timings.stage("load"):
        sources = given.test or given.train or []
        table = load_table(sources)
        if given.test is None:
            held = is_held_out(table.texts, given.held_out, settings.seed)
            if not held.any():
                raise InputError(f"data.held_out={given.held_out}: no text is held out; give data.test=FILE")
            table = table.take(held)
        from valueflow.hives.backbone import load_backbone

        encoder = load_backbone(settings.backbone, settings.model)
    with timings.stage("measure"):
        figures = measured(encoder, table, seed=settings.seed, on_gpu=settings.trainer.may_use_gpu)
    rows = [{"theory": "all", **figures["overall"]}]
    rows += [{"theory": name, **own} for name, own in figures["theories"].items()]
    summary = {
        "task": "test",
        "model": settings.model or settings.backbone.model,
        "data": {"sources": sources, "texts": len(table)},
        "after": figures,
        "started": started.isoformat(timespec="seconds"),
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
        "timings": timings.as_dict(),
    }
    return MeasuredEncoder(pd.DataFrame(rows), summary)
