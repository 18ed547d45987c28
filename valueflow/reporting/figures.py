"""A summary as one flat row of figures."""

from collections.abc import Mapping
from typing import Any

_LEFT_OUT = ("failures", "versions", "settings")


def figures(summary: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a run's summary: `{"timings": {"total": 1}}` becomes `{"timings.total": 1}`.

    Lists of reasons, versions and settings stay in `summary.json`; they are no figures to compare.
    """
    row: dict[str, Any] = {}
    for key, entry in summary.items():
        if key in _LEFT_OUT:
            continue
        if isinstance(entry, Mapping):
            row |= figures(entry, f"{prefix}{key}.")
        else:
            row[f"{prefix}{key}"] = entry
    return row
