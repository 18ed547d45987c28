"""Checkpoints of a training, and whether one belongs to it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from valueflow.hives.data import TrainingTable
from valueflow.hives.settings import TrainSettings
from valueflow.hives.training.module import FINGERPRINT_KEY, RANKING
from valueflow.run import InputError

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, which a finished training removes."""

_LAST, _BEST = "last", "best"

NOT_IN_FINGERPRINT = {"progress", "push_to_hub", "data", "trainer", "metrics", "measure", "baseline", "replicates"}
"""Settings that do not change what is learned; of `data` the texts and labels count."""


def last_checkpoint(folder: Path) -> Path:
    """Return where the last checkpoint of a training in a folder of checkpoints is."""
    return folder / f"{_LAST}.ckpt"


def checkpoint_saver(folder: Path, every_n_steps: int | None) -> ModelCheckpoint:
    """Return the callback that saves the last checkpoint and, where held-out texts are measured, the best.

    Parameters
    ----------
    folder
        Of the checkpoints.
    every_n_steps
        Steps between two checkpoints; None: with each measurement of held-out texts.
    """
    is_measured = every_n_steps is None
    saver = ModelCheckpoint(
        dirpath=folder,
        filename=_BEST,
        monitor=RANKING if is_measured else None,
        mode="max",
        save_last=is_measured,
        save_top_k=1,
        every_n_train_steps=every_n_steps,
        enable_version_counter=False,
    )
    if not is_measured:
        saver.filename = _LAST
    return saver


def fingerprint(settings: TrainSettings, training: TrainingTable) -> str:
    """Return a digest of the settings, texts and labels that decide the course of a training."""
    result_settings = settings.model_dump(mode="json", exclude=NOT_IN_FINGERPRINT)
    digest = hashlib.blake2b(json.dumps(result_settings, sort_keys=True).encode(), digest_size=16)
    digest.update("\0".join(training.texts).encode("utf-8", "surrogatepass"))
    labels = training.labels
    for part in (labels.paths, labels.directions, labels.individuals, labels.concepts):
        digest.update(part.tobytes())
    return digest.hexdigest()


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
