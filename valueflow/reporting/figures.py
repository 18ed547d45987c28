"""A summary as one flat row of figures."""

from collections.abc import Mapping
from typing import Any

_LEFT_OUT = ("failures", "versions", "settings", "query_sets", "refused_rows", "most_certain", "least_certain")


def figures(summary: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a run's summary: `{"timings": {"total": 1}}` becomes `{"timings.total": 1}`.

    What stands in a list is told by its `name`, or else by its number from 1: `judges.phi-4.kendall_tau`.
    Lists of reasons, versions and settings stay in `summary.json`; they are no figures to compare.
    """
    row: dict[str, Any] = {}
    for key, entry in summary.items():
        if key in _LEFT_OUT:
            continue
        if isinstance(entry, Mapping):
            row |= figures(entry, f"{prefix}{key}.")
        elif isinstance(entry, list) and all(isinstance(part, Mapping) for part in entry) and entry:
            for number, part in enumerate(entry, start=1):
                others = {own: figure for own, figure in part.items() if own != "name"}
                row |= figures(others, f"{prefix}{key}.{part.get('name', number)}.")
        else:
            row[f"{prefix}{key}"] = entry
    return row
