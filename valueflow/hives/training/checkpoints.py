"""Checkpoints of a training, and whether one belongs to it."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from valueflow.hives.settings import EncoderTraining
from valueflow.run import InputError

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, which a finished training removes."""

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


def checkpoint_saver(folder: Path, decisive: str | None, every_n_steps: int) -> ModelCheckpoint:
    """Return the callback that saves the last checkpoint and, where held-out texts are measured, the best.

    Parameters
    ----------
    folder
        Of the checkpoints.
    decisive
        What is logged of held-out texts and decides which checkpoint is the best; None: none are measured.
    every_n_steps
        Steps between two checkpoints where none are; else there is one with each measurement.
    """
    is_measured = decisive is not None
    saver = ModelCheckpoint(
        dirpath=folder,
        filename=_BEST,
        monitor=decisive,
        mode="max",
        save_last=is_measured,
        save_top_k=1,
        every_n_train_steps=None if is_measured else every_n_steps,
        enable_version_counter=False,
    )
    if not is_measured:
        saver.filename = _LAST
    return saver


def fingerprint(settings: EncoderTraining, texts: Iterable[str], targets: Iterable[npt.NDArray[Any]]) -> str:
    """Return a digest of what decides the course of a training: settings, texts, and what these are to be."""
    result_settings = settings.model_dump(mode="json", exclude=NOT_IN_FINGERPRINT)
    digest = hashlib.blake2b(json.dumps(result_settings, sort_keys=True).encode(), digest_size=16)
    digest.update("\0".join(texts).encode("utf-8", "surrogatepass"))
    for part in targets:
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
