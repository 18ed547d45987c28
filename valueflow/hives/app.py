"""The one door of this room, for the command line and for Python alike."""

import os
from pathlib import Path
from typing import Any

from valueflow.hives.conversion import TABLE_FILE, ConvertedTable, convert_sources
from valueflow.hives.settings import TrainSettings
from valueflow.hives.testing import METRICS_FILE, MeasuredEncoder, measure_encoder
from valueflow.hives.training import TrainedEncoder, train_encoder
from valueflow.run import SUMMARY_FILE, InputError, compose_settings


def train(
    *, output_dir: str | Path | None = None, resume: bool = False, curves: Any = None, **settings: Any
) -> TrainedEncoder | MeasuredEncoder | ConvertedTable:
    """Train a value embedding; or measure one (`task="test"`), or write the training table (`task="convert"`).

    Parameters
    ----------
    output_dir
        Folder for model, curve and `summary.json`. Training needs one; otherwise None writes nothing.
    resume
        Go on from the last checkpoint in the folder, if there is one.
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
    if checked.task == "train":
        if output_dir is None:
            raise InputError("output_dir is not set; a trained model needs a folder")
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        # Goes first, so that a training which is interrupted does not count as finished.
        (folder / SUMMARY_FILE).unlink(missing_ok=True)
        trained = train_encoder(checked, folder, resume=resume, curves=curves)
        trained.write(folder)
        return trained
    result = measure_encoder(checked) if checked.task == "test" else convert_sources(checked)
    if output_dir is not None:
        for name in (SUMMARY_FILE, METRICS_FILE, TABLE_FILE):
            (Path(output_dir) / name).unlink(missing_ok=True)
        result.write(Path(output_dir))
    return result
