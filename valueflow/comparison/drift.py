"""Drift: what steering to one value does to the others, as a matrix of values and as a picture."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from valueflow.run import picture_text, save_picture
from valueflow.theory import normalize_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TARGET = re.compile(r"(?P<value>(?:(?![+-]\d).)+)(?P<intensity>[+-]\d)")
"""A label of one value and its intensity; a label of several values has more than one intensity and does not match."""
_CONDITION = ["run", "model", "steered_by"]
_CELL, _MARGIN = 0.75, 2.2
"""Inches: of a cell of the picture, and around the matrix."""


def drift(table: pd.DataFrame) -> pd.DataFrame:
    """Return how far each value moves from the lowest to the highest intensity that another, or itself, is steered to.

    Parameters
    ----------
    table
        Of a comparison: differences of the family `targets`, whose jobs `evaluate.py values=[...]` has scored.

    Returns
    -------
    pandas.DataFrame
        One row per condition, value steered to and value measured: `run`, `model`, `steered_by`, `theory`, `steered`,
        `measured`, `is_target`, `compared`, `against`, `estimate`, `low`, `high`, `p`, `p_holm`. Empty where the
        comparison has no responses steered to one value at two intensities.
    """
    rows = table[table["family"] == "targets"]
    ends = [(_TARGET.fullmatch(str(row.compared)), _TARGET.fullmatch(str(row.against))) for row in rows.itertuples()]
    found = []
    for row, (compared, against) in zip(rows.to_dict("records"), ends, strict=True):
        if compared is None or against is None or normalize_name(compared["value"]) != normalize_name(against["value"]):
            continue
        high, low = int(compared["intensity"]), int(against["intensity"])
        sign = 1 if high > low else -1
        bounds = sorted((sign * row["low"], sign * row["high"]))
        found.append(
            {key: row[key] for key in (*_CONDITION, "theory")}
            | {"steered": compared["value"], "measured": row["label"]}
            | {
                "is_target": normalize_name(compared["value"])
                in (normalize_name(row["label"]), normalize_name(row["value"]))
            }
            | {"compared": max(high, low), "against": min(high, low), "estimate": sign * row["estimate"]}
            | {"low": bounds[0], "high": bounds[1], "p": row["p"], "p_holm": row["p_holm"]}
        )
    if not found:
        return pd.DataFrame()
    # Of several pairs of intensities the widest one tells most.
    pairs = pd.DataFrame(found)
    widest = (pairs["compared"] - pairs["against"]).sort_values(ascending=False, kind="stable").index
    return (
        pairs.loc[widest]
        .drop_duplicates([*_CONDITION, "theory", "steered", "measured"])
        .sort_index()
        .reset_index(drop=True)
    )


def draw_drift(found: pd.DataFrame, file: Path) -> None:
    """Draw a matrix per condition, values steered to in rows and values measured in columns, and save it.

    A cell holds the difference in points; a star stands where its 95% interval leaves out 0.
    """
    from matplotlib.figure import Figure

    matrices = list(found.groupby([*_CONDITION, "theory"], sort=False))
    height = max(rows["steered"].nunique() for _, rows in matrices)
    width = max(rows["measured"].nunique() for _, rows in matrices)
    size = (len(matrices) * (width * _CELL + _MARGIN), height * _CELL + _MARGIN)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(matrices), squeeze=False)[0]
    most = float(np.nanmax(found["estimate"].abs())) or 1.0
    for panel, (condition, rows) in zip(panels, matrices, strict=True):
        _draw_matrix(panel, rows, most)
        panel.set_title(picture_text(", ".join(str(part) for part in condition if part)), loc="left", fontsize="medium")
    save_picture(figure, file)


def _draw_matrix(panel: "Axes", rows: pd.DataFrame, most: float) -> None:
    steered, measured = list(dict.fromkeys(rows["steered"])), list(dict.fromkeys(rows["measured"]))
    matrix = np.full((len(steered), len(measured)), np.nan)
    columns = ("steered", "measured", "estimate", "low", "high", "is_target")
    for value, on, estimate, low, high, is_target in zip(*(rows[column] for column in columns), strict=True):
        at = steered.index(value), measured.index(on)
        matrix[at] = estimate
        star = "*" if low > 0 or high < 0 else ""
        weight = "bold" if is_target else "normal"
        panel.text(at[1], at[0], f"{estimate:+.1f}{star}", ha="center", va="center", fontsize=8, fontweight=weight)
    panel.imshow(matrix, cmap="RdBu_r", vmin=-most, vmax=most, alpha=0.6)
    panel.set_xticks(range(len(measured)), [picture_text(name) for name in measured], rotation=60, ha="right")
    panel.set_yticks(range(len(steered)), [picture_text(name) for name in steered])
    panel.set_xlabel("measured, points")
    panel.set_ylabel("steered to")
