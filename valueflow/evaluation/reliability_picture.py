"""Scores of anchors against their ratings: how far a judge can be relied on, at a glance."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import PICTURE_COLORS, picture_text, save_picture
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

PICTURE = "reliability"


def draw_reliability(anchors: pd.DataFrame, title: str, path: Path) -> None:
    """Draw each anchor's score with its 90% interval at its rating, and the line on which both are equal.

    Parameters
    ----------
    anchors
        One row per anchor with `rating`, `score`, `low`, `high`; rows without a score are left out.
    title
        Of the picture, such as the value's name.
    path
        With the suffix of a format, png or svg.
    """
    from matplotlib.figure import Figure

    known = anchors[anchors["score"].notna()]
    rating, score, low, high = (known[name].to_numpy(dtype=float) for name in ("rating", "score", "low", "high"))
    held = (low <= rating) & (rating <= high)
    ends = (LOWEST_INTENSITY * 1.05, HIGHEST_INTENSITY * 1.05)
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    panel = figure.subplots()
    panel.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
    for inside, color, label in (
        (held, PICTURE_COLORS[0], "interval holds the rating"),
        (~held, PICTURE_COLORS[1], "it does not"),
    ):
        if inside.any():
            panel.errorbar(
                rating[inside],
                score[inside],
                yerr=_lengths(score[inside], low[inside], high[inside]),
                color=color,
                linestyle="none",
                marker="o",
                markersize=4,
                elinewidth=0.8,
                capsize=2,
                label=f"{label} ({inside.sum():,} of {len(known):,})",
            )
    panel.set(
        title=picture_text(title),
        xlabel="rating of the anchor",
        ylabel="score of the anchor (with 90% interval)",
        xlim=ends,
        ylim=ends,
        aspect="equal",
    )
    figure.legend(fontsize="small", frameon=False, ncols=2, loc="outside lower center")
    save_picture(figure, path)


def _lengths(
    score: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the lengths of the interval below and above, (2, N); a mode may be its end up to rounding."""
    return np.maximum(np.stack([score - low, high - score]), 0.0)
