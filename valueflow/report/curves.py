"""Curves of a training."""

from pathlib import Path

import pandas as pd

from valueflow.run import PICTURE_COLORS, save_picture


def draw_curve(curve: pd.DataFrame, name: str, file: Path) -> None:
    """Draw a column of a curve by its column `step`, and save it.

    Parameters
    ----------
    curve
        `step` and the column.
    name
        The column.
    file
        Where to; its suffix is the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.9, 2.0), layout="constrained")
    panel = figure.subplots()
    panel.plot(curve["step"], curve[name], color=PICTURE_COLORS[0], linewidth=1.3)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    panel.set_xlabel("step", size=8)
    save_picture(figure, file)
