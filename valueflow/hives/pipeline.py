"""`train.py` from settings to an outcome, by task."""

from pathlib import Path
from typing import Any

from valueflow.hives.display import show_measurements, show_training, show_trainings
from valueflow.hives.outcome import (
    MAP_FILE,
    METRICS_FILE,
    NAMES_FILE,
    TABLE_FILE,
    ConvertedTable,
    MeasuredEncoder,
    TrainedEncoder,
)
from valueflow.hives.settings import TrainSettings
from valueflow.run import Run, SweepView, Task

AnyOutcome = TrainedEncoder | MeasuredEncoder | ConvertedTable


def train(
    *, output_dir: str | Path | None = None, resume: bool = False, curves: Any = None, **settings: Any
) -> AnyOutcome:
    """Train a value embedding; or measure one (`task="test"`), or write the training table (`task="convert"`).

    Parameters
    ----------
    output_dir
        Folder for model, curve and `summary.json`. Training needs one; otherwise None writes nothing.
    resume
        Continue from the last checkpoint in the folder, if there is one.
    curves
        A Lightning logger that gets losses and metrics as they come.
    **settings
        Fields of `TrainSettings`, the same as on the command line; what is not given has the default of
        `configs/train.yaml`. `stage`, `backbone` and `trainer` take the name of an option, a dotted key
        (`stage.batch_size`, `data.train`) sets one of an option's own.

    Returns
    -------
    TrainedEncoder, MeasuredEncoder or ConvertedTable
        By task.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> trained = train(backbone="minilm", trainer="cpu", **{"data.train": "demo"}, output_dir="out")  # doctest: +SKIP
    >>> trained.model  # doctest: +SKIP
    """
    return TASK.call(settings, output_dir, resume=resume, curves=curves)


def _run(settings: TrainSettings, run: Run) -> AnyOutcome:
    # Each task is loaded when it is asked for: conversion needs no torch, and measuring no trainer.
    if settings.task == "convert":
        from valueflow.hives.data import convert_sources

        return convert_sources(settings, run)
    if settings.task == "test":
        from valueflow.hives.metrics import measure_encoder

        return measure_encoder(settings, run)
    from valueflow.hives.training import train_encoder

    return train_encoder(settings, run)


TASK = Task(
    name="train",
    settings=TrainSettings,
    run=_run,
    # Not the model and the curve: a training replaces its own, and measuring a model must not remove it.
    outputs=(METRICS_FILE, TABLE_FILE, NAMES_FILE, MAP_FILE),
    sweep=(
        SweepView(show_trainings, columns=("stage", "loss"), kind="train", one=show_training),
        SweepView(show_measurements, columns=(), kind="test"),
    ),
    trains=True,
)
"""The command `train`."""
