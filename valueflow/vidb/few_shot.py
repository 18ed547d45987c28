"""Few-shot files of the published code: texts by value and steering intensity, as a table of anchors."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.run import InputError, nearest, read_json, shorten
from valueflow.theory import Theory, known_theories

_BINS = ("-2", "-1", "0", "1", "2")


def few_shot_table(path: Path, theory: Theory | None) -> pd.DataFrame | None:
    """Read a few-shot file, value -> intensity bin -> texts with their intensities; None where a file is none.

    The intensity of each text counts, not its bin. A value belongs to the theory that evaluates it: `theory` before the
    packaged ones.

    Returns
    -------
    pandas.DataFrame
        `theory`, `value`, `text` and `final_rating` of each text.

    Raises
    ------
    InputError
        A value is of no theory, a bin is none, or an entry has no text or intensity; with its place.
    """
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    content = read_json(path, "vidb")
    is_few_shot = (
        isinstance(content, Mapping) and content and all(isinstance(bins, Mapping) for bins in content.values())
    )
    if not is_few_shot:
        return None
    return pd.DataFrame(_rows(content, f"vidb: {path}", theory))


def _rows(content: Mapping[str, Mapping[str, Any]], where: str, theory: Theory | None) -> Iterator[dict[str, object]]:
    for value, bins in content.items():
        owner = _owner(value, where, theory)
        for name, entries in bins.items():
            here = f"{where}: {shorten(value)}"
            if name not in _BINS:
                raise InputError(f"{here}: '{shorten(str(name))}' is no intensity; {nearest(str(name), _BINS)}")
            if not isinstance(entries, list):
                raise InputError(f"{here}, {name}: give a list of objects with text and intensity")
            for number, entry in enumerate(entries, start=1):
                if not isinstance(entry, Mapping) or not {"text", "intensity"} <= entry.keys():
                    raise InputError(f"{here}, {name}, entry {number}: give an object with text and intensity")
                yield {
                    "theory": owner.name,
                    "value": value,
                    "text": entry["text"],
                    "final_rating": entry["intensity"],
                }


def _owner(value: str, where: str, theory: Theory | None) -> Theory:
    """Return the theory of a value: one that evaluates it before one that has it elsewhere in its hierarchy."""
    packaged = [known for known in known_theories() if theory is None or known.name != theory.name]
    candidates = ([] if theory is None else [theory]) + packaged
    holders = [one for one in candidates if one.find(value) is not None]
    found = next((one for one in holders if one.find(value) in one.values), next(iter(holders), None))
    if found is not None:
        return found
    known = [name for one in candidates for name in one.values]
    raise InputError(f"{where}: value '{shorten(value)}' is in no theory; {nearest(value, known)}")
