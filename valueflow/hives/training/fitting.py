"""One training: batches, module and Lightning's trainer put together, with checkpoints that it can continue from."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from lightning.pytorch.callbacks import Callback, RichProgressBar
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.utils.data import DataLoader, Dataset

from valueflow.hives.data import TrainingTable
from valueflow.hives.losses import HierarchicalLoss, IdContrastiveLoss, InterTheoryObjective, IntraTheoryObjective
from valueflow.hives.sampling import OF_IDS, InterTheoryBatches, IntraTheoryBatches
from valueflow.hives.settings import EncoderTraining, TrainSettings
from valueflow.hives.training.checkpoints import (
    CHECKPOINTS,
    Patience,
    checkpoint_savers,
    fingerprint_of_tables,
    last_checkpoint,
    read_checkpoint,
    remove_checkpoints,
    step_of,
)
from valueflow.hives.training.dataset import HeldOutChunks, TrainingSteps
from valueflow.hives.training.loss_curve import CURVE_FILE, LossCurve
from valueflow.hives.training.module import HELD_OUT, HeldOutLabels, HivesModule
from valueflow.hives.training.sharding import take_weights
from valueflow.hives.training.trainer import build_trainer
from valueflow.hives.training.weight_interpolation import interpolate_weights

_log = logging.getLogger(__name__)

Share = dict[str, int]
"""Which of how many processes this is: `rank` and `world_size`."""


@dataclass(frozen=True)
class Fit:
    """The course of a training.

    Attributes
    ----------
    curve
        Losses and held-out metrics by step.
    steps
        Steps that were made, including those before an interruption too.
    best_step
        The step whose weights the encoder has now (beside its `start_share`); the last one where nothing is held out.
    resumed_from
        The step it continued from; 0: from the beginning.
    stopped_early
        Whether held-out texts had no new best for `patience` measurements.
    is_main
        Whether this is the process that reports; of several processes one does.
    unusable
        How many texts could not be queries and how many ids could not be drawn, by reason.
    """

    curve: pd.DataFrame
    steps: int
    best_step: int
    resumed_from: int
    stopped_early: bool
    is_main: bool
    unusable: dict[str, int] = field(default_factory=dict)


def build_batches(settings: TrainSettings, table: TrainingTable) -> IntraTheoryBatches | InterTheoryBatches:
    """Return the batches of the stage.

    Raises
    ------
    InputError
        No text can be a query, or stage 2 lacks ids.
    """
    stage = settings.stage
    if stage.name == "intra":
        return IntraTheoryBatches(
            table.labels,
            batch_size=stage.batch_size,
            queries_per_batch=stage.anchors_per_batch,
            positives_per_query=stage.positives_per_anchor,
            seed=settings.seed,
        )
    return InterTheoryBatches(
        table.labels,
        batch_size=stage.batch_size,
        queries_per_batch=stage.anchors_per_batch,
        positives_per_query=stage.positives_per_anchor,
        members_per_id=stage.members_per_id,
        seed=settings.seed,
    )


def build_objective(settings: TrainSettings) -> nn.Module:
    """Return the losses of the stage as one module."""
    stage = settings.stage
    hierarchy = HierarchicalLoss(
        kind=settings.loss,
        temperature=stage.temperature,
        base_temperature=stage.base_temperature,
        direction_penalty=stage.direction_penalty,
    )
    if stage.name == "intra":
        return IntraTheoryObjective(hierarchy)
    return InterTheoryObjective(
        hierarchy,
        IdContrastiveLoss(stage.id_temperature),
        individual_weight=stage.individual_weight,
        concept_weight=stage.anchor_weight,
    )


def fit(
    encoder: SentenceTransformer,
    training: TrainingTable,
    validation: TrainingTable | None,
    settings: TrainSettings,
    *,
    folder: Path,
    resume: bool = False,
    curves: Any = None,
    before: Callable[[pl.Trainer], None] | None = None,
) -> Fit:
    """Train an encoder in place.

    It ends with the weights that ranked the validation texts best, and a `start_share` of those it began with.

    Parameters
    ----------
    encoder
        What is trained.
    training, validation
        Texts to learn from, and to measure on every `validate_every` steps; without the latter the last weights count.
    settings
        As checked.
    folder
        Where checkpoints and `curve.csv` go. The checkpoints stay, for `remove_checkpoints`: what comes of the training
        is written after it, and an interruption until then should not cost it.
    resume
        Continue from the last checkpoint in the folder, if there is one.
    curves
        A Lightning logger that gets the curves as they grow; None: none does.
    before
        Called once the trainer knows which process it is.

    Raises
    ------
    InputError
        The data or the machine do not have what the settings ask for, or a checkpoint is of another training.
    """
    start_weights = {name: weights.clone() for name, weights in encoder.state_dict().items() if settings.start_share}
    batches = build_batches(settings, training)
    _log_unusable(batches.unusable, len(training))
    steps = steps_of(settings, len(batches))
    held_out = None if validation is None else HeldOutLabels(validation, settings.seed)
    if held_out is not None and not held_out.decides:
        _log.warning(
            "the %s validation texts have no two kinds of texts to rank, as if nothing were held out for validation: "
            "the last weights count",
            len(held_out),
        )
        validation = held_out = None
    mark = fingerprint_of_tables(settings, training, validation)
    module = HivesModule(
        encoder,
        build_objective(settings),
        settings.optimizer,
        steps=steps,
        held_out=held_out,
        gradient_caching=settings.gradient_caching,
        seed=settings.seed,
        fingerprint=mark,
    )
    result = make_steps(
        module,
        settings,
        steps=steps,
        mark=mark,
        training=lambda share: TrainingSteps(
            training, batches, encoder.preprocess, chunk_size=settings.chunk_size, **share
        ),
        held_out=None if validation is None else validation.texts.tolist(),
        decisive=None if held_out is None else held_out.decisive,
        folder=folder,
        resume=resume,
        curves=curves,
        before=before,
    )
    if settings.start_share:
        encoder.load_state_dict(interpolate_weights(start_weights, encoder.state_dict(), settings.start_share))
    return replace(result, unusable=batches.unusable)


def steps_of(settings: EncoderTraining, batches_per_epoch: int) -> int:
    """Return the steps of a whole training."""
    return min(settings.epochs * batches_per_epoch, settings.max_steps or 2**31)


def make_steps(
    module: HivesModule,
    settings: EncoderTraining,
    *,
    steps: int,
    mark: str,
    training: Callable[[Share], "Dataset[Any]"],
    held_out: Sequence[str] | None,
    decisive: str | None,
    folder: Path,
    resume: bool = False,
    curves: Any = None,
    before: Callable[[pl.Trainer], None] | None = None,
) -> Fit:
    """Make all steps of a training, or those that are left of it; any module, whatever it learns.

    It ends with the weights that were best on the held-out texts.

    Parameters
    ----------
    module
        What is trained.
    settings, folder, resume, curves, before
        As in `fit`.
    steps, mark
        Number of steps, and the fingerprint of the training.
    training
        Returns this process's part of the batches by the number of their step.
    held_out, decisive
        Texts to measure every `validate_every` steps, and the metric that decides; None: there are none.

    Raises
    ------
    InputError
        The machine does not have what the settings ask for, or a checkpoint is of another training.
    """
    encoder = module.encoder
    curve = LossCurve(folder / CURVE_FILE)
    checkpoints = folder / CHECKPOINTS
    if not resume:
        remove_checkpoints(folder)
    watched = None if decisive is None else f"{HELD_OUT}{decisive}"
    savers = checkpoint_savers(checkpoints, watched, settings.validate_every)
    callbacks = [*_callbacks(settings, watched, curve), *savers]
    with _without_lightning_advice():
        trainer = build_trainer(
            settings.trainer,
            max_epochs=1,
            max_steps=steps,
            val_check_interval=min(settings.validate_every, steps) if held_out is not None else None,
            limit_val_batches=None if held_out is not None else 0,
            callbacks=callbacks,
            logger=curves if curves is not None else False,
            log_every_n_steps=10,
            enable_progress_bar=_shows(settings),
        )
        if before is not None:
            before(trainer)
        checkpoint = last_checkpoint(checkpoints)
        start = step_of(checkpoint, mark) if resume and checkpoint.is_file() else 0
        if start:
            _log.info("continuing from step %d of %d", start, steps)
        share = {"rank": trainer.global_rank, "world_size": trainer.world_size}
        _run(
            trainer,
            module,
            train_dataloaders=DataLoader(
                training(share),
                batch_size=None,
                sampler=_Steps(start, steps),
                num_workers=settings.trainer.workers,
            ),
            val_dataloaders=_held_out_loader(settings, held_out, encoder, share),
            ckpt_path=str(checkpoint) if start else None,
            weights_only=True,
        )
    if module.encoder is not encoder:
        take_weights(encoder, module.encoder)
        module.encoder = encoder
    best_step = trainer.global_step
    if held_out is not None and savers[0].best_model_path:
        best = read_checkpoint(savers[0].best_model_path)
        module.load_state_dict(best["state_dict"])
        best_step = int(best["global_step"])
    trainer.strategy.barrier()
    module.cpu().eval()
    return Fit(
        curve=curve.table,
        steps=trainer.global_step,
        best_step=best_step,
        resumed_from=start,
        stopped_early=trainer.global_step < steps,
        is_main=trainer.is_global_zero,
    )


def _shows(settings: EncoderTraining) -> bool:
    return settings.progress and sys.stdout.isatty()


def _run(trainer: pl.Trainer, module: HivesModule, **loaders: Any) -> None:
    try:
        trainer.fit(module, **loaders)
    except SystemExit:
        # Lightning ends the process at Ctrl-C; the caller decides what happens.
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise


def _callbacks(settings: EncoderTraining, watched: str | None, curve: LossCurve) -> list[Callback]:
    callbacks: list[Callback] = [curve]
    if watched is not None and settings.patience is not None:
        callbacks.append(Patience(watched, settings.patience))
    if _shows(settings):
        callbacks.append(RichProgressBar())
    return callbacks


@dataclass(frozen=True)
class _Steps:
    """Numbers of the remaining steps. Lightning counts the steps of an interrupted training too."""

    start: int
    stop: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop


def _held_out_loader(
    settings: EncoderTraining, texts: Sequence[str] | None, encoder: SentenceTransformer, share: Share
) -> "DataLoader[Any] | None":
    if texts is None:
        return None
    data = HeldOutChunks(texts, encoder.preprocess, chunk_size=settings.chunk_size, **share)
    return DataLoader(data, batch_size=None, num_workers=0)


def _log_unusable(unusable: dict[str, int], n: int) -> None:
    for reason, count in unusable.items():
        if count:
            # Ids are not counted among the texts.
            _log.warning("%s: %s%s", reason, f"{count:,}", "" if reason in OF_IDS else f" of {n:,}")


@contextmanager
def _without_lightning_advice() -> Iterator[None]:
    """Keep Lightning's advice (more workers, other precision) off the screen."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        yield
