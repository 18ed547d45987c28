"""Folders of finished runs in; one page out."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.comparison import Comparison
from valueflow.report.blocks import Lines, Section
from valueflow.report.cells import Cell, cells_of
from valueflow.report.display import show_reports
from valueflow.report.dose_response import score_section
from valueflow.report.drill_down import response_section
from valueflow.report.effects import COMPARISON_FILE, compared, effect_section, refusal_section
from valueflow.report.fitting import fit
from valueflow.report.other_runs import other_sections
from valueflow.report.outcome import REPORT_FILE, Report
from valueflow.report.overview import overview_section
from valueflow.report.page import render_page
from valueflow.report.paper import FIGURES_FOLDER, paper_figures
from valueflow.report.reading import SCORE, find_runs
from valueflow.report.samples import Sample, sample_responses
from valueflow.report.settings import ReportSettings
from valueflow.run import (
    SUMMARY_FILE,
    InputError,
    Run,
    SweepView,
    Task,
    compose_settings,
    progress_bar,
    read_record,
    write_csv,
)

_BYTES = 1_000_000
_USUAL_PER_CELL = 10
_USUAL_BYTES_PER_JOB, _JOBS = 16_600, 60
"""Where `per_cell` is not given, a page of at most 60 jobs stays below a megabyte, one of more in proportion."""


def make_report(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    output_dir: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Report:
    """Make one HTML page about finished runs and sweeps.

    Parameters
    ----------
    folders
        Folders of runs and sweeps.
    output_dir
        Folder for `report.html` and, where evaluations were compared, `report_comparison.csv`; None writes nothing.
    **settings
        Fields of `ReportSettings`, the same as on the command line; what is not given has the default of
        `configs/report.yaml`.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> page = make_report("multirun/2026-01-01/12-00-00", output_dir="pages")  # doctest: +SKIP
    """
    return TASK.call({"folders": folders, **settings}, output_dir)  # type: ignore[arg-type]


def report_on(folder: Path) -> Path:
    """Write a page about the runs in a folder into it, as `report=true` does; return the page's path.

    Raises
    ------
    InputError
        The folder holds no finished run.
    """
    settings = ReportSettings.checked(compose_settings(TASK.name, {"folders": str(folder)}))
    for name, output in _report(settings, Run(folder)).outputs().items():
        if callable(output):
            output(folder / name)
        elif output is not None and not output.empty:
            write_csv(output, folder / name)
    return folder / REPORT_FILE


def _report_apart(settings: ReportSettings, run: Run) -> Report:
    """Report into a folder of the report's own: its `summary.json` takes no other's place."""
    record = None if run.folder is None else read_record(run.folder / SUMMARY_FILE)
    if record is not None and record.get("task") != TASK.name:
        raise InputError(
            f"output folder {run.folder} holds the {SUMMARY_FILE} of another run, which a report would replace; give "
            "a folder of its own, such as output_dir='page' or hydra.run.dir=page"
        )
    return _report(settings, run)


def _report(settings: ReportSettings, run: Run) -> Report:
    page_folder = run.folder or Path.cwd()
    title = f"ValueFlow: {', '.join(settings.folders)}"
    with run.stage("read"):
        found = find_runs(settings.folders, run.folder)
        cells = cells_of(found.of(SCORE))
        samples = _samples(cells, settings)
    with run.stage("compare"):
        comparison = compared(cells) if len(cells) > 1 else None
    with run.stage("draw"):
        problems = list(dict.fromkeys(problem for sample in samples for problem in sample.problems))
        sections = [overview_section(found, cells, problems)]
        if cells:
            sections += _of_evaluations(cells, samples, comparison)
        sections += other_sections(found, page_folder)
        most = int(settings.megabytes * _BYTES)
        # Responses have half of the page where there are any.
        sections = fit(sections, most // 2 if samples else most, lambda made: _size(title, made))
    with run.stage("responses"):
        if samples:
            responses = response_section(
                samples,
                page_folder=page_folder,
                longest=settings.longest,
                room=lambda section: _room(most, _size(title, [*sections, section]), settings.per_cell, len(cells)),
            )
            sections.append(responses.section)
        html = render_page(title, sections)
        size = len(html.encode())
        if size > most:
            asked = f"megabytes={settings.megabytes:g}"
            words = f"This page has {size / _BYTES:.2f} MB, more than {asked}: it cannot be smaller."
            sections[0] = replace(sections[0], blocks=[Lines([words]), *sections[0].blocks])
            html = render_page(title, sections)
    found_effects = comparison if isinstance(comparison, Comparison) else None
    table = pd.DataFrame() if found_effects is None else found_effects.table
    figures = paper_figures(found, cells, found_effects) if settings.figures == "paper" else []
    if settings.figures == "paper" and not figures:
        raise InputError(
            f"figures=paper: {', '.join(settings.folders)}: no figure can be drawn of these runs; give evaluations of "
            "steered responses, surveys or trainings"
        )
    summary = {
        "task": "report",
        "folders": settings.folders,
        "file": None if run.folder is None else str(run.folder / REPORT_FILE),
        "bytes": len(html.encode()),
        "runs": len(found.runs),
        "failed": len(found.failed),
        "unfinished": len(found.unfinished),
        "earlier": found.earlier,
        "problems": problems,
        "responses": {"all": sum(sample.n for sample in samples), "shown": responses.shown if samples else 0},
        "sections": [section.name for section in sections],
        "figures": [figure.name for figure in figures],
        "settings": settings.model_dump(include={"per_cell", "longest", "megabytes"}),
    }
    return Report(html=html, comparison=table, figures=figures, summary=summary)


def _size(title: str, sections: Sequence[Section]) -> int:
    return len(render_page(title, sections).encode())


def _room(most: int, rest: int, per_cell: int | None, jobs: int) -> int:
    """Return the bytes that responses may have on a page of at most so many, beside the rest of it."""
    left = most - rest
    if per_cell is None:
        usual = _USUAL_BYTES_PER_JOB * max(jobs, _JOBS)
        # Pictures and tables of other runs do not crowd responses out.
        left = min(left, max(usual - rest, usual // 2))
    return max(left, 0)


def _samples(cells: Sequence[Cell], settings: ReportSettings) -> list[Sample]:
    samples = []
    with progress_bar("responses", len(cells), "jobs", enabled=settings.progress) as advance:
        for cell in cells:
            samples.append(sample_responses(cell, settings.per_cell or _USUAL_PER_CELL))
            advance(1, 0)
    return samples


def _of_evaluations(
    cells: Sequence[Cell], samples: Sequence[Sample], comparison: Comparison | str | None
) -> list[Section]:
    effects = [] if comparison is None else [effect_section(comparison)]
    return [score_section(cells), *effects, refusal_section(samples)]


TASK = Task(
    name="report",
    settings=ReportSettings,
    run=_report_apart,
    outputs=(REPORT_FILE, COMPARISON_FILE, FIGURES_FOLDER),
    sweep=(SweepView(show_reports, ()),),
)
