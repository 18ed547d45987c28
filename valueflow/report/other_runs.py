"""Runs of all other kinds: what they print for people, their pictures, and the beginnings of their tables."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table as ScreenTable

from valueflow.categorization import TASK as CATEGORIZE
from valueflow.comparison import TASK as COMPARE
from valueflow.construction import TASK as BUILD_VIDB
from valueflow.evaluation import TASK as EVALUATE
from valueflow.extraction import TASK as EXTRACT
from valueflow.hives import TASK as TRAIN
from valueflow.report.blocks import Block, Heading, Image, Lines, Panels, Picture, Section, Table
from valueflow.report.curves import draw_curve
from valueflow.report.drawing import inline_svg
from valueflow.report.drill_down import link_to
from valueflow.report.effects import COMPARISON_FILE
from valueflow.report.reading import SCORE, FinishedRun, Found, read_result
from valueflow.run import InputError, SweepView, distinguishing_settings, flattened, plain, recorded
from valueflow.steering import TASK as STEER

_KINDS: Mapping[str, tuple[str, Any]] = {
    "calibrate": ("Calibrations of judges", EVALUATE),
    "steering": ("Steered responses", STEER),
    "opinionqa": ("Surveys", STEER),
    "profile": ("Profiles", EXTRACT),
    "embed": ("Embeddings", EXTRACT),
    "judge": ("Judged texts", EXTRACT),
    "train": ("Trainings of the value embedding", TRAIN),
    "test": ("Measured value embeddings", TRAIN),
    "convert": ("Training tables", TRAIN),
    "categorization": ("Categorizations", CATEGORIZE),
    "construction": ("Value intensity databases", BUILD_VIDB),
    "comparison": ("Comparisons", COMPARE),
}
"""Title and task of each kind of run; one that is not here is shown by its figures alone."""

_CURVE_FILE = "curve.csv"
_NOT_SHOWN = ("report",)
_MOST_RUNS = 12
_MOST_ROWS, _MOST_COLUMNS = 15, 12
_LARGEST_PICTURE = 400_000
_PICTURE_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def other_sections(found: Found, page_folder: Path) -> list[Section]:
    """Return a section for each kind of run but evaluations."""
    kinds = [kind for kind in dict.fromkeys(run.task for run in found.runs) if kind not in (SCORE, *_NOT_SHOWN)]
    return [_section(kind, found.of(kind), page_folder) for kind in kinds]


def _section(kind: str, runs: Sequence[FinishedRun], page_folder: Path) -> Section:
    title, task = _KINDS.get(kind, (f"Runs of the kind '{kind}'", None))
    view = next((view for view in task.sweep if view.kind in (None, kind)), None) if task else None
    blocks: list[Block] = []
    if len(runs) > 1:
        blocks += _together(runs, view)
    for place, run in enumerate(runs[:_MOST_RUNS]):
        blocks += [Heading(str(run.folder)), *_alone(run, view), *_curves(run, place), *_pictures(run.folder)]
        blocks += _beginnings(run.folder, page_folder)
    if len(runs) > _MOST_RUNS:
        blocks.append(Lines([f"{len(runs) - _MOST_RUNS:,} more runs are not shown one by one."]))
    return Section(_name(kind), title, blocks)


def _name(kind: str) -> str:
    return "runs-" + "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in kind)


def _together(runs: Sequence[FinishedRun], view: SweepView | None) -> list[Block]:
    summaries = [run.summary for run in runs]
    if view is None:
        return []
    overrides = [str(run.summary.get("job") or "").split(",") for run in runs]
    others = distinguishing_settings(overrides, view.columns)
    return _printed(lambda: view.show(summaries, f"{len(runs)} runs", others))


def _alone(run: FinishedRun, view: SweepView | None) -> list[Block]:
    if view is None:
        return [_figures(run)]
    show = view.one or (lambda summary: view.show([summary], "", [""]))
    return _printed(lambda: show(run.summary)) or [_figures(run)]


def _printed(show: Any) -> list[Block]:
    """Return what a room prints for people; nothing where the summary is of an older version that lacks a figure."""
    try:
        with recorded() as printed:
            show()
    except (KeyError, TypeError):
        return []
    return list(_blocks(printed))


def _blocks(printed: Sequence[Any]) -> Iterator[Block]:
    lines: list[str] = []
    for entry in printed:
        if not isinstance(entry, ScreenTable):
            lines.append(str(entry))
            continue
        if lines:
            yield Lines(lines)
            lines = []
        yield Table(
            caption=str(entry.title or "Figures"),
            headings=[str(column.header) for column in entry.columns],
            rows=[list(map(str, cells)) for cells in zip(*(column.cells for column in entry.columns), strict=True)],
            words=frozenset(str(column.header) for column in entry.columns if column.justify != "right"),
        )
    if lines:
        yield Lines(lines)


def _figures(run: FinishedRun) -> Table:
    rows = [[key, str(plain(entry))] for key, entry in flattened(run.summary).items()]
    return Table("Figures of its summary", ["figure", "value"], rows, frozenset({"figure", "value"}))


def _curves(run: FinishedRun, number: int) -> list[Block]:
    try:
        curve = read_result(run.folder / _CURVE_FILE)
    except InputError as error:
        return [Lines([str(error)])]
    if "step" not in curve:
        return []
    curve = curve.apply(pd.to_numeric, errors="coerce")
    pictures = []
    for place, name in enumerate(column for column in curve.columns if column != "step"):
        known = curve[["step", name]].dropna()
        if len(known) > 1:
            first, last = known[name].iloc[0], known[name].iloc[-1]
            alt = f"{name} by step, from {first:.4g} at step {known['step'].iloc[0]:.0f} to {last:.4g} at the last."
            draw = partial(draw_curve, known, name)
            pictures.append(Picture(inline_svg(draw, f"curve{number}-{place}", alt), name))
    return [Panels(pictures, note="Losses and held-out metrics by training step.")] if pictures else []


def _pictures(folder: Path) -> Iterator[Block]:
    """Yield the pictures that a run has left: each as SVG or, where that is large or not there, as PNG."""
    stems = sorted({file.stem for suffix in _PICTURE_TYPES for file in folder.glob(f"*{suffix}")})
    for stem in stems:
        files = [folder / f"{stem}{suffix}" for suffix in _PICTURE_TYPES]
        small = [file for file in files if file.is_file() and file.stat().st_size <= _LARGEST_PICTURE]
        if small:
            data = base64.b64encode(small[0].read_bytes()).decode()
            address = f"data:{_PICTURE_TYPES[small[0].suffix]};base64,{data}"
            yield Image(address, f"The picture {small[0].name}, as the run has left it.", stem.replace("_", " "))
        else:
            yield Lines([f"{stem}: the picture is too large for this page; it lies in {folder}"])


def _beginnings(folder: Path, page_folder: Path) -> Iterator[Block]:
    """Yield the first rows of each table that a run has left."""
    for file in sorted(folder.glob("*.csv")):
        if file.name in (_CURVE_FILE, COMPARISON_FILE):
            continue
        try:
            table = read_result(file, most=_MOST_ROWS + 1)
        except InputError as error:
            yield Lines([str(error)])
            continue
        if table.empty:
            continue
        shown = table.iloc[:_MOST_ROWS, :_MOST_COLUMNS]
        more = "the first rows of " if len(table) > _MOST_ROWS else ""
        columns = f"; {len(table.columns) - _MOST_COLUMNS} more columns" if len(table.columns) > _MOST_COLUMNS else ""
        numbers = {str(name) for name in shown if pd.to_numeric(shown[name], errors="coerce").notna().any()}
        yield Table(
            caption=f"{file.name}: {more}the table{columns}",
            headings=list(map(str, shown.columns)),
            rows=shown.to_numpy().tolist(),
            words=frozenset(map(str, shown.columns)) - numbers,
            whole=link_to(file, page_folder),
        )
