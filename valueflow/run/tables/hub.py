"""Tables of the Hugging Face hub, or in a folder of its library."""

from pathlib import Path

import pandas as pd

from valueflow.run.errors import InputError

HUGGING_FACE = "hf://"
"""How the name of such a table begins: `hf://NAME` or `hf://NAME:SPLIT`."""


def read_hub_table(source: str, what: str) -> pd.DataFrame:
    """Load a split of a dataset as a table.

    Raises
    ------
    InputError
        There is no such dataset or split, or one of several splits must be chosen.
    """
    # Imported here: only this kind of source needs the library, and it is slow to import.
    import datasets

    name, _, split = source.removeprefix(HUGGING_FACE).partition(":")
    if not name:
        raise InputError(f"{what}: {source} names no dataset; give {HUGGING_FACE}NAME or {HUGGING_FACE}NAME:SPLIT")
    folder = Path(name)
    try:
        if (folder / "dataset_info.json").exists() or (folder / "dataset_dict.json").exists():
            loaded = datasets.load_from_disk(name)
        else:
            loaded = datasets.load_dataset(name)
    except Exception as error:  # the library raises a dozen types, from HTTP errors to ValueError
        raise InputError(
            f"{what}: the dataset {source} could not be loaded: {type(error).__name__}: {error}"
        ) from error
    if isinstance(loaded, dict):
        split = split or ("train" if "train" in loaded else next(iter(loaded)) if len(loaded) == 1 else "")
        if split not in loaded:
            raise InputError(
                f"{what}: {source} has the splits {sorted(loaded)}; choose one, as in {HUGGING_FACE}NAME:SPLIT"
            )
        loaded = loaded[split]
    frame: pd.DataFrame = loaded.to_pandas()
    return frame
