"""The one door of this room, for the command line and for Python alike."""

import os
from pathlib import Path
from typing import Any

from valueflow.categorization.pipeline import (
    PICTURE_FILE,
    REVIEW_FILE,
    TABLE_FILE,
    UNPLACED_FILE,
    VOTES_FILE,
    Categorization,
    categorize_texts,
)
from valueflow.categorization.settings import CategorizationSettings
from valueflow.run.config import compose_settings
from valueflow.run.summary import SUMMARY_FILE


def categorize(*, output_dir: str | Path | None = None, **settings: Any) -> Categorization:
    """Have a panel of language models place texts in a theory's hierarchy, by votes from the top down.

    Parameters
    ----------
    output_dir
        Folder for the tables, the picture and `summary.json`; None writes nothing.
    **settings
        Fields of `CategorizationSettings`, the same as on the command line; what is not given has the default of
        `configs/categorize.yaml`. `theory`, `panel` and `llm` take the name of an option, and also an object; a dotted
        key (`panel.votes`) sets one of an option's own.

    Returns
    -------
    Categorization
        Its `table` is a training table of `train`.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> placed = categorize(theory="pvq", input="texts.csv", panel="embedded")  # doctest: +SKIP
    >>> placed.table["level_1"]  # doctest: +SKIP
    """
    given = {key: os.fspath(entry) if isinstance(entry, os.PathLike) else entry for key, entry in settings.items()}
    if CategorizationSettings.model_fields.keys() - given.keys():
        given = compose_settings("categorize", given)
    result = categorize_texts(CategorizationSettings.checked(given))
    if output_dir is not None:
        folder = Path(output_dir)
        # Nothing of an earlier run may stand beside the new tables; its summary goes first, so that a run which is
        # interrupted here does not count as finished.
        for name in (SUMMARY_FILE, TABLE_FILE, VOTES_FILE, REVIEW_FILE, UNPLACED_FILE, PICTURE_FILE):
            (folder / name).unlink(missing_ok=True)
        result.write(folder)
    return result
