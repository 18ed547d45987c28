"""Profiles as pictures: points with intervals, a heatmap of groups and values, a map of groups."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import PICTURE_COLORS, PICTURE_FORMATS, picture_text, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("profiles", "heatmap", "map")
MOST_GROUPS = 60
"""Groups that a picture shows; the first ones of the table."""

_PER_ROW = 6
_DPI = 120

FloatArray = npt.NDArray[np.float64]


def pictures_of(table: pd.DataFrame) -> dict[str, Callable[[Path], None]]:
    """Return what draws each picture, by file name; where there are several theories the names say which."""
    found: dict[str, Callable[[Path], None]] = {}
    theories = list(dict.fromkeys(table["theory"]))
    for theory in theories:
        rows = table[(table["theory"] == theory) & table["mean"].notna()]
        shown = list(dict.fromkeys(rows["group"]))[:MOST_GROUPS]
        rows = rows[rows["group"].isin(shown)]
        means = _matrix(rows)
        draws: dict[str, Callable[[Path], None]] = {}
        if not rows.empty:
            draws["profiles"] = partial(draw_profiles, rows)
        if len(means) > 1 and len(means.columns) > 1:
            draws["heatmap"] = partial(draw_heatmap, means)
        if len(means) > 2 and len(means.columns) > 1:
            draws["map"] = partial(draw_map, means)
        for kind, draw in draws.items():
            name = kind if len(theories) == 1 else f"{kind}_{theory}"
            found |= {f"{name}.{suffix}": draw for suffix in PICTURE_FORMATS}
    return found


def _matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means of groups (rows) on values (columns), of values that all groups have one of."""
    labels, groups = list(dict.fromkeys(rows["label"])), list(dict.fromkeys(rows["group"]))
    table = rows.pivot_table(index="group", columns="label", values="mean", sort=False)
    return table.reindex(index=groups, columns=labels).dropna(axis="columns")


def draw_profiles(rows: pd.DataFrame, file: Path) -> None:
    """Draw the values of a theory from top to bottom and a panel for each group beside it: means with 95% intervals.

    Parameters
    ----------
    rows
        Of a theory, as `profiles_table` has them; filled points differ from all groups together.
    file
        Where to; its suffix is the format.
    """
    from matplotlib.figure import Figure

    labels, groups = list(dict.fromkeys(rows["label"])), list(dict.fromkeys(rows["group"]))
    per_row = min(len(groups), _PER_ROW)
    n_rows = -(-len(groups) // per_row)
    height = 0.22 * len(labels) + 0.7
    figure = Figure(figsize=(1.9 * per_row + 1.6, height * n_rows + 0.3), layout="constrained")
    panels = figure.subplots(n_rows, per_row, sharex=True, sharey=True, squeeze=False)
    overall = rows.groupby("label")["mean"].mean()
    for place, panel in enumerate(panels.flat):
        if place >= len(groups):
            panel.set_axis_off()
            continue
        _draw_group(panel, rows[rows["group"] == groups[place]], labels, overall)
        panel.set_title(picture_text(groups[place]), size=8)
    for panel in panels[:, 0]:
        panel.set_yticks(range(len(labels)), [picture_text(label) for label in labels], size=8)
        panel.set_ylim(len(labels) - 0.5, -0.5)
    figure.supxlabel("mean intensity with 95% interval; line: all groups; filled: differs from them", size=8)
    save_picture(figure, file, dpi=_DPI)


def _draw_group(panel: "Axes", rows: pd.DataFrame, labels: Sequence[str], overall: "pd.Series[float]") -> None:
    places = rows["label"].map({label: place for place, label in enumerate(labels)})
    color = PICTURE_COLORS[0]
    panel.plot(overall.reindex(list(labels)), range(len(labels)), color="0.75", linewidth=1.0, zorder=0)
    known = rows["low"].notna()
    spans = [(rows["mean"] - rows["low"])[known], (rows["high"] - rows["mean"])[known]]
    panel.errorbar(rows["mean"][known], places[known], xerr=spans, color=color, linestyle="", elinewidth=1)
    filled = rows["differs"].to_numpy(dtype=bool)
    for chosen, face in ((~filled, "white"), (filled, color)):
        panel.plot(rows["mean"][chosen], places[chosen], "o", color=color, markersize=4, markerfacecolor=face)
    panel.axvline(0, color="0.9", linewidth=0.8, zorder=-1)
    panel.set_xlim(-10.5, 10.5)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=7)


