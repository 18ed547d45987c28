"""Folders of finished evaluations in; differences, slopes, tests and a picture out."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from valueflow.comparison.answers import FEWEST_SHARED, Draws, answer
from valueflow.comparison.display import show_comparisons
from valueflow.comparison.drift import drift
from valueflow.comparison.forest import SIGNIFICANT
from valueflow.comparison.jobs import Job, Jobs, read_jobs
from valueflow.comparison.outcome import OUTPUTS, Comparison
from valueflow.comparison.prediction_powered import PoweredMean, prediction_powered_mean
from valueflow.comparison.price import price_cells
from valueflow.comparison.questions import Question, ask, condition_cells
from valueflow.comparison.ratings import Ratings, read_ratings
from valueflow.comparison.settings import ComparisonSettings
from valueflow.comparison.stacked import Stacked
from valueflow.responses import UNSTEERED, shown_intensity
from valueflow.run import InputError, Run, SweepView, Task

FEWEST_RATED = 10
"""A mean of fewer rated queries has no interval that one could rely on."""

_MOST_NAMED = 4


def compare(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    output_dir: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Comparison:
    """Compare finished evaluations, paired by query: models, steering methods, intensities.

    Parameters
    ----------
    folders
        Folders of runs and sweeps of `evaluate.py`.
    output_dir
        Folder for `comparison.csv`, `means.csv`, `forest.png`, `forest.svg` and `summary.json`, and where responses
        steered to one value are scored on others `drift.csv`, `drift.png` and `drift.svg`. They replace an earlier
        comparison's; None writes nothing.
    **settings
        Fields of `ComparisonSettings`, the same as on the command line; what is not given has the default of
        `configs/compare.yaml`.

    Returns
    -------
    Comparison
        Its `table` has a row per difference and slope, its `means` one per job.

    Raises
    ------
    InputError
        Something given cannot be used, or there is nothing to compare; one line says what, where, and what would be
        right.

    Examples
    --------
    >>> found = compare(["runs/phi4", "runs/qwen3"])  # doctest: +SKIP
    >>> found.table.query("family == 'model'")[["label", "estimate", "p_holm"]]  # doctest: +SKIP
    """
    return TASK.call({"folders": folders, **settings}, output_dir)  # type: ignore[arg-type]


def _compare(settings: ComparisonSettings, run: Run) -> Comparison:
    with run.stage("load"):
        found = read_jobs(settings.folders)
        jobs = found.compared
        _check_enough(found, settings.folders)
        ratings = None
        if settings.human is not None:
            ratings = read_ratings(settings.human, settings.human_columns, jobs, run.bad_rows)
    with run.stage("compare"):
        _check_reference(jobs, settings.reference)
        questions = ask(jobs, settings.reference, settings.pairs)
        if not questions:
            raise InputError(_nothing_to_compare(jobs))
        powered = [None] * len(jobs) if ratings is None else _powered(jobs, ratings)
        table = answer(jobs, questions, powered, Draws(settings.permutations, settings.seed))
        if table.empty:
            raise InputError(_no_shared_query(jobs, questions))
    summary = {
        "task": "comparison",
        "folders": settings.folders,
        "jobs": len(jobs),
        "left_out": found.left_out,
        "families": _families(table),
        "not_paired": len(questions) - len(table),
        "human": None if ratings is None else _rating_counts(ratings, powered),
        "settings": settings.model_dump(include={"reference", "pairs", "permutations"}),
    }
    return Comparison(table=table, means=_means(jobs, powered), drift=drift(table), summary=summary)


def _check_enough(found: Jobs, folders: Sequence[str]) -> None:
    if len(found.compared) < 2:
        number = "none" if not found.compared else "only one"
        why = f" ({'; '.join(found.left_out[:_MOST_NAMED])})" if found.left_out else ""
        raise InputError(f"{', '.join(folders)}: comparing takes two jobs with means, and there is {number}{why}")


def _check_reference(jobs: Sequence[Job], reference: int | str) -> None:
    known = sorted({job.condition.intensity for job in jobs if job.condition.intensity is not None})
    has_unsteered = any(job.condition.intensity is None for job in jobs)
    is_there = {"auto": True, UNSTEERED: has_unsteered}.get(str(reference), reference in known)
    if not is_there:
        shown = [*map(shown_intensity, known), *([UNSTEERED] if has_unsteered else [])]
        raise InputError(f"reference={reference}: no job has this intensity; there are: {', '.join(shown)}")


def _nothing_to_compare(jobs: Sequence[Job]) -> str:
    """Say why no two jobs can be compared."""
    values = list(dict.fromkeys(f"{job.theory}/{job.label}" for job in jobs))
    named = ", ".join(values[:_MOST_NAMED]) + (" ..." if len(values) > _MOST_NAMED else "")
    if len(values) == len(jobs):
        return (
            f"nothing to compare: the {len(jobs)} jobs measure different values ({named}); give jobs of the same value"
        )
    return (
        f"nothing to compare: jobs of the same value ({named}) differ in several ways at once; give jobs that differ "
        "in the model, the steering method or the intensity alone"
    )


def _no_shared_query(jobs: Sequence[Job], questions: Sequence[Question]) -> str:
    """Say why no two jobs can be paired."""
    without = next((job for job in jobs if (job.scores["query"] == "").all()), None)
    if without is not None:
        return f"{without.folder}: its responses have no queries; jobs are paired by the column 'query'"
    one, other = (jobs[place] for place in questions[0].jobs[:2])
    query = next(query for query in other.scores["query"] if query)
    return (
        f"no two jobs share {FEWEST_SHARED} queries, so nothing can be paired: {one.folder} has no '{query[:60]}' as "
        f"{other.folder} has; let the models answer the same queries"
    )


def _powered(jobs: Sequence[Job], ratings: Ratings) -> list[PoweredMean | None]:
    """Return the prediction-powered means of the jobs that have enough rated queries.

    Raises
    ------
    InputError
        None has.
    """
    means: list[PoweredMean | None] = []
    most = 0
    for job, rated in zip(jobs, ratings.by_job, strict=True):
        stacked = Stacked.of([job])
        number = len(np.unique(stacked.cluster[~np.isnan(rated)]))
        enough = number >= FEWEST_RATED
        means.append(prediction_powered_mean(stacked.score, rated, stacked.cluster) if enough else None)
        most = max(most, number)
    if most < FEWEST_RATED:
        raise InputError(
            f"{ratings.file}: too few ratings: {most} rated queries in the job that has most ({ratings.unknown} of "
            f"{ratings.ratings} ratings are of responses that no job has); {FEWEST_RATED} at least"
        )
    return means


def _rating_counts(ratings: Ratings, powered: Sequence[PoweredMean | None]) -> dict[str, object]:
    return {
        "file": ratings.file,
        "ratings": ratings.ratings,
        "unknown": ratings.unknown,
        "repeated": ratings.repeated,
        "jobs_too_few": sum(mean is None for mean in powered),
    }


def _families(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the tests of each family and those that are significant after correction."""
    counts = {}
    for family, rows in table.groupby("family", sort=False):
        counts[str(family)] = _counted(rows["p_holm"])
    if "p_rises_holm" in table:
        counts["dose-response"] = _counted(table["p_rises_holm"])
    return counts


