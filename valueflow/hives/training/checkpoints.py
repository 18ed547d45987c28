"""Checkpoints of a training, whether one belongs to it, and what continues from one."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from valueflow.hives.data import TrainingTable
from valueflow.hives.settings import EncoderTraining
from valueflow.run import InputError

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, which are removed once the export of a training is written."""

FINGERPRINT_KEY = "training"
"""Under this key a checkpoint has the fingerprint of its training."""

_LAST, _BEST = "last", "best"

NOT_IN_FINGERPRINT = {
    *("progress", "push_to_hub", "data", "trainer"),
    *("metrics", "measure", "baseline", "replicates"),
    *("teacher", "llm", "cache"),
}
"""Settings that do not change what is learned; of `data` and `teacher` texts, labels and utilities count."""


def last_checkpoint(folder: Path) -> Path:
    """Return where the last checkpoint of a training in a folder of checkpoints is."""
    return folder / f"{_LAST}.ckpt"


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training from its folder, where there are any."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def checkpoint_savers(folder: Path, decisive: str | None, every_n_steps: int) -> list[ModelCheckpoint]:
    """Return the callbacks that save the last checkpoint and, where held-out texts are measured, before it the best.

    Parameters
    ----------
    folder
        Of the checkpoints.
    decisive
        What is logged of held-out texts and decides which checkpoint is the best; None: none are measured.
    every_n_steps
        Steps between two checkpoints where none are; else there is one with each measurement.
    """
    how: dict[str, Any] = {"dirpath": folder, "save_top_k": 1, "enable_version_counter": False}
    if decisive is None:
        return [ModelCheckpoint(filename=_LAST, every_n_train_steps=every_n_steps, **how)]
    # With every measurement, also where these come at every step, which Lightning takes for once an epoch.
    how["save_on_train_epoch_end"] = False
    # Lightning's `save_last` writes it only where it is the best too: an interruption would cost all steps since.
    return [
        ModelCheckpoint(filename=_BEST, monitor=decisive, mode="max", **how),
        ModelCheckpoint(filename=_LAST, **how),
    ]


class Patience(EarlyStopping):
    """Stops a training after some measurements without a new best; one that continues when it was stopped, at once.

    Parameters
    ----------
    decisive
        What is logged of held-out texts, the higher the better.
    patience
        How many measurements.
    """

    def __init__(self, decisive: str, patience: int) -> None:
        # As with checkpoints: after every measurement, whatever the interval.
        super().__init__(decisive, patience=patience, mode="max", check_on_train_epoch_end=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop where no measurement is left to wait for."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


def fingerprint(settings: EncoderTraining, texts: Iterable[str], targets: Iterable[npt.NDArray[Any]]) -> str:
    """Return a digest of what decides the course of a training: settings, texts, and what these are to be."""
    result_settings = settings.model_dump(mode="json", exclude=NOT_IN_FINGERPRINT)
    digest = hashlib.blake2b(json.dumps(result_settings, sort_keys=True).encode(), digest_size=16)
    digest.update("\0".join(texts).encode("utf-8", "surrogatepass"))
    for part in targets:
        digest.update(part.tobytes())
    return digest.hexdigest()


def fingerprint_of_tables(settings: EncoderTraining, training: TrainingTable, watched: TrainingTable | None) -> str:
    """Return the fingerprint of a training on labeled texts; those that are watched decide which weights are kept."""
    tables = [training] if watched is None else [training, watched]
    targets = [np.array([len(table) for table in tables])]
    for labels in (table.labels for table in tables):
        targets += [labels.paths, labels.directions, labels.individuals, labels.all_concepts]
    return fingerprint(settings, chain.from_iterable(table.texts for table in tables), targets)


def read_checkpoint(path: str | Path) -> Any:
    """Return the content of a checkpoint, on the CPU."""
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def step_of(path: Path, expected: str) -> int:
    """Return the step of a checkpoint.

    Raises
    ------
    InputError
        It cannot be read, or is of a training with another fingerprint.
    """
    try:
        content = read_checkpoint(path)
        step, found = int(content["global_step"]), content[FINGERPRINT_KEY]
    except Exception as error:  # torch raises a dozen types for a truncated file
        raise InputError(
            f"{path} is no checkpoint that can be read ({type(error).__name__}); remove it, or start again "
            "without resume=true"
        ) from error
    if found != expected:
        raise InputError(
            f"{path} is of a training with other settings or other data; resume with those, or start again "
            "without resume=true"
        )
    return step
