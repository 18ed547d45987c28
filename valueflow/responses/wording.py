"""Intensities and targets of steering in words, as every table and picture has them."""

from collections.abc import Mapping
from typing import Any

UNSTEERED = "all"
"""Stands for responses that are not told apart by intensity."""


def shown_intensity(intensity: int | None) -> str:
    """Word an intensity: `+2`, `0`, `all`."""
    return UNSTEERED if intensity is None else f"{intensity:+d}" if intensity else "0"


def shown_targets(summary: Mapping[str, Any]) -> str:
    """Word values and intensities that responses were steered to at once: `benevolence+2 power-1`; empty for one.

    Where a summary does not give an intensity for each value, the values alone.
    """
    values, intensities = summary.get("values") or [], summary.get("intensities") or []
    if len(values) != len(intensities):
        return " ".join(map(str, values))
    return " ".join(f"{value}{intensity:+d}" for value, intensity in zip(values, intensities, strict=True))
