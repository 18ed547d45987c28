"""Which of the responses a run is about."""

from collections.abc import Callable, Sequence
from functools import cache

import pandas as pd

from valueflow.responses.columns import JOINT
from valueflow.run import InputError, nearest
from valueflow.theory import Theory, find_theory


def filter_responses(
    frame: pd.DataFrame,
    where: str,
    theory: Theory,
    value: str,
    *,
    intensity: int | None = None,
    model: str | None = None,
    steered_by: str | None = None,
    values: Sequence[str] | None = None,
    intensities: Sequence[int] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Keep the responses a run is about: those steered this way, of this model, to this theory, value and intensity.

    The columns filter in that order. One that is not there, or has no entry in any of the rows that are left, filters
    nothing. A response steered to several values at once (`benevolence|universalism`) is a response to each of them;
    its intensity (`2|-1`) on one is the entry at the same place.

    Parameters
    ----------
    frame
        As `load_responses` gives it.
    where
        The source, for messages.
    theory, value
        The theory, and the id of the value.
    intensity, model, steered_by
        Entries of the columns `intensity`, `model` and `steering`; None takes all.
    values, intensities
        Ids of all values that a response was steered to, and its intensity on each, in their order; None takes all.
        Where `value` is none of them, drift on it is measured: `value` and `intensity` then filter nothing.

    Returns
    -------
    pandas.DataFrame
        The rows that are left, numbered anew.
    list of str
        Which of the last three settings are given but found nothing to filter by: they are labels only.

    Raises
    ------
    InputError
        None is left; the message says what the deciding column holds.
    """

    @cache
    def named(cell: str) -> list[str | None]:
        return [theory.find(name) for name in cell.split(JOINT)]

    @cache
    def on_value(values: str, intensities: str) -> str:
        """Return the entry of an `intensity` cell that belongs to the value."""
        names, entries = named(values), intensities.split(JOINT)
        return entries[names.index(value)] if len(names) == len(entries) else ""

    if values is not None:
        frame = _steered_to(frame, where, [named(cell) == list(values) for cell in _cells(frame, "value")], values)
    if intensities is not None:
        wanted_cell = JOINT.join(map(str, intensities))
        fitting = [cell.replace(" ", "") == wanted_cell for cell in _cells(frame, "intensity")]
        frame = _steered_to(frame, where, fitting, intensities)
    is_drift = values is not None and value not in values
    filters: tuple[tuple[str, str, object, Callable[[str], bool]], ...] = (
        ("steered_by", "steering", steered_by, lambda cell: cell == steered_by),
        ("model", "model", model, lambda cell: cell == model),
        ("theory", "theory", theory.name, theory.is_named),
        ("value", "value", value, lambda cell: value in named(cell)),
        ("intensity", "intensity", intensity, lambda cell: pd.to_numeric(cell, errors="coerce") == intensity),
    )
    own_kind: dict[str, Callable[[str], bool]] = {
        "steering": bool,
        "model": bool,
        "theory": lambda entry: find_theory(entry) is not None,
        "value": lambda entry: theory.find(entry) is not None,
        "intensity": lambda entry: bool(pd.notna(pd.to_numeric(entry, errors="coerce"))),
    }
    kept, idle = frame, []
    for setting, column, wanted, fits in filters:
        if wanted is None or (is_drift and column in ("value", "intensity")):
            continue
        cells = _cells(kept, column)
        if not any(cell.strip() for cell in cells):
            idle.append(setting)
            continue
        if column == "intensity" and "value" not in idle:
            cells = [on_value(*pair) for pair in zip(kept["value"].tolist(), cells, strict=True)]
        matches = {cell: fits(cell) for cell in set(cells)}  # there are far fewer cells than rows
        left = kept[[matches[cell] for cell in cells]]
        if left.empty:
            held = sorted({entry for cell in matches for entry in cell.split(JOINT) if entry.strip()})
            is_ours = any(own_kind[column](entry) for entry in held)
            hint = "" if is_ours else f"; if the column is something else: response_columns.{column}=null"
            raise InputError(f"{where}: no response has {column} '{wanted}'; {nearest(str(wanted), held[:40])}{hint}")
        kept = left
    return kept.reset_index(drop=True), [setting for setting in idle if setting not in ("theory", "value")]


def _cells(frame: pd.DataFrame, column: str) -> list[str]:
    return frame[column].tolist() if column in frame else [""] * len(frame)


def _steered_to(frame: pd.DataFrame, where: str, fitting: list[bool], wanted: Sequence[object]) -> pd.DataFrame:
    """Keep the rows that fit, of those steered to several values at once."""
    if not any(fitting):
        held = sorted({cell for column in ("value", "intensity") for cell in _cells(frame, column) if JOINT in cell})
        raise InputError(
            f"{where}: no response was steered to exactly {JOINT.join(map(str, wanted))}; of several values at once it "
            f"holds: {', '.join(held[:20]) or 'none'}"
        )
    return frame[fitting]
