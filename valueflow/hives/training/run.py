"""Texts and a backbone in; a trained encoder, its metrics before and after, and a summary out."""

import logging
from typing import TYPE_CHECKING, Any

from valueflow.hives.data import (
    STAGE_2_COLUMNS,
    TrainingTable,
    held_out_of_training,
    left_out_by_reason,
    load_rows,
    load_table,
    training_table,
    without_texts_of,
)
from valueflow.hives.metrics import embedding_metrics
from valueflow.hives.outcome import TrainedEncoder
from valueflow.hives.settings import TrainSettings
from valueflow.run import InputError, Run
from valueflow.theory import DIRECTIONS, NEUTRAL, OPPOSE, SUPPORT

if TYPE_CHECKING:
    import lightning.pytorch as pl

_log = logging.getLogger(__name__)

_TEST_TEXTS = "training texts that are test texts too"
_DIRECTIONS_SHOWN = (SUPPORT, NEUTRAL, OPPOSE)


def train_encoder(settings: TrainSettings, run: Run) -> TrainedEncoder:
    """Train an encoder, export it, and measure it before and after on the held-out texts.

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
        training, validation, test, data = _load(settings)
        if settings.stage.name == "inter":
            _check_stage_2(settings, training)
            if settings.model is None:
                _log.warning(
                    "stage=inter continues from an encoder of stage=intra: model=FOLDER; starting from the backbone"
                )
    # Imported here: what is above finds most mistakes before torch has loaded.
    from valueflow.hives.training.backbone import load_backbone
    from valueflow.hives.training.export import MODEL_FOLDER, export_model, model_card, push
    from valueflow.hives.training.fitting import fit

    with timings.stage("load"):
        encoder = load_backbone(settings.backbone, settings.model)
    before: dict[str, Any] = {}

    def measured(table: TrainingTable) -> dict[str, Any]:
        with timings.stage("measure"):
            return embedding_metrics(
                encoder,
                table,
                seed=settings.seed,
                on_gpu=settings.trainer.may_use_gpu,
                published=settings.metrics == "published",
                training=training,
            )

    def measure_before(trainer: "pl.Trainer") -> None:
        if trainer.is_global_zero and test is not None:
            before.update(measured(test))

    measuring = timings.seconds.get("measure", 0.0)
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
    timings.seconds["train"] -= timings.seconds.get("measure", 0.0) - measuring
    after = measured(test) if test is not None and result.is_main else None
    summary = {
        "task": "train",
        "stage": settings.stage.name,
        "model": settings.start,
        "data": data,
        "steps": result.steps,
        "best_step": result.best_step,
        "resumed_from": result.resumed_from,
        "stopped_early": result.stopped_early,
        "unusable": result.unusable,
        "before": before or None,
        "after": after,
        "settings": settings.model_dump(mode="json"),
    }
    model = folder / MODEL_FOLDER
    if result.is_main:
        with timings.stage("export"):
            export_model(encoder, model, model_card(summary))
            if settings.push_to_hub is not None:
                summary["pushed_to"] = push(encoder, settings.push_to_hub, model)
    summary["export"] = str(model)
    return TrainedEncoder(model=model, curve=result.curve, summary=summary, is_main=result.is_main)


def _load(settings: TrainSettings) -> tuple[TrainingTable, TrainingTable | None, TrainingTable | None, dict[str, Any]]:
    """Return texts to train on, to watch and to test on, and what the summary says about them."""
    given = settings.data
    sources = given.train or []
    loaded = load_rows(sources, given.theory)
    table = training_table([source.rows for source in loaded])
    held = held_out_of_training(table, given, settings.seed)
    if given.validation is None:
        validation = table.take(held) if held.any() else None
    else:
        validation = load_table(given.validation, given.theory) if given.validation else None
    test = load_table(given.test, given.theory) if given.test else validation
    offered = table.take(~held)
    training = without_texts_of(offered, [watched for watched in (validation, test) if watched is not None])
    seen = len(offered) - len(training)
    if seen:
        _log.warning("%s training texts are among the test texts too; they are not trained on", f"{seen:,}")
    if not len(training):
        raise InputError("data: no text is left to train on; hold out less, or test on other texts")
    if validation is None:
        _log.warning("nothing is held out: the last weights count, and there are no metrics")
    described = _described(sources, table, training, test)
    lost = left_out_by_reason(loaded) | ({_TEST_TEXTS: seen} if seen else {})
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
        "directions": {name: int((labels.directions == DIRECTIONS.index(name)).sum()) for name in _DIRECTIONS_SHOWN},
    }


def _check_stage_2(settings: TrainSettings, table: TrainingTable) -> None:
    missing = [column for column in STAGE_2_COLUMNS if column not in table.stage_2]
    if missing:
        raise InputError(
            f"stage=inter: no row of {', '.join(settings.data.train or [])} has a '{missing[0]}'; training tables need "
            f"the columns {' and '.join(STAGE_2_COLUMNS)} (anchors and ValueEval files get them), "
            "or train stage=intra alone"
        )
