"""The values where scaling puts them, beside the theory's circle, and their cosines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from valueflow.run import PICTURE_COLORS, picture_text, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_SIDE = 4.6
"""Inches of a panel."""

_DPI = 120


def draw_geometry(table: pd.DataFrame, pairs: pd.DataFrame, file: Path) -> None:
    """Draw the values in a plane, with the theory's circle beside them where it has one, and the matrix of cosines.

    Parameters
    ----------
    table, pairs
        Of a `Geometry`; values with the same parents have one color.
    file
        Where to; its suffix is the format.
    """
    from matplotlib.figure import Figure

    has_circle = "theory_x" in table
    panels = 3 if has_circle else 2
    figure = Figure(figsize=(_SIDE * panels + 0.6, _SIDE + 0.4), layout="constrained")
    axes = figure.subplots(1, panels)
    if has_circle:
        _draw_points(axes[0], table, ("theory_x", "theory_y"), joined=True)
        axes[0].set_title("circle of the theory", size=9)
    _draw_points(axes[-2], table, ("x", "y"), joined=has_circle)
    axes[-2].set_title("vectors, by classical scaling", size=9)
    image = _draw_cosines(axes[-1], pairs, [picture_text(label) for label in table["label"]])
    figure.colorbar(image, ax=axes[-1], shrink=0.8)
    handles, names = axes[-2].get_legend_handles_labels()
    if len(names) > 1:
        figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8)
    save_picture(figure, file, dpi=_DPI)


def _draw_points(panel: "Axes", table: pd.DataFrame, columns: tuple[str, str], *, joined: bool) -> None:
    """Draw the values as points; `joined` also draws a line from each to the next one around the circle."""
    points = table[list(columns)].to_numpy()
    if joined:
        around = np.vstack([points, points[:1]])
        panel.plot(around[:, 0], around[:, 1], color="0.85", linewidth=0.8, zorder=0)
    for number, parents in enumerate(table["parents"].unique()):
        own = points[(table["parents"] == parents).to_numpy()]
        color = PICTURE_COLORS[number % len(PICTURE_COLORS)]
        panel.plot(own[:, 0], own[:, 1], "o", color=color, markersize=6, label=picture_text(parents) or None)
    for label, (x, y) in zip(table["label"], points, strict=True):
        panel.annotate(picture_text(label), (x, y), xytext=(5, 4), textcoords="offset points", size=8)
    panel.set_aspect("equal", adjustable="datalim")
    panel.margins(0.25)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[["top", "right", "bottom", "left"]].set_visible(False)


def _draw_cosines(panel: "Axes", pairs: pd.DataFrame, labels: Sequence[str]) -> "AxesImage":
    n = len(labels)
    cosines = np.eye(n)
    first, second = np.triu_indices(n, 1)
    cosines[first, second] = cosines[second, first] = pairs["cosine"].to_numpy()
    panel.set_xticks(range(n), labels, rotation=90, size=8)
    panel.set_yticks(range(n), labels, size=8)
    panel.set_title("cosines of the vectors", size=9)
    return panel.imshow(cosines, cmap="RdBu_r", vmin=-1, vmax=1)
