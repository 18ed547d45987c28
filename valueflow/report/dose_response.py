"""Scores by steering intensity: a panel per value, a heatmap, and a table of all means."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from valueflow.report.blocks import Block, Heatmap, Panels, Picture, Section, Shade, Table
from valueflow.report.cells import Cell, means_table
from valueflow.report.drawing import inline_svg
from valueflow.responses import shown_intensity
from valueflow.run import PICTURE_COLORS, number, save_picture
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("-", "--", ":", "-.")
_DASHES: Mapping[str, str] = {"-": "", "--": "7 3", ":": "1.5 2.5", "-.": "8 2.5 1.5 2.5"}
"""Of a line in the legend, as SVG writes it."""

_COLORS = PICTURE_COLORS[:-1]
"""The last one is black, which a dark page swallows."""

_MOST_SERIES = len(_COLORS) * len(_STYLES)
_STRONGEST = {1: (33, 102, 172), -1: (178, 24, 43)}
"""Colors of the ends of the scale, blue for support and red for rejection; the middle is nearly white."""
_MIDDLE = (247, 247, 247)


def score_section(cells: Sequence[Cell]) -> Section:
    """Show the means of evaluations by value, intensity and series."""
    # Responses to several values at once are no points of a curve: a table names their aims.
    curves = [cell for cell in cells if not cell.summary.get("values")]
    means = means_table(curves)
    blocks: list[Block] = []
    drawn = means[means["level"].notna() & means["mean"].notna()]
    if drawn["level"].nunique() > 1:
        blocks.append(_panels(means))
    blocks += [*([heatmap(curves)] if curves else []), _table(cells)]
    return Section("scores", "Scores by value and intensity", blocks)


def series_styles(means: pd.DataFrame) -> Mapping[str, tuple[str, str]]:
    """Return color and line style of each series that has intensities, in turn."""
    names = list(dict.fromkeys(means.loc[means["level"].notna(), "series"]))
    return {
        name: (_COLORS[place % len(_COLORS)], _STYLES[place // len(_COLORS) % len(_STYLES)])
        for place, name in enumerate(names)
    }


def _panels(means: pd.DataFrame) -> Panels:
    styles = series_styles(means)
    pictures, without = [], []
    for place, (value, rows) in enumerate(means.groupby("value", sort=False)):
        if not (rows["level"].notna() & rows["mean"].notna()).any():
            without.append(str(value))
        else:
            draw = partial(draw_dose_response, rows, styles)
            pictures.append(Picture(inline_svg(draw, f"dose{place}", _alt(str(value), rows)), str(value)))
    note = "Mean score of the responses by steering intensity, with 95% intervals, on the scale from -10 to 10."
    if (means["unsteered"] & means["mean"].notna()).any():
        note += " Dashed lines with a band: responses that were not steered, and the interval of their mean."
    if without:
        note += f" Without a mean at any intensity, and so without a panel: {', '.join(without)}."
    if len(styles) > _MOST_SERIES:
        note += f" {len(styles)} series share {_MOST_SERIES} kinds of lines; the table below tells them apart."
    legend = [(name, color, _DASHES[style]) for name, (color, style) in styles.items()] if len(styles) > 1 else []
    return Panels(pictures, legend, note)


def _alt(value: str, rows: pd.DataFrame) -> str:
    """Word what a panel shows, figures and all."""
    parts = []
    for series, own in rows.groupby("series", sort=False):
        means: Iterable[Any] = own.itertuples()
        points = [
            f"{shown_intensity(None if np.isnan(row.level) else int(row.level))}: {number(row.mean, '+.2f')}"
            f" ({number(row.low, '+.2f')} to {number(row.high, '+.2f')})"
            for row in means
        ]
        parts.append(f"{series}: {', '.join(points)}")
    return f"Mean score on {value} by steering intensity. {'; '.join(parts)}."


def draw_dose_response(rows: pd.DataFrame, styles: Mapping[str, tuple[str, str]], file: Path) -> None:
    """Draw the means of a value by intensity, a line per series, and save it.

    Parameters
    ----------
    rows
        Of `means_table`, of one value.
    styles
        Color and line style of each series.
    file
        Where to; its suffix is the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.9, 2.2), layout="constrained")
    draw_panel(figure.subplots(), rows, styles)
    save_picture(figure, file)


