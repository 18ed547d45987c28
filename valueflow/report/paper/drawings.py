"""The figures of the paper, drawn from their tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from valueflow.responses import UNSTEERED, shown_intensity
from valueflow.run import PICTURE_COLORS, picture_text, save_picture
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OF_INTENSITY = {
    "-2": "#B2182B",
    "-1": "#EF8A62",
    "0": "#878787",
    "+1": "#67A9CF",
    "+2": "#2166AC",
    UNSTEERED: "#000000",
}
_PER_VALUE = 0.42
"""Inches of the horizontal axis for a value."""


def draw_steerability(table: pd.DataFrame, file: Path) -> None:
    """Draw a row of panels per model and one per method: differences from unsteered, bars by value and intensity."""
    panels, models, methods = _grid(table)
    values = list(dict.fromkeys(table["value"]))
    levels = sorted(set(table["intensity"]))
    width = 0.8 / len(levels)
    for (row, model), (column, method) in _pairs(models, methods):
        panel = panels[row][column]
        own = table[(table["model"] == model) & (table["method"] == method)]
        for place, level in enumerate(levels):
            bars = own[own["intensity"] == level].set_index("value").reindex(values)
            x = np.arange(len(values)) + (place - (len(levels) - 1) / 2) * width
            spans = [bars["difference"] - bars["low"], bars["high"] - bars["difference"]]
            panel.bar(
                x,
                bars["difference"],
                width,
                color=_OF_INTENSITY[shown_intensity(int(level))],
                label=shown_intensity(int(level)),
            )
            panel.errorbar(x, bars["difference"], yerr=spans, linestyle="", color="0.25", elinewidth=0.6)
        _finish(panel, values, model, method, "points from unsteered")
        panel.axhline(0, color="0.3", linewidth=0.7)
    _save(panels, file, "steered to")


def draw_value_wise(table: pd.DataFrame, file: Path) -> None:
    """Draw a row of panels per model and one per method: means by value, a color per intensity."""
    # What was not steered was not steered by a method either: it stands in the panels of all methods.
    is_steered = table["intensity"] != UNSTEERED
    panels, models, methods = _grid(table[is_steered] if is_steered.any() else table)
    values = list(dict.fromkeys(table["value"]))
    levels = [level for level in _OF_INTENSITY if level in set(table["intensity"])]
    for (row, model), (column, method) in _pairs(models, methods):
        panel = panels[row][column]
        own = table[(table["model"] == model) & ((table["method"] == method) | ~is_steered)]
        for place, level in enumerate(levels):
            points = own[own["intensity"] == level].drop_duplicates("value").set_index("value").reindex(values)
            x = np.arange(len(values)) + (place - (len(levels) - 1) / 2) * 0.12
            spans = [points["mean"] - points["low"], points["high"] - points["mean"]]
            panel.errorbar(
                x,
                points["mean"],
                yerr=spans,
                linestyle="",
                marker="o",
                markersize=3.5,
                elinewidth=0.9,
                color=_OF_INTENSITY[level],
                label="unsteered" if level == UNSTEERED else level,
            )
        _finish(panel, values, model, method, "mean score")
        panel.set_ylim(LOWEST_INTENSITY * 1.05, HIGHEST_INTENSITY * 1.05)
        panel.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    _save(panels, file, "steered to")


def draw_asked_and_got(table: pd.DataFrame, file: Path) -> None:
    """Draw a row of two heatmaps per model and method: intensities asked for, and mean scores, by aim and value."""
    from matplotlib.figure import Figure

    groups = list(table.groupby(["model", "method"], sort=False))
    aims = max(own["targets"].nunique() for _, own in groups)
    figure = Figure(figsize=(9.5, len(groups) * (0.45 * aims + 1.6)), layout="constrained")
    panels = figure.subplots(len(groups), 2, squeeze=False)
    for row, ((model, method), own) in zip(panels, groups, strict=True):
        for panel, column, most in ((row[0], "asked", 2.0), (row[1], "mean", HIGHEST_INTENSITY)):
            cells = own.pivot_table(index="targets", columns="value", values=column, sort=False)
            figures = cells.to_numpy(dtype=float)
            panel.imshow(figures, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
            for (line, place), figure_at in np.ndenumerate(figures):
                if not np.isnan(figure_at):
                    ink = "white" if abs(figure_at) > 0.65 * most else "black"
                    shown = shown_intensity(int(figure_at)) if column == "asked" else f"{figure_at:+.1f}"
                    panel.text(place, line, shown, ha="center", va="center", size=8, color=ink)
            panel.set_xticks(
                range(len(cells.columns)), [picture_text(name) for name in cells.columns], size=8, rotation=30
            )
            panel.set_yticks(range(len(cells)), [f"aim {number}" for number in range(1, len(cells) + 1)], size=8)
            what = "asked for" if column == "asked" else "mean score"
            panel.set_title(picture_text(", ".join(str(part) for part in (what, model, method) if part)), size=8)
    save_picture(figure, file)


def draw_trainings(table: pd.DataFrame, file: Path) -> None:
    """Draw a panel per training: bars of held-out metrics before and after, with standard errors."""
    _paired_bars(
        table, "run", "metric", {"before": "before", "after": "after"}, "standard_error", "held-out metric", file
    )


def draw_surveys(table: pd.DataFrame, file: Path) -> None:
    """Draw a panel per survey: accuracies of both passes by group."""
    named = table.assign(survey=table["preset"] + ", " + table["model"])
    columns = {"default_accuracy": "default prompt", "profile_accuracy": "with profile"}
    _paired_bars(named, "survey", "group", columns, None, "accuracy", file)


def _paired_bars(
    table: pd.DataFrame,
    panel_by: str,
    row_by: str,
    columns: dict[str, str],
    error: str | None,
    what: str,
    file: Path,
) -> None:
    from matplotlib.figure import Figure

    groups = list(table.groupby(panel_by, sort=False))
    most = max(len(own) for _, own in groups)
    figure = Figure(figsize=(6.5, len(groups) * (0.32 * most + 1.1)), layout="constrained")
    for panel, (name, own) in zip(figure.subplots(len(groups), 1, squeeze=False)[:, 0], groups, strict=True):
        y = np.arange(len(own))
        for place, (column, label) in enumerate(columns.items()):
            known = error is not None and place == 1
            spans = pd.to_numeric(own[error]).fillna(0.0).to_numpy() if known and error else None
            figures = pd.to_numeric(own[column]).to_numpy(dtype=float)
            panel.barh(y + (place - 0.5) * 0.38, figures, 0.38, xerr=spans, color=PICTURE_COLORS[place], label=label)
        panel.set_yticks(y, [picture_text(cell).replace("_", " ") for cell in own[row_by]], size=8)
        panel.invert_yaxis()
        panel.set_title(picture_text(str(name)), size=8)
        panel.set_xlabel(what, size=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    save_picture(figure, file)


def _grid(table: pd.DataFrame) -> tuple[Sequence[Sequence["Axes"]], list[str], list[str]]:
    """Return panels for models (rows) and methods (columns)."""
    from matplotlib.figure import Figure

    models, methods = list(dict.fromkeys(table["model"])), list(dict.fromkeys(table["method"]))
    size = (max(_PER_VALUE * table["value"].nunique() + 1.0, 2.6) * len(methods) + 0.8, 2.2 * len(models) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    panels: Any = figure.subplots(len(models), len(methods), squeeze=False, sharex=True, sharey=True)
    return panels, models, methods


def _pairs(models: Sequence[str], methods: Sequence[str]) -> list[tuple[tuple[int, str], tuple[int, str]]]:
    return [(one, other) for one in enumerate(models) for other in enumerate(methods)]


def _finish(panel: "Axes", values: Sequence[str], model: str, method: str, what: str) -> None:
    panel.set_xticks(range(len(values)), [picture_text(value) for value in values], rotation=90, size=7)
    # Values without a mean, too, have their place.
    panel.set_xlim(-0.6, len(values) - 0.4)
    panel.set_title(picture_text(", ".join(str(part) for part in (model, method) if part)), size=8)
    if panel.get_subplotspec() is None or panel.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        panel.set_ylabel(what, size=8)
    panel.tick_params(axis="y", labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)


def _save(panels: Sequence[Sequence["Axes"]], file: Path, title: str) -> None:
    figure = panels[0][0].figure
    handles = {
        label: handle
        for row in panels
        for panel in row
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), title=title, loc="outside right upper", fontsize=7, frameon=False)
    save_picture(figure, file)  # type: ignore[arg-type]
