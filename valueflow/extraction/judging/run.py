"""A file of texts in, a file of utilities out: `extract.py task=judge`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from valueflow.evaluation import ValueLine, value_lines
from valueflow.extraction.engines import RayEngine
from valueflow.extraction.judging.asking import JudgeRecipe, anchor_utilities, failures_of
from valueflow.extraction.judging.columns import UTILITIES_FILE
from valueflow.extraction.judging.figures import (
    Totals,
    failures_of_shards,
    figures_of_shards,
    figures_of_values,
    took_in_all,
)
from valueflow.extraction.judging.outcome import Utilities
from valueflow.extraction.judging.parquet import Figures, utility_rows
from valueflow.extraction.judging.settings import JudgingSettings
from valueflow.extraction.judging.sources import JudgedTexts, Source, by_actors, in_this_process, joined_texts
from valueflow.extraction.reading import Chunk, TextFile, own_chunks
from valueflow.judge import TextUtilities
from valueflow.llm import cache_state
from valueflow.run import InputError, Progress, Run, Share, progress_bar
from valueflow.vidb import Vidb, load_vidb


def judge_file(settings: JudgingSettings, run: Run) -> Utilities:
    """Judge the texts that a run is about, a chunk at a time.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    path = run.required_folder("files of utilities") / UTILITIES_FILE
    if isinstance(settings.engine, RayEngine) and not run.share.merged:
        settings.engine.check()
    # A judge reads any text on any value, so a column of theories in the file means nothing here.
    columns = {**settings.input_columns, "theory": None}
    file = TextFile(settings.input, columns, settings.theory.name, settings.rows_per_chunk, run.bad_rows)
    with run.stage("check"):
        n = _count(file, run.share)
    totals = Totals(len(settings.asked))
    steps = n * len(settings.asked)
    with ExitStack() as stack:
        known, source = stack.enter_context(_source(settings, file, run))
        with run.stage("judge"), progress_bar("judging", steps, "judgments", enabled=settings.progress) as advance:
            judged = _judged(own_chunks(file, run.share), source, totals, advance)
            # What cannot be judged at all is told before an earlier run's summary is gone.
            first = next(judged)
            run.start_writing()
            about = {"theory": settings.theory.name}
            with utility_rows(path, source.columns, about) as append:
                for rows, figures in chain([first], judged):
                    append(rows, figures)
    return Utilities(file=path, summary=_summary(settings, file, run, known, totals, n))


def _count(file: TextFile, share: Share) -> int:
    """Read the file once, and return the number of texts that a run is about."""
    n = sum(len(chunk.texts) for chunk in own_chunks(file, share, counted=True))
    if not share.rows:
        raise InputError(f"input: {file.path} has no row with a text")
    share.check_rows()
    return n


@dataclass(frozen=True)
class _Known:
    """What is known of the judge before it reads a text.

    Attributes
    ----------
    judge
        What identifies it.
    anchors
        What reading the anchors took, which of them it failed on, and whose they are.
    lines, reasons
        From utilities to intensities, by value; why there is none.
    """

    judge: Mapping[str, Any]
    anchors: Mapping[str, Any] | None = None
    lines: Mapping[str, ValueLine] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def _source(settings: JudgingSettings, file: TextFile, run: Run) -> Iterator[tuple[_Known, Source]]:
    if run.share.merged:
        with joined_texts(run.share.merged) as joined:
            yield _Known(run.share.merged[0].summary["judge"]), joined
        return
    engine = settings.engine
    with ExitStack() as stack:
        with run.stage("load"):
            vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, run.bad_rows)
            recipe = JudgeRecipe(settings.judge.node or {}, settings.theory, settings.asked, vidb)
            if isinstance(engine, RayEngine):
                stack.enter_context(engine.running())
            known = _known(settings, recipe, vidb)
            make = (
                stack.enter_context(by_actors(engine, recipe, file, run.share))
                if isinstance(engine, RayEngine)
                else in_this_process(settings.judge.judge, recipe)
            )
        yield known, JudgedTexts(make, settings.asked, known.lines)


def _known(settings: JudgingSettings, recipe: JudgeRecipe, vidb: Vidb) -> _Known:
    """Have the judge read the anchors, where intensities are wanted, and fit the lines."""
    described = settings.judge.describe()
    if not settings.regression:
        return _Known(described, None, {}, dict.fromkeys(settings.asked, "regression=false"))
    read = _read_anchors(settings, recipe, vidb)
    lines, reasons = value_lines(read, vidb, settings.theory, settings.asked, judge_check=settings.judge_check)
    about = {
        "texts": sum(map(len, vidb.anchors)),
        "vidb": settings.vidb,
        "vidb_sha256": vidb.digest,
        "failures": failures_of(read),
        "judging": dict(read[-1].report) if read else {},
    }
    return _Known(described, about, lines, reasons)


def _read_anchors(settings: JudgingSettings, recipe: JudgeRecipe, vidb: Vidb) -> Sequence[TextUtilities]:
    if isinstance(settings.engine, RayEngine):
        return settings.engine.call(recipe.read_anchors)
    total = sum(map(len, vidb.anchors))
    with progress_bar("anchors", total, "texts", enabled=settings.progress) as advance:
        return anchor_utilities(settings.judge.judge, recipe.criteria[0], advance)


def _judged(
    chunks: Iterator[Chunk], source: Source, totals: Totals, advance: Progress
) -> Iterator[tuple[list[int], Figures]]:
    """Give out the rows and figures of chunks, and count."""
    for chunk in chunks:
        figures, record = source.figures(chunk, advance)
        totals.add(figures, record)
        yield chunk.rows, figures


def _summary(
    settings: JudgingSettings, file: TextFile, run: Run, known: _Known, totals: Totals, n: int
) -> dict[str, Any]:
    merged = [found.summary for found in run.share.merged]
    values = (
        figures_of_shards(merged, totals)
        if merged
        else figures_of_values(settings.asked, known.lines, known.reasons, totals)
    )
    took = took_in_all([summary["judging"] for summary in merged]) if merged else took_in_all([totals.took])
    if "calls" in took and not merged:
        took["cache"] = cache_state(settings.cache)
    return {
        "task": settings.task,
        "input": settings.input,
        "theory": settings.theory.name,
        "file": UTILITIES_FILE,
        "texts": n,
        "other_rows": run.share.rows - n,
        "judge": known.judge,
        "anchors": merged[0]["anchors"] if merged else known.anchors,
        "values": values,
        "failed": int(totals.failed.sum()),
        "failures": failures_of_shards(merged) if merged else totals.failures,
        "judging": took,
        "texts_per_second": n / max(run.timings.seconds["judge"], 1e-3),
        "settings": settings.model_dump(
            include={"input_columns", "values", "regression", "judge_check", "vidb", "rows_per_chunk", "on_bad_row"}
        ),
    }
