"""The figure of a run that a search of settings looks at: what a job returns to Hydra's sweeper."""

import math
from collections.abc import Mapping
from typing import Any

from valueflow.run.errors import InputError, nearest
from valueflow.run.sweep import flattened


def optimized_metric(
    summary: Mapping[str, Any], named: str | list[str] | None, *, needed: bool
) -> float | tuple[float, ...] | None:
    """Return the figures of a summary that a search of settings looks at.

    Parameters
    ----------
    summary
        Of a finished job.
    named
        A dotted key as `sweep.csv` has it, such as `reliability.kendall_tau`, or several.
    needed
        Whether a search waits for it.

    Returns
    -------
    float, tuple of float or None
        As many as were named; None where none is needed and one is not there.

    Raises
    ------
    InputError
        A search needs a figure that is not there, or is none.
    """
    if named is None and not needed:
        return None
    if named is None:
        raise InputError("optimized_metric is null; a search of settings needs a figure of summary.json")
    row = flattened(summary)
    figures = {key: float(entry) for key, entry in row.items() if _is_number(entry)}
    keys = [named] if isinstance(named, str) else list(named)
    for key in keys:
        if key not in figures:
            if not needed:
                return None
            what = "is empty in this summary" if key in row else f"is no figure of the summary; {nearest(key, figures)}"
            raise InputError(f"optimized_metric={key} {what}")
    found = tuple(figures[key] for key in keys)
    return found[0] if isinstance(named, str) else found


def _is_number(entry: Any) -> bool:
    # NumPy's are floats or have a method that makes them one.
    return not isinstance(entry, str | bool | list) and hasattr(entry, "__float__") and math.isfinite(float(entry))
