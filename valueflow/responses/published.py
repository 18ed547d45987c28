"""Files of responses as the published code names them: MODEL_DATASETS_FORMAT_VALUE_INTENSITY.csv."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.run import is_hidden

_NAME = re.compile(
    r"(?P<whose>.+)_(?P<format>default|single_definition|user_texts|multiple_definition|multiple_fewshot)"
    r"(?:_(?P<aim>.+))?\.csv(?:\.gz)?"
)
_AIM = re.compile(r"(?P<value>.+?)_(?P<intensity>-?[012]|None|NA)(?:_k?\d+)?")
"""A value and an intensity, and behind them perhaps the number of texts that were shown."""

_COLUMNS = {
    "value": ("target_value", "target_values"),
    "intensity": ("prompt_intensity", "prompt_intensities"),
}
"""Our column -> what the published code calls it, for one value and for several."""


def published_files(folder: Path) -> list[Path]:
    """Return the files of a folder, at any depth but for hidden folders, that are named in this way; sorted."""
    found = []
    for inside, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        found += [Path(inside, name) for name in files if not is_hidden(name) and _NAME.fullmatch(name)]
    return sorted(found)


def with_name_columns(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Add what a file's name says of its responses: `model`, `steering`, and for one value `value` and `intensity`.

    Columns of the file go before its name.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return frame
    added: dict[str, Any] = {"model": _model(match["whose"], frame), "steering": match["format"]}
    for ours, names in _COLUMNS.items():
        theirs = next((column for column in names if column in frame), None)
        if theirs is not None:
            added[ours] = frame[theirs]
    aim = _AIM.fullmatch(match["aim"] or "")
    if aim is not None and match["format"] in ("single_definition", "user_texts"):
        added = {**_named(aim.groupdict()), **added}
    return frame.assign(**{column: cells for column, cells in added.items() if column not in frame})


def _named(aim: Mapping[str, str]) -> dict[str, Any]:
    return {key: "" if entry in ("None", "NA") else entry for key, entry in aim.items()}


def _model(whose: str, frame: pd.DataFrame) -> str:
    """Take the names of the query sets, which the column `dataset` holds, from the end of a name."""
    sets = "-".join(map(str, dict.fromkeys(frame["dataset"]))) if "dataset" in frame else ""
    return whose.removesuffix(f"_{sets}") if whose.endswith(f"_{sets}") else whose.partition("_")[0]
