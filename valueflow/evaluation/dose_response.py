"""Score against steering intensity: whether a model expresses a value more, the more it is steered to."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from valueflow.evaluation.outcome import SCORES_FILE
from valueflow.run import PICTURE_COLORS, PICTURE_FORMATS, picture_text, save_picture
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "dose_response"

_STYLES = ("-", "--", ":")
_MAX_VALUES_WITH_POINTS = 3
_PANELS_PER_ROW = 2


def dose_response_means(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str]) -> pd.DataFrame:
    """Return the means of a sweep's steered runs.

    Parameters
    ----------
    jobs
        Summaries by folder.
    others
        For each job its settings that differ from the others' besides theory, value and intensity.

    Returns
    -------
    pandas.DataFrame
        One row per run with an intensity, in their order: `theory`, `intensity`, `mean`, `mean_low`, `mean_high`,
        `label`. One label per value and setting: runs that differ in more than intensity are not points of one curve.
    """
    figures = ("theory", "intensity", "mean", "mean_low", "mean_high")
    rows = [
        {key: summary[key] for key in figures} | {"label": " ".join([summary["label"], other]).strip()}
        for summary, other in zip(jobs.values(), others, strict=True)
        if summary["intensity"] is not None
    ]
    return pd.DataFrame(rows)


def add_dose_response(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
    """Draw the picture of a sweep, where its jobs have two intensities or more; return a line that names each file."""
    means = dose_response_means(jobs, others)
    if means.empty or means["intensity"].nunique() < 2:
        return []
    steered = {job: summary for job, summary in jobs.items() if summary["intensity"] is not None}
    points = [
        pd.DataFrame(
            {
                "theory": summary["theory"],
                "label": label,
                "intensity": summary["intensity"],
                "score": pd.read_csv(job / SCORES_FILE, usecols=[f"{summary['value']}_score"]).iloc[:, 0],
            }
        )
        for (job, summary), label in zip(steered.items(), means["label"], strict=True)
    ]
    files = draw_dose_response(means, pd.concat(points, ignore_index=True), folder / PICTURE)
    return [f"picture: {file}" for file in files]


def draw_dose_response(means: pd.DataFrame, points: pd.DataFrame, stem: Path) -> list[Path]:
    """Draw one panel per theory, one line per value, and save it as PNG and SVG.

    Parameters
    ----------
    means
        One row per run with `theory`, `label`, `intensity`, `mean`, `mean_low`, `mean_high`.
    points
        One row per response with `theory`, `label`, `intensity`, `score`; drawn as dots where a panel
        has few values.
    stem
        Path without suffix.

    Returns
    -------
    list of Path
        The files written.
    """
    from matplotlib.figure import Figure

    theories = list(dict.fromkeys(means["theory"]))
    columns = min(_PANELS_PER_ROW, len(theories))
    rows = math.ceil(len(theories) / columns)
    figure = Figure(figsize=(6.4 * columns, 4.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, theory in zip(panels, theories, strict=False):
        _draw_panel(panel, theory, means[means["theory"] == theory], points[points["theory"] == theory])
    for panel in panels[len(theories) :]:
        panel.set_visible(False)
    files = []
    for suffix in PICTURE_FORMATS:
        files.append(stem.with_suffix(f".{suffix}"))
        save_picture(figure, files[-1])
    return files


def _draw_panel(panel: "Axes", theory: str, means: pd.DataFrame, points: pd.DataFrame) -> None:
    labels = list(dict.fromkeys(means["label"]))
    for number, label in enumerate(labels):
        line = means[means["label"] == label].sort_values("intensity")
        color = PICTURE_COLORS[number % len(PICTURE_COLORS)]
        # Lines that share an intensity are drawn side by side, so that their intervals can be distinguished.
        shift = (number - (len(labels) - 1) / 2) * min(0.06, 0.5 / len(labels))
        center = line["mean"].to_numpy(dtype=float)
        below = center - line["mean_low"].to_numpy(dtype=float)
        above = line["mean_high"].to_numpy(dtype=float) - center
        panel.errorbar(
            line["intensity"] + shift,
            center,
            yerr=[below, above],
            color=color,
            linestyle=_STYLES[number // len(PICTURE_COLORS) % len(_STYLES)],
            marker="o",
            markersize=5,
            capsize=3,
            label=picture_text(label),
        )
        if len(labels) <= _MAX_VALUES_WITH_POINTS:
            dots = points[points["label"] == label]
            panel.scatter(dots["intensity"] + shift, dots["score"], color=color, alpha=0.25, s=14, linewidths=0)
    panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    panel.set(
        title=picture_text(theory),
        xlabel="steering intensity",
        ylabel="score (mean and 95% interval)",
        xticks=sorted(means["intensity"].unique()),
        ylim=(LOWEST_INTENSITY * 1.05, HIGHEST_INTENSITY * 1.05),
    )
    panel.legend(fontsize="small", ncols=1 if len(labels) <= 7 else 2, frameon=False)
