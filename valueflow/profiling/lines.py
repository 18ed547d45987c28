"""Profiles as presets read them: one JSON file a group, its values by level, each with a line for a prompt."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.opinionqa import BANDS, profile_file_name
from valueflow.profiling.normalization import BOUNDS
from valueflow.run import InputError, shorten, write_json
from valueflow.theory import Node, Theory

_WORDS: Mapping[str, str] = {
    "very_high": "You care a great deal about",
    "high": "You care about",
    "medium": "You care somewhat about",
    "low": "You care little about",
    "very_low": "You hardly care about",
}


def line_of(node: Node, level: str) -> str:
    """Return what a prompt says of a value at a level: `You care about security: living in a safe society ...`."""
    definition = node.definition.strip()
    return f"{_WORDS[level]} {node.label}: {definition[:1].lower()}{definition[1:]}"


def check_names(groups: Sequence[str]) -> None:
    """Refuse groups whose profiles would be one file.

    Raises
    ------
    InputError
        Two names differ in characters that no file name has, or in upper and lower case alone.
    """
    names: dict[str, str] = {}
    for group in groups:
        other = names.setdefault(profile_file_name(group).casefold(), group)
        if other != group:
            raise InputError(
                f"the groups '{shorten(other)}' and '{shorten(group)}' would share the file "
                f"{shorten(profile_file_name(group))}; rename one of them"
            )


def profile_of(group: str, rows: pd.DataFrame, theories: Sequence[Theory], n: int) -> dict[str, Any]:
    """Return the profile of a group.

    Parameters
    ----------
    group
        Its name.
    rows
        Its rows of `profiles.csv`; a value without a score is left out.
    theories
        Whose values they are.
    n
        Texts or questions of the group.
    """
    return {
        "attribute": group,
        "n_total": n,
        "bin_thresholds": [
            {"label": level, "lowest": lowest} for level, lowest in sorted(BOUNDS.items(), key=lambda bound: bound[1])
        ],
        "theories": {theory.name: _bands(rows[rows["theory"] == theory.name], theory) for theory in theories},
    }


def write_profiles(profiles: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write each profile into a folder, under the name that presets look for."""
    folder.mkdir(parents=True, exist_ok=True)
    for profile in profiles:
        write_json(profile, folder / profile_file_name(str(profile["attribute"])))


def _bands(rows: pd.DataFrame, theory: Theory) -> dict[str, list[dict[str, Any]]]:
    bands: dict[str, list[dict[str, Any]]] = {band: [] for band in BANDS}
    known = rows[rows["score"].notna()].sort_values("score", ascending=False, kind="stable")
    for value, score, mean, low, high, level in known[["value", "score", "mean", "low", "high", "level"]].itertuples(
        index=False
    ):
        node = theory.nodes[str(value)]
        bands[str(level)].append(
            {
                "score": float(score),
                "definition_prompt": line_of(node, str(level)),
                "definition_raw": f"{node.label}: {node.definition}",
                "value_key": value,
                "mean": mean,
                "low": low,
                "high": high,
            }
        )
    return bands
