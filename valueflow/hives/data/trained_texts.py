"""Which texts an encoder was trained on: their keys lie in its folder, so that none is measured as if it were new."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data.minhash import words_alone
from valueflow.hives.data.table import TrainingTable
from valueflow.run import InputError, row_keys

TRAINED_TEXTS_FILE = "trained_texts.safetensors"

TRAINED_ON = "texts that an encoder was trained on before"
"""Why a held-out text is not measured."""

_KEYS, _SEED = "keys", 0

Keys = npt.NDArray[np.uint64]


def trained_keys(texts: Sequence[str] | npt.NDArray[np.object_]) -> Keys:
    """Return 64-bit keys (N,) of texts; those that differ in case, punctuation or white space alone have one."""
    words = [words_alone(text) for text in texts]
    return row_keys(pd.DataFrame({"text": np.array([*words, None], dtype=object)[:-1]}), _SEED)


def keys_in(models: Iterable[str | None]) -> Keys:
    """Return the keys that the folders of encoders have, ascending; a name or a folder without any has none.

    Raises
    ------
    InputError
        A file of keys is damaged.
    """
    found = [np.empty(0, dtype=np.uint64)]
    for model in models:
        path = Path(model or "") / TRAINED_TEXTS_FILE
        if model and path.is_file():
            found.append(_read(path))
    return np.unique(np.concatenate(found))


def write_keys(keys: Keys, folder: Path) -> None:
    """Write keys into an encoder's folder."""
    from safetensors.numpy import save_file

    save_file({_KEYS: np.unique(keys)}, folder / TRAINED_TEXTS_FILE)


def without_trained_on(table: TrainingTable, keys: Keys) -> TrainingTable:
    """Leave out the texts that have one of the keys."""
    return table.take(~np.isin(trained_keys(table.texts), keys)) if len(keys) else table


def _read(path: Path) -> Keys:
    try:
        from safetensors.numpy import load_file

        keys = load_file(path)[_KEYS]
    except Exception as error:  # safetensors and the file system have a dozen kinds
        raise _damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if keys.dtype != np.uint64 or keys.ndim != 1:
        raise _damaged(path, "its keys are no list of 64-bit numbers")
    return keys


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} cannot be used ({reason}); train the encoder again, or remove the file to do without it")
