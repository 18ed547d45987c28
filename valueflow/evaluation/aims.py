"""Responses that were steered to several values at once: what was asked for, and what they express."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from valueflow.judge import judge_words
from valueflow.responses import shown_intensity, shown_targets
from valueflow.run import PICTURE_COLORS, PICTURE_FORMATS, picture_text, save_picture
from valueflow.theory import normalize_name

ARROWS = "two_values"
"""Name of the picture at the end of a sweep."""

NO_MODEL = "responses"
"""Stands for a model that an evaluation does not name."""

_IDENTITY = ("theory", "model", "method", "targets", "judge", "estimator")
_INTENSITIES = re.compile(r"[+-]\d+(?= |$)")
_PANELS_PER_ROW = 4


def asked_intensity(summary: Mapping[str, Any]) -> int | None:
    """Return the intensity that the responses of an evaluation were steered to on its own value, or None."""
    if summary["intensity"] is not None:
        return int(summary["intensity"])
    own = {normalize_name(str(summary["value"])), normalize_name(str(summary["label"]))}
    aims = zip(summary.get("values") or [], summary.get("intensities") or [], strict=False)
    return next((int(level) for name, level in aims if normalize_name(str(name)) in own), None)


def is_unsteered(summary: Mapping[str, Any]) -> bool:
    """Return whether it is known that no response was steered; a pool of all intensities is steered."""
    if summary["intensity"] is not None or summary.get("values"):
        return False
    known = summary.get("steered_to")
    return not known if known is not None else summary.get("steered_by") == "none"


def unsteered_like(summaries: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the one evaluation of unsteered responses of the same model on the same value; None where not just one.

    It is one by the same judge and estimator.
    """
    same = ("theory", "label", "model")
    found = [
        other
        for other in summaries
        if is_unsteered(other)
        and all(other.get(key) == summary.get(key) for key in same)
        and _scored_by(other) == _scored_by(summary)
    ]
    return found[0] if len(found) == 1 else None