def draw_panel(panel: "Axes", rows: pd.DataFrame, styles: Mapping[str, tuple[str, str]]) -> None:
    """Draw the means of one value into a panel; parameters as in `draw_dose_response`."""
    for place, (series, (color, style)) in enumerate(styles.items()):
        line = rows[(rows["series"] == series) & rows["level"].notna() & rows["mean"].notna()].sort_values("level")
        # Side by side, so that intervals can be told apart.
        shift = (place - (len(styles) - 1) / 2) * min(0.08, 0.5 / len(styles))
        panel.errorbar(
            line["level"] + shift,
            line["mean"],
            yerr=[line["mean"] - line["low"], line["high"] - line["mean"]],
            color=color,
            linestyle=style,
            marker="o",
            markersize=4,
            linewidth=1.3,
            capsize=2,
        )
    references: Iterable[Any] = rows[rows["unsteered"] & rows["mean"].notna()].itertuples()
    for row in references:
        color = next((styles[name][0] for name in _of_model(rows, str(row.model)) if name in styles), "0.5")
        panel.axhspan(row.low, row.high, color=color, alpha=0.12, linewidth=0)
        panel.axhline(row.mean, color=color, linewidth=1.0, linestyle=(0, (4, 3)))
    panel.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    levels = sorted(rows["level"].dropna().unique())
    panel.set_xticks(levels, [shown_intensity(int(level)) for level in levels])
    panel.set_ylim(LOWEST_INTENSITY * 1.05, HIGHEST_INTENSITY * 1.05)
    panel.set_yticks([LOWEST_INTENSITY, LOWEST_INTENSITY / 2, 0, HIGHEST_INTENSITY / 2, HIGHEST_INTENSITY])
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=9)


def _of_model(rows: pd.DataFrame, model: str) -> Sequence[str]:
    return list(dict.fromkeys(rows.loc[(rows["model"] == model) & rows["level"].notna(), "series"]))


def heatmap(cells: Sequence[Cell]) -> Heatmap:
    """Return the means as a table of colors: values by intensities, side by side for each series."""
    series = list(dict.fromkeys(cell.series for cell in cells))
    columns = [
        (
            name,
            sorted(
                {cell.level for cell in cells if cell.series == name}, key=lambda level: (level is not None, level or 0)
            ),
        )
        for name in series
    ]
    means = {(cell.value, cell.series, cell.level): cell.figure("mean") for cell in cells}
    rows = [
        (value, [_shade(means.get((value, name, level))) for name, levels in columns for level in levels])
        for value in dict.fromkeys(cell.value for cell in cells)
    ]
    return Heatmap(
        caption="Mean scores: values by intensities" + (" and series" if len(series) > 1 else ""),
        corner="value",
        groups=[
            (name if len(series) > 1 else "", [shown_intensity(level) for level in levels]) for name, levels in columns
        ],
        rows=rows,
        note="Blue supports the value, red rejects it, darker is stronger; a dash stands for a job without a mean.",
    )


def _shade(mean: float | None) -> Shade | None:
    if mean is None:
        return None
    if np.isnan(mean):
        return Shade("-", "transparent", "inherit")
    share = min(abs(mean) / HIGHEST_INTENSITY, 1.0)
    end = _STRONGEST[1 if mean > 0 else -1]
    color = [round(middle + share * (other - middle)) for middle, other in zip(_MIDDLE, end, strict=True)]
    return Shade(
        f"{mean:+.1f}", f"rgb({color[0]},{color[1]},{color[2]})", "#fff" if _luminance(color) < 0.18 else "#000"
    )


def _luminance(color: Sequence[int]) -> float:
    """Return the relative luminance of an sRGB color, in [0, 1] (WCAG 2)."""
    linear = [part / 3294.6 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in color]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def _table(cells: Sequence[Cell]) -> Table:
    is_told_apart = len({cell.series for cell in cells}) > 1
    rows = []
    for cell in cells:
        reliability = cell.summary.get("reliability") or {}
        scored, n = cell.summary["scored"], cell.summary["n"]
        rows.append(
            [
                cell.value,
                *([cell.series] if is_told_apart else []),
                cell.intensity,
                f"{n:,}" if scored == n else f"{scored:,} of {n:,}",
                number(cell.figure("mean"), "+.2f"),
                f"{number(cell.figure('mean_low'), '+.2f')} to {number(cell.figure('mean_high'), '+.2f')}",
                number(cell.summary.get("share_failed"), ".1%"),
                number(reliability.get("kendall_tau"), ".2f"),
                number(reliability.get("misreading_sd"), ".1f"),
            ]
        )
    return Table(
        caption="Mean scores with 95% intervals",
        headings=(
            "value",
            *(["series"] if is_told_apart else []),
            "intensity",
            "scored",
            "mean",
            "95% interval",
            "failed",
            "judge tau",
            "misreads by",
        ),
        rows=rows,
        words=frozenset({"value", "series"}),
        note="Failed: share of the windows that could not be ranked or, with estimator=regression, of the texts that "
        "could not be read. Judge tau: how far the judge's order of the anchors agrees with the known one, 1 is "
        "perfect, 0 is chance. Misreads by: standard deviation, in points, of where the judge sees a text from where "
        "it is.",
    )
