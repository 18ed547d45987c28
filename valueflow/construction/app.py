"""The one door of this room, for the command line and for Python alike."""

import os
import shutil
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from valueflow.construction.pipeline import (
    ALL_FILE,
    PICTURE_FILE,
    PLAN_FILE,
    RANKINGS_FILE,
    REVIEW_FILE,
    UNRANKED_FILE,
    VIDB_FOLDER,
    Construction,
    construct,
)
from valueflow.construction.settings import ConstructionSettings
from valueflow.run.config import compose_settings
from valueflow.run.errors import InputError
from valueflow.run.summary import SUMMARY_FILE


def build_vidb(*, output_dir: str | Path | None = None, **settings: Any) -> Construction:
    """Make calibrated anchors for a value out of raw texts.

    Parameters
    ----------
    output_dir
        Folder for the plan, the rankings, the database in `vidb`, the review file and `summary.json`; None writes
        nothing.
    **settings
        Fields of `ConstructionSettings`, the same as on the command line; what is not given has the default of
        `configs/build_vidb.yaml`. `theory` and `judge` take the name of an option or an object. `value` and `input`
        must be given.

    Returns
    -------
    Construction
        Its `database` is what `evaluate_responses(vidb=...)` reads from the folder `vidb`.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> built = build_vidb(theory="pvq", value="benevolence", input="texts.csv", output_dir="out")  # doctest: +SKIP
    >>> built.database["final_rating"]  # doctest: +SKIP
    """
    given = {key: os.fspath(entry) if isinstance(entry, os.PathLike) else entry for key, entry in settings.items()}
    if ConstructionSettings.model_fields.keys() - given.keys():
        given = compose_settings("build_vidb", given)
    for key in ("value", "input"):
        if isinstance(given[key], str) and given[key] == MISSING:
            raise InputError(f"'{key}' is not set; give it")
    checked = ConstructionSettings.checked(given)
    result = construct(checked)
    if output_dir is not None:
        folder = Path(output_dir)
        # Nothing of an earlier run may stand beside the new tables; its summary goes first, so that a run which is
        # interrupted here does not count as finished.
        for name in (SUMMARY_FILE, PLAN_FILE, RANKINGS_FILE, ALL_FILE, REVIEW_FILE, UNRANKED_FILE, PICTURE_FILE):
            (folder / name).unlink(missing_ok=True)
        if (folder / VIDB_FOLDER).is_dir():
            shutil.rmtree(folder / VIDB_FOLDER)
        result.write(folder, checked.push_to)
    return result