def _counted(p: "pd.Series[float]") -> dict[str, int]:
    return {"tests": int(p.notna().sum()), "significant": int((p <= SIGNIFICANT).sum())}


def _means(jobs: Sequence[Job], powered: Sequence[PoweredMean | None]) -> pd.DataFrame:
    rows = []
    for job, mean in zip(jobs, powered, strict=True):
        row: dict[str, object] = {
            "folder": str(job.folder),
            "theory": job.theory,
            "value": job.value,
            "label": job.label,
            **condition_cells(job.condition),
            "n": job.summary["n"],
            "scored": job.summary["scored"],
            "mean": job.figure("mean"),
            "se": job.figure("mean_se"),
            "low": job.figure("mean_low"),
            "high": job.figure("mean_high"),
            **price_cells(job.scores),
        }
        if mean is not None:
            row |= {f"human_{key}": getattr(mean, key) for key in ("mean", "se", "low", "high")}
            row |= {"human_lambda": mean.power, "rated": mean.rated, "rated_queries": mean.queries}
        rows.append(row)
    return pd.DataFrame(rows)


TASK = Task(
    name="compare",
    settings=ComparisonSettings,
    run=_compare,
    outputs=OUTPUTS,
    sweep=(SweepView(show_comparisons, ()),),
)