def several_values(summaries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return what responses steered to several values at once express, a row per aim and value.

    Columns: `theory`, `model`, `method`, `targets`, `judge`, `estimator`, `value`, `asked`, `mean`, `unsteered` (NaN
    where no job has it), `difference`.
    """
    rows = []
    for summary in summaries:
        asked = asked_intensity(summary)
        if summary.get("values") and asked is not None:
            base = unsteered_like(summaries, summary)
            mean, unsteered = _mean(summary), math.nan if base is None else _mean(base)
            rows.append(
                {
                    "theory": str(summary["theory"]),
                    "model": str(summary.get("model") or NO_MODEL),
                    "method": str(summary.get("steered_by") or ""),
                    "targets": shown_targets(summary),
                    **_scored_by(summary),
                    "value": str(summary["label"]),
                    "asked": asked,
                    "mean": mean,
                    "unsteered": unsteered,
                    "difference": mean - unsteered,
                }
            )
    return pd.DataFrame(rows)


def arrows(several: pd.DataFrame) -> pd.DataFrame:
    """Return responses steered to two values as arrows, a row per aim: from unsteered means to those when steered.

    Columns: `theory`, `model`, `method`, `targets`, `judge`, `estimator`, `value_x`, `value_y`, `asked_x`, `asked_y`,
    `from_x`, `from_y`, `to_x`, `to_y`. An aim whose value was scored more than once by the same judge has no arrow.
    """
    rows = []
    for key, own in several.groupby(list(_IDENTITY), sort=False) if len(several) else ():
        # Two rows of one value are an aim that was scored twice there, and not at all on the other value.
        if len(own) == own["value"].nunique() == 2 and _is_pair(key[3]):
            x, y = own.sort_values("value").to_dict("records")
            sides = (("value", "value"), ("asked", "asked"), ("from", "unsteered"), ("to", "mean"))
            rows.append(
                {
                    **dict(zip(_IDENTITY, key, strict=True)),
                    **{f"{what}_{axis}": side[of] for what, of in sides for axis, side in (("x", x), ("y", y))},
                }
            )
    return pd.DataFrame(rows)


def add_arrows(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
    """Draw the picture of a sweep whose responses were steered to two values; return a line that names each file."""
    del others  # aims tell its rows apart
    several = several_values(list(jobs.values()))
    table = arrows(several)
    repeated = _repeated(several)
    if table.empty:
        return repeated
    files = [folder / f"{ARROWS}.{suffix}" for suffix in PICTURE_FORMATS]
    for file in files:
        draw_arrows(table, file)
    lines = [f"picture: {file}" for file in files]
    if table[["from_x", "from_y"]].isna().any(axis=None):
        lines.append(
            "points without an arrow: the sweep scores no unsteered responses of the same model on both values; where "
            f"another does: python report.py {folder} OTHER figures=paper"
        )
    return lines + repeated


def _repeated(several: pd.DataFrame) -> list[str]:
    """Say which aims have no arrow because jobs score them more than once on a value."""
    if several.empty:
        return []
    pairs = several[several["targets"].map(_is_pair)]
    aims = pairs.loc[pairs.duplicated([*_IDENTITY, "value"]), "targets"].unique().tolist()
    if not aims:
        return []
    return [
        f"no arrow for {', '.join(aims)}: several jobs score these responses on the same value, judge and estimator; "
        "compare.py tells them apart"
    ]


def draw_arrows(table: pd.DataFrame, file: Path) -> None:
    """Draw a panel per pair of values, model and method, and save it.

    Parameters
    ----------
    table
        Of `arrows`: each is drawn from the unsteered means of both values to those when steered; where the former are
        not known, the latter alone.
    file
        Where to; its suffix is the format.
    """
    from matplotlib.figure import Figure

    parts = ["model", "method", *(name for name in ("judge", "estimator") if table[name].nunique() > 1)]
    groups = list(table.groupby(["value_x", "value_y", *parts], sort=False))
    columns = min(len(groups), _PANELS_PER_ROW)
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(3.1 * columns, 3.1 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel in panels.flat[len(groups) :]:
        panel.set_axis_off()
    for panel, ((x, y, *named), own) in zip(panels.flat, groups, strict=False):
        for place, arrow in enumerate(own.to_dict("records")):
            color = PICTURE_COLORS[place % len(PICTURE_COLORS)]
            start = (arrow["from_x"], arrow["from_y"])
            end = (arrow["to_x"], arrow["to_y"])
            if not np.isnan([*start, *end]).any():
                panel.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": color, "linewidth": 1.4})
            label = ", ".join(shown_intensity(int(arrow[f"asked_{axis}"])) for axis in "xy")
            panel.plot(*end, "o", color=color, markersize=4, label=label)
        panel.set_title(picture_text(", ".join(str(part) for part in named if part)), size=8)
        panel.set_xlabel(picture_text(str(x)), size=8)
        panel.set_ylabel(picture_text(str(y)), size=8)
        panel.axhline(0, color="0.85", linewidth=0.6, zorder=0)
        panel.axvline(0, color="0.85", linewidth=0.6, zorder=0)
        panel.tick_params(labelsize=7)
        panel.set(xlim=(-10.5, 10.5), ylim=(-10.5, 10.5))
        panel.legend(fontsize=7, frameon=False, title="asked", title_fontsize=7)
    save_picture(figure, file)


def _is_pair(targets: object) -> bool:
    """Return whether words of `shown_targets` name two values; a name may hold blanks."""
    return len(_INTENSITIES.findall(str(targets))) == 2


def _scored_by(summary: Mapping[str, Any]) -> dict[str, str]:
    judge, settings = summary.get("judge"), summary.get("settings") or {}
    return {"judge": judge_words(judge) if judge else "", "estimator": str(settings.get("estimator") or "")}


def _mean(summary: Mapping[str, Any]) -> float:
    return math.nan if summary["mean"] is None else float(summary["mean"])
