"""All differences and slopes with their intervals, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from valueflow.comparison.questions import FACTORS, INTENSITY, SLOPE
from valueflow.run import PICTURE_COLORS, picture_text, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIGNIFICANT = 0.05

_MARKERS = ("o", "s", "D", "^", "v")
_WIDTH, _ROW, _GAP, _BETWEEN = 6.0, 0.17, 0.14, 0.9
"""Inches: of a panel, of a row, between values, and between panels."""

_DPI, _MOST_PIXELS = 150, 60_000


def draw_forest(table: pd.DataFrame, file: Path) -> None:
    """Draw a panel per family, a group of rows per value, a color per comparison, and save it.

    Parameters
    ----------
    table
        Of a comparison; filled markers are rows whose corrected p-value is at most 0.05.
    file
        Where to; its suffix is the format.
    """
    from matplotlib.figure import Figure

    families = [rows for _, rows in table.groupby("family", sort=False)]
    heights = [_ROW * (len(rows) + 1) + _GAP * len(rows.groupby(["theory", "value"])) for rows in families]
    total = sum(heights) + _BETWEEN * len(families)
    figure = Figure(figsize=(_WIDTH, total))
    # Placed by hand: the solver behind matplotlib's layouts may differ in the last digit from run to run.
    top = total
    for rows, height in zip(families, heights, strict=True):
        _draw_family(figure.add_axes((0, (top - height) / total, 1, height / total)), rows)
        top -= height + _BETWEEN
    save_picture(figure, file, dpi=min(_DPI, _MOST_PIXELS / total), more={"bbox_inches": "tight"})


def _draw_family(panel: "Axes", rows: pd.DataFrame) -> None:
    # Rows of a value stand together, values in the order of their first rows.
    value = pd.factorize(rows["theory"] + "/" + rows["label"])[0]
    rows = rows.iloc[np.argsort(value, kind="stable")]
    names = rows["theory"] + "/" + rows["label"]
    place = pd.Series(_ROW * np.arange(len(rows)) + _GAP * np.sort(value), index=rows.index)
    compared, conditions = compared_words(rows), condition_words(rows)
    colored = compared if compared.nunique() > 1 else conditions
    colors, markers = _numbered(colored, PICTURE_COLORS), _numbered(conditions, _MARKERS)
    for name, series in rows.groupby(compared + conditions, sort=False):
        first, y, is_found = series.index[0], place[series.index], series["p_holm"] <= SIGNIFICANT
        color, marker = colors[colored[first]], markers[conditions[first]]
        panel.errorbar(
            series["estimate"],
            y,
            xerr=[series["estimate"] - series["low"], series["high"] - series["estimate"]],
            color=color,
            linestyle="",
            elinewidth=1.2,
            capsize=2,
        )
        shape: dict[str, Any] = {"color": color, "marker": marker, "markersize": 4.5, "linestyle": ""}
        panel.plot(series["estimate"], y, **shape, markerfacecolor="white")
        panel.plot(series["estimate"][is_found], y[is_found], **shape, label=picture_text(str(name)))
    panel.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    middles = place.groupby(names, sort=False).mean()
    panel.set_yticks(middles.to_numpy(), [picture_text(name) for name in middles.index])
    panel.set_ylim(place.iloc[-1] + _ROW, -_ROW)
    panel.spines[["top", "right"]].set_visible(False)
    family = rows["family"].iloc[0]
    is_slope = family.startswith(SLOPE)
    panel.set_title(f"{family}: filled where p (Holm, {rows['tests'].iloc[0]} tests) <= {SIGNIFICANT:g}", loc="left")
    panel.set_xlabel("slope, points per intensity" if is_slope else "difference of means, points")
    panel.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _numbered(words: "pd.Series[str]", styles: Sequence[str]) -> dict[str, str]:
    """Give each different word a style, in turn."""
    return {word: styles[number % len(styles)] for number, word in enumerate(dict.fromkeys(words))}


def compared_words(rows: pd.DataFrame) -> "pd.Series[str]":
    """Word what each row compares: `+2 vs 0`."""
    return rows["compared"].where(rows["against"] == "", rows["compared"] + " vs " + rows["against"])


def condition_words(rows: pd.DataFrame) -> "pd.Series[str]":
    """Word under which condition each row compares, `, phi-4`; what all rows share is left out."""
    words = pd.Series("", index=rows.index)
    for key in (*FACTORS, INTENSITY):
        if rows[key].nunique() > 1:
            shown = rows[key].map(lambda cell: f"{cell:+d}" if isinstance(cell, int) and cell else str(cell))
            words = words.where(shown == "", words + ", " + shown)
    return words
