"""All differences and slopes with their intervals, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from valueflow.comparison.questions import FACTORS, INTENSITY
from valueflow.run import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("png", "svg")
SIGNIFICANT = 0.05

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito 2008
_MARKERS = ("o", "s", "D", "^", "v")
_WIDTH, _ROW, _GAP, _PANEL = 9.0, 0.17, 0.14, 1.1
"""Inches: of the picture, of a row, between values, and of what a panel has besides rows."""

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
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    families = list(dict.fromkeys(table["family"]))
    panels = [table[table["family"] == family] for family in families]
    heights = [_PANEL + _ROW * len(rows) + _GAP * len(rows.groupby(["theory", "value"])) for rows in panels]
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights).ravel()
    for axis, family, rows in zip(axes, families, panels, strict=True):
        _draw_family(axis, family, rows)
    # Fixed salt and no date: the same results give the same file.
    with rc_context({"svg.hashsalt": "valueflow"}), replacing(file) as temporary:
        figure.savefig(
            temporary,
            dpi=min(_DPI, _MOST_PIXELS / sum(heights)),
            metadata={"Date": None} if file.suffix == ".svg" else None,
        )


def _draw_family(axis: "Axes", family: str, rows: pd.DataFrame) -> None:
    compared, conditions = compared_words(rows), condition_words(rows)
    names = compared + conditions
    color_of, marker_of = _numbered(compared, _COLORS), _numbered(conditions, _MARKERS)
    styles = {
        name: (color_of[what], marker_of[condition])
        for name, what, condition in zip(names, compared, conditions, strict=True)
    }
    ticks: list[tuple[float, str]] = []
    place = 0.0
    for _, group in rows.groupby(["theory", "value"], sort=False):
        first = group.iloc[0]
        ticks.append((place + (len(group) - 1) / 2 * _ROW, literal(f"{first['theory']}/{first['label']}")))
        for name, (_, row) in zip(names[group.index], group.iterrows(), strict=True):
            color, marker = styles[name]
            is_found = row["p_holm"] <= SIGNIFICANT
            axis.errorbar(
                row["estimate"],
                place,
                xerr=[[row["estimate"] - row["low"]], [row["high"] - row["estimate"]]],
                color=color,
                marker=marker,
                markersize=4.5,
                markerfacecolor=color if is_found else "white",
                elinewidth=1.2,
                capsize=2,
            )
            place += _ROW
        place += _GAP
    axis.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_yticks([tick for tick, _ in ticks], [name for _, name in ticks])
    axis.set_ylim(place - _GAP, -_ROW)
    axis.spines[["top", "right"]].set_visible(False)
    unit = "points per intensity step" if family.startswith("slope") else "points"
    axis.set_title(
        f"{family}: filled where p (Holm, {rows['tests'].iloc[0]} tests) is at most {SIGNIFICANT:g}", loc="left"
    )
    axis.set_xlabel(f"{'slope' if family.startswith('slope') else 'difference of means'} with 95% interval, {unit}")
    handles = [
        axis.plot([], [], color=color, marker=marker, linestyle="", label=literal(name))[0]
        for name, (color, marker) in styles.items()
    ]
    axis.legend(handles=handles, fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


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


def literal(name: str) -> str:
    """Keep matplotlib from reading dollar signs as mathematics."""
    return name.replace("$", r"\$")
