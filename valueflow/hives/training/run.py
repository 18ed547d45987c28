"""Texts and a backbone in; a trained encoder, its metrics before and after, and a summary out."""

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from valueflow.hives.data import (
    STAGE_2_COLUMNS,
    TEST,
    VALIDATION,
    Splits,
    TrainingTable,
    keys_in,
    load_splits,
    trained_keys,
    write_keys,
)
from valueflow.hives.metrics import Measurement, measure_embeddings
from valueflow.hives.outcome import TrainedEncoder
from valueflow.hives.settings import TrainSettings
from valueflow.run import InputError, Run
from valueflow.theory import DIRECTIONS, NEUTRAL, OPPOSE, SUPPORT

if TYPE_CHECKING:
    import lightning.pytorch as pl

_log = logging.getLogger(__name__)

_DIRECTIONS_SHOWN = (SUPPORT, NEUTRAL, OPPOSE)


def train_encoder(settings: TrainSettings, run: Run) -> TrainedEncoder:
    """Train an encoder, export it, and measure it before and after on validation or test texts (`measure`).

    Parameters
    ----------
    settings
        As checked.
    run
        Its folder is where the export, the curve and the checkpoints go.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    folder = run.required_folder("trained models")
    run.start_writing()
    timings = run.timings
    with timings.stage("load"):
        learned = keys_in([settings.model])
        splits = load_splits(settings.data, settings.seed, learned=learned)
        training, validation = splits.training, splits.validation
        part, measured_texts = _measured(settings, splits)
        data = _described(settings, splits, part, measured_texts)
        if settings.stage.name == "inter":
            _check_stage_2(settings, training)
            if settings.model is None:
                _log.warning(
                    "stage=inter continues from an encoder of stage=intra: model=FOLDER; starting from the backbone"
                )
    # Imported here: what is above finds most mistakes before torch has loaded.
    from valueflow.hives.training.backbone import load_backbone
    from valueflow.hives.training.export import MODEL_FOLDER, export_model, finish, model_card
    from valueflow.hives.training.fitting import fit

    with timings.stage("load"):
        encoder = load_backbone(settings.backbone, settings.model)
    before: list[Measurement] = []

    def measured(table: TrainingTable) -> Measurement:
        with timings.stage("measure"):
            return measure_embeddings(encoder, table, settings, training=training)

    def measure_before(trainer: "pl.Trainer") -> None:
        if trainer.is_global_zero and measured_texts is not None:
            before.append(measured(measured_texts))

    with timings.stage("train"):
        result = fit(
            encoder,
            training,
            validation,
            settings,
            folder=folder,
            resume=run.resume,
            curves=run.curves,
            before=measure_before,
        )
    after = measured(measured_texts) if measured_texts is not None and result.is_main else None
    summary = {
        "task": "train",
        "stage": settings.stage.name,
        "loss": settings.loss,
        "model": settings.start,
        "data": data,
        "steps": result.steps,
        "best_step": result.best_step,
        "resumed_from": result.resumed_from,
        "stopped_early": result.stopped_early,
        "unusable": result.unusable,
        "before": before[0].metrics if before else None,
        "after": after.metrics if after is not None else None,
        "difference_standard_errors": after.difference_errors(before[0]) if after is not None and before else None,
        "settings": settings.model_dump(mode="json"),
    }
    model = folder / MODEL_FOLDER
    if result.is_main:
        with timings.stage("export"):
            keys = np.concatenate([learned, trained_keys(training.texts)])
            export_model(encoder, model, model_card(summary), add=lambda where: write_keys(keys, where))
            summary |= finish(encoder, settings.push_to_hub, model)
    summary["export"] = str(model)
    return TrainedEncoder(model=model, curve=result.curve, summary=summary, is_main=result.is_main)


def _measured(settings: TrainSettings, splits: Splits) -> tuple[str, TrainingTable | None]:
    """Return which part of the texts is measured before and after, and its texts; None where nothing is held out."""
    if not len(splits.training):
        raise InputError(
            "data: no text is left to train on; hold out less, or give other texts for validation and test"
        )
    if splits.validation is None:
        _log.warning("nothing is held out for validation: the last weights count")
    part = settings.measure or (TEST if splits.validation is None else VALIDATION)
    table = splits.part(part)
    if table is None and settings.measure is not None:
        raise InputError(f"measure={part}: no text is held out for it; give data.{part}=FILE or a larger data.held_out")
    return part, table


def _described(settings: TrainSettings, splits: Splits, part: str, measured: TrainingTable | None) -> dict[str, Any]:
    labels = splits.training.labels
    return {
        "sources": settings.data.train or [],
        "rows": splits.whole.n_rows,
        "texts": len(splits.whole),
        "training": len(splits.training),
        "validation": len(splits.validation) if splits.validation is not None else 0,
        "test": len(splits.test) if splits.test is not None else 0,
        "measured": part if measured is not None else None,
        "levels": labels.depth,
        "theories": {name: int((labels.theories == number).sum()) for number, name in enumerate(labels.theory_names)},
        "directions": {name: int((labels.directions == DIRECTIONS.index(name)).sum()) for name in _DIRECTIONS_SHOWN},
        "left_out": splits.left_out,
    }


def _check_stage_2(settings: TrainSettings, table: TrainingTable) -> None:
    missing = [column for column in STAGE_2_COLUMNS if column not in table.stage_2]
    if missing:
        raise InputError(
            f"stage=inter: no row of {', '.join(settings.data.train or [])} has a '{missing[0]}'; training tables need "
            f"the columns {' and '.join(STAGE_2_COLUMNS)} (anchors and ValueEval files get them), "
            "or train stage=intra alone"
        )
