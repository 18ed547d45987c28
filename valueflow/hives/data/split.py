"""Which texts are held out, and which are left to train on."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data.table import TrainingTable
from valueflow.hives.settings import DataSettings
from valueflow.run import keyed_uniforms, row_keys


def is_held_out(texts: npt.NDArray[np.object_], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return for each of N texts whether it is held out: the same in any file, order or stage of training.

    `share`, from 0 to 1, is that of all possible texts; another seed holds out others.
    """
    keys = row_keys(pd.DataFrame({"text": texts}), seed)
    return np.asarray(keyed_uniforms(keys, 1)[:, 0] < share)


def held_out_of_training(table: TrainingTable, given: DataSettings, seed: int) -> npt.NDArray[np.bool_]:
    """Return which texts of `data.train` a training holds out: none where `data.validation` gives others."""
    if given.validation is not None or not given.held_out:
        return np.zeros(len(table), dtype=bool)
    return is_held_out(table.texts, given.held_out, seed)


def without_texts_of(table: TrainingTable, others: Iterable[TrainingTable]) -> TrainingTable:
    """Leave out texts that other tables have too, whatever their labels."""
    # Numbers mean other names in other tables; what matters is the text.
    watched = {text for other in others for text in other.texts}
    return table.take(np.array([text not in watched for text in table.texts], dtype=bool))
