"""`train`, for the command line and for Python alike."""

import os
from pathlib import Path
from typing import Any

from valueflow.hives.outcome import METRICS_FILE, TABLE_FILE, ConvertedTable, MeasuredEncoder, TrainedEncoder
from valueflow.hives.pipeline import run_task
from valueflow.hives.settings import TrainSettings
from valueflow.run import SUMMARY_FILE, compose_settings


def train(
    *, output_dir: str | Path | None = None, resume: bool = False, curves: Any = None, **settings: Any
) -> TrainedEncoder | MeasuredEncoder | ConvertedTable:
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
    given = {key: os.fspath(entry) if isinstance(entry, os.PathLike) else entry for key, entry in settings.items()}
    if TrainSettings.model_fields.keys() - given.keys():
        given = compose_settings("train", given)
    checked = TrainSettings.checked(given)
    folder = None if output_dir is None else Path(output_dir)
    result = run_task(checked, folder, resume=resume, curves=curves)
    if folder is not None:
        if not isinstance(result, TrainedEncoder):
            for name in (SUMMARY_FILE, METRICS_FILE, TABLE_FILE):
                (folder / name).unlink(missing_ok=True)
        result.write(folder)
    return result
