"""From settings to an outcome, by task."""

from pathlib import Path
from typing import Any

from valueflow.hives.outcome import ConvertedTable, MeasuredEncoder, TrainedEncoder
from valueflow.hives.settings import TrainSettings
from valueflow.run import SUMMARY_FILE, InputError


def run_task(
    settings: TrainSettings, folder: Path | None, *, resume: bool = False, curves: Any = None
) -> TrainedEncoder | MeasuredEncoder | ConvertedTable:
    """Train an encoder, measure one, or convert training data.

    Parameters
    ----------
    settings
        As checked.
    folder
        Where a training puts checkpoints, curve and export; the other tasks write nothing.
    resume
        Whether a training continues from the last checkpoint in the folder.
    curves
        A Lightning logger that gets losses and metrics as they come, or None.

    Raises
    ------
    InputError
        Something given cannot be used, or a training has no folder.
    """
    # Each task is loaded when it is asked for: conversion needs no torch, and measuring no trainer.
    if settings.task == "convert":
        from valueflow.hives.data import convert_sources

        return convert_sources(settings)
    if settings.task == "test":
        from valueflow.hives.metrics import measure_encoder

        return measure_encoder(settings)
    from valueflow.hives.training import train_encoder

    if folder is None:
        raise InputError("output_dir is not set; a trained model needs a folder")
    folder.mkdir(parents=True, exist_ok=True)
    # Goes first, so that a training which is interrupted does not count as finished.
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    return train_encoder(settings, folder, resume=resume, curves=curves)
