"""Texts and a backbone in; a trained encoder, its metrics before and after, and a summary out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from valueflow.hives.display import show_training
from valueflow.hives.held_out import is_held_out, measured
from valueflow.hives.labels import DIRECTIONS
from valueflow.hives.settings import TrainSettings
from valueflow.hives.sources import left_out, load_rows, load_table
from valueflow.hives.table import STAGE_2, TrainingTable, training_table
from valueflow.run import SUMMARY_FILE, InputError, Timings, versions, write_json

if TYPE_CHECKING:
    import lightning.pytorch as pl

_log = logging.getLogger(__name__)

_TEST_TEXTS = "training texts that are test texts too"


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
    """

    model: Path
    curve: pd.DataFrame
    summary: dict[str, Any]

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers."""
        return {"curve": self.curve}

    def show(self) -> None:
        """Print the table for a person."""
        show_training(self.summary)

    def write(self, folder: Path) -> None:
        """Write `summary.json`; model and curve stand in the folder already."""
        write_json(self.summary, folder / SUMMARY_FILE)


def train_encoder(settings: TrainSettings, folder: Path, *, resume: bool, curves: Any) -> TrainedEncoder:
    """Train an encoder, export it, and measure it before and after on the held-out texts.

    Parameters
    ----------
    settings
        As checked.
    folder
        Where the export, the curve and the checkpoints go.
    resume
        Go on from the folder's last checkpoint, if there is one.
    curves
        A Lightning logger for the curves, or None.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    SystemExit
        In all processes but the one that reports, once the training is done.
    """
    started = datetime.now(UTC)
    timings = Timings()
    with timings.stage("load"):
        training, validation, test, data = _load(settings)
        if settings.stage.name == "inter":
            _check_stage_2(settings, training)
            if settings.model is None:
                _log.warning(
                    "stage=inter goes on from an encoder of stage=intra: model=FOLDER; starting from the backbone"
                )
    # Imported here: what stands above tells most mistakes before torch has loaded.
    from valueflow.hives.backbone import load_backbone
    from valueflow.hives.export import MODEL_FOLDER, export_model, push
    from valueflow.hives.fitting import fit

    with timings.stage("load"):
        encoder = load_backbone(settings.backbone, settings.model)
    before: dict[str, Any] = {}

    def measure_before(trainer: "pl.Trainer") -> None:
        if trainer.is_global_zero and test is not None:
            with timings.stage("measure"):
                before.update(measured(encoder, test, seed=settings.seed, on_gpu=settings.trainer.may_use_gpu))

    measuring = timings.seconds.get("measure", 0.0)
    with timings.stage("train"):
        result = fit(
            encoder, training, validation, settings, folder=folder, resume=resume, curves=curves, before=measure_before
        )
    timings.seconds["train"] -= timings.seconds.get("measure", 0.0) - measuring
    if not result.is_main:
        raise SystemExit(0)
    after: dict[str, Any] | None = None
    if test is not None:
        with timings.stage("measure"):
            after = measured(encoder, test, seed=settings.seed, on_gpu=settings.trainer.may_use_gpu)
    summary = {
        "task": "train",
        "stage": settings.stage.name,
        "model": settings.model or settings.backbone.model,
        "data": data,
        "steps": result.steps,
        "best_step": result.best_step,
        "resumed_from": result.resumed_from,
        "stopped_early": result.stopped_early,
        "unusable": result.unusable,
        "before": before or None,
        "after": after,
        "started": started.isoformat(timespec="seconds"),
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
    }
    with timings.stage("export"):
        export_model(encoder, folder / MODEL_FOLDER, summary)
        if settings.push_to_hub is not None:
            summary["pushed_to"] = push(encoder, settings.push_to_hub, folder / MODEL_FOLDER)
    return TrainedEncoder(
        folder / MODEL_FOLDER,
        result.curve,
        summary | {"export": str(folder / MODEL_FOLDER), "timings": timings.as_dict()},
    )


def _load(
    settings: TrainSettings,
) -> tuple[TrainingTable, TrainingTable | None, TrainingTable | None, dict[str, Any]]:
    """Return texts to train on, to watch and to test on, and what the summary says of them."""
    given = settings.data
    sources = given.train or []
    loaded = load_rows(sources)
    table = training_table([source.rows for source in loaded])
    held = np.zeros(len(table), dtype=bool)
    if given.validation is None and given.held_out > 0:
        held = is_held_out(table.texts, given.held_out, settings.seed)
        validation = table.take(held) if held.any() else None
    else:
        validation = load_table(given.validation) if given.validation else None
    test = load_table(given.test) if given.test else validation
    training = table.take(~held)
    # Numbers of other tables stand for other names; what matters is the text.
    watched = {text for held_out in (validation, test) if held_out is not None for text in held_out.texts}
    seen = np.array([text in watched for text in training.texts], dtype=bool)
    if seen.any():
        _log.warning("%s training texts stand among the test texts too; they are not trained on", f"{seen.sum():,}")
        training = training.take(~seen)
    if not len(training):
        raise InputError("data: no text is left to train on; hold out less, or test on other texts")
    if validation is None:
        _log.warning("nothing is held out: the last weights count, and there are no metrics")
    described = _described(sources, table, training, test)
    lost = left_out(loaded) | ({_TEST_TEXTS: int(seen.sum())} if seen.any() else {})
    return training, validation, test, described | {"left_out": lost}


def _described(
    sources: list[str], table: TrainingTable, training: TrainingTable, test: TrainingTable | None
) -> dict[str, Any]:
    labels = training.labels
    return {
        "sources": sources,
        "rows": table.n_rows,
        "texts": len(table),
        "training": len(training),
        "held_out": len(test) if test is not None else 0,
        "levels": labels.depth,
        "theories": {name: int((labels.theories == number).sum()) for number, name in enumerate(labels.theory_names)},
        "directions": {name: int((labels.directions == code).sum()) for code, name in enumerate(DIRECTIONS)},
    }


def _check_stage_2(settings: TrainSettings, table: TrainingTable) -> None:
    missing = [column for column in STAGE_2 if column not in table.stage_2]
    if missing:
        raise InputError(
            f"stage=inter: no row of {', '.join(settings.data.train or [])} has a '{missing[0]}'; training tables need "
            f"the columns {' and '.join(STAGE_2)} (anchors and ValueEval files get them), or train stage=intra alone"
        )