def draw_heatmap(means: pd.DataFrame, file: Path) -> None:
    """Draw groups by values, colored by the difference from the mean over groups, both ordered by clustering.

    Parameters
    ----------
    means
        (G, V) table.
    file
        Where to.
    """
    from matplotlib.figure import Figure

    centered = means.to_numpy() - means.to_numpy().mean(axis=0)
    rows, columns = leaf_order(centered), leaf_order(centered.T)
    shown = centered[np.ix_(rows, columns)]
    figure = Figure(figsize=(0.42 * len(columns) + 3.2, 0.24 * len(rows) + 1.8), layout="constrained")
    panel = figure.subplots()
    most = float(np.abs(shown).max()) or 1.0
    image = panel.imshow(shown, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    labels, groups = list(means.columns), list(means.index)
    panel.set_xticks(range(len(columns)), [picture_text(labels[place]) for place in columns], rotation=90, size=8)
    panel.set_yticks(range(len(rows)), [picture_text(groups[place]) for place in rows], size=8)
    bar = figure.colorbar(image, ax=panel, shrink=0.7)
    bar.set_label("points above the mean over groups", size=8)
    save_picture(figure, file, dpi=_DPI)


def leaf_order(points: FloatArray) -> list[int]:
    """Return the order of points (N, D) in the tree of average linkage, neighbors as near as the tree allows."""
    if len(points) < 3:
        return list(range(len(points)))
    from scipy.cluster.hierarchy import leaves_list, linkage

    return [int(leaf) for leaf in leaves_list(linkage(points, "average", optimal_ordering=True))]


def principal_map(means: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return two principal components of groups, of their means on values.

    Parameters
    ----------
    means
        (G, V) with G of 3 or more and V of 2 or more.

    Returns
    -------
    points
        (G, 2) groups.
    arrows
        (V, 2) how much each value counts in each component; the largest of each component is positive.
    shares
        (2,) share of the variance that each explains.
    """
    centered = means - means.mean(axis=0)
    left, sizes, right = np.linalg.svd(centered, full_matrices=False)
    signs = np.sign(right[np.arange(2), np.abs(right[:2]).argmax(axis=1)])
    total = float((sizes**2).sum())
    shares = sizes[:2] ** 2 / total if total > 0 else np.zeros(2)
    return left[:, :2] * sizes[:2] * signs, right[:2].T * signs, shares


def draw_map(means: pd.DataFrame, file: Path) -> None:
    """Draw groups where two principal components put them, and the values as arrows.

    Parameters
    ----------
    means
        (G, V) table of three groups and two values or more.
    file
        Where to.
    """
    from matplotlib.figure import Figure

    points, arrows, shares = principal_map(means.to_numpy())
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    panel = figure.subplots()
    reach = float(np.abs(points).max()) or 1.0
    arrows = arrows * reach / (float(np.linalg.norm(arrows, axis=1).max()) or 1.0)
    for label, (x, y) in zip(means.columns, arrows, strict=True):
        panel.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "0.7"})
        panel.annotate(picture_text(label), (x, y), color="0.5", size=8, ha="center")
    panel.plot(points[:, 0], points[:, 1], "o", color=PICTURE_COLORS[0], markersize=5)
    for group, (x, y) in zip(means.index, points, strict=True):
        panel.annotate(picture_text(group), (x, y), xytext=(4, 3), textcoords="offset points", size=8)
    panel.set_xlabel(f"first component, {shares[0]:.0%} of the variance; points")
    panel.set_ylabel(f"second component, {shares[1]:.0%}")
    panel.axhline(0, color="0.9", linewidth=0.8, zorder=0)
    panel.axvline(0, color="0.9", linewidth=0.8, zorder=0)
    panel.spines[["top", "right"]].set_visible(False)
    save_picture(figure, file, dpi=_DPI)
