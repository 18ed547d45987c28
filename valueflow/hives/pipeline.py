"""`train.py` from settings to an outcome, by task."""

from pathlib import Path
from typing import Any, cast

from valueflow.hives.display import show_measurements, show_training, show_trainings
from valueflow.hives.distillation import (
    AGREEMENT_FILE,
    DistilledEncoder,
    DistillSettings,
    distill_judge,
    show_distillations,
)
from valueflow.hives.outcome import (
    MAP_FILE,
    METRICS_FILE,
    NAMES_FILE,
    TABLE_FILE,
    ConvertedTable,
    MeasuredEncoder,
    TrainedEncoder,
)
from valueflow.hives.settings import EncoderTraining, TrainSettings
from valueflow.run import Run, SettingsByTask, SweepView, Task

AnyOutcome = TrainedEncoder | MeasuredEncoder | ConvertedTable | DistilledEncoder


def train(
    *, output_dir: str | Path | None = None, resume: bool = False, curves: Any = None, **settings: Any
) -> AnyOutcome:
    """Train a value embedding, or distill a judge; or measure (`task="test"`), or write the table (`task="convert"`).

    Parameters
    ----------
    output_dir
        Folder for model, curve and `summary.json`. Training needs one; otherwise None writes nothing.
    resume
        Continue from the last checkpoint in the folder, if there is one.
    curves
        A Lightning logger that gets losses and metrics as they come.
    **settings
        Fields of `TrainSettings`, or with `stage="distill"` of `DistillSettings`, the same as on the command line;
        what is not given has the default of `configs/train.yaml`. `stage`, `backbone`, `trainer`, `teacher` and `llm`
        take the name of an option, a dotted key (`stage.batch_size`, `data.train`) sets one of an option's own.

    Returns
    -------
    TrainedEncoder, DistilledEncoder, MeasuredEncoder or ConvertedTable
        By task and stage.

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


def _run(given: EncoderTraining, run: Run) -> AnyOutcome:
    if isinstance(given, DistillSettings):
        return distill_judge(given, run)
    settings = cast(TrainSettings, given)
    # Each task is loaded when it is asked for: conversion needs no torch, and measuring no trainer.
    if settings.task == "convert":
        from valueflow.hives.data import convert_sources

        return convert_sources(settings, run)
    if settings.task == "test":
        from valueflow.hives.metrics import measure_encoder

        return measure_encoder(settings, run)
    from valueflow.hives.training import train_encoder

    return train_encoder(settings, run)


_OF_STAGES = {"intra": TrainSettings, "inter": TrainSettings}

TASK = Task(
    name="train",
    settings=SettingsByTask(
        {
            "train": SettingsByTask({**_OF_STAGES, "distill": DistillSettings}, "stage.name"),
            "test": SettingsByTask(_OF_STAGES, "stage.name"),
            "convert": SettingsByTask(_OF_STAGES, "stage.name"),
        }
    ),
    run=_run,
    # Not the model and the curve: a training replaces its own, and measuring a model must not remove it.
    outputs=(METRICS_FILE, TABLE_FILE, NAMES_FILE, MAP_FILE, AGREEMENT_FILE),
    sweep=(
        SweepView(show_trainings, columns=("stage", "loss"), kind="train", one=show_training),
        SweepView(show_measurements, columns=(), kind="test"),
        SweepView(show_distillations, columns=(), kind="distill"),
    ),
    trains=True,
)
"""The command `train`."""
