"""From jobs and questions to a table of estimates and tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from valueflow.comparison.contrasts import Estimates, JudgeErrors, estimate_contrasts
from valueflow.comparison.dose_response import dose_response_test
from valueflow.comparison.jobs import Job
from valueflow.comparison.prediction_powered import PoweredMean
from valueflow.comparison.questions import SLOPE, Question, condition_cells
from valueflow.comparison.stacked import Floats, Stacked
from valueflow.comparison.success import count_moves
from valueflow.evaluation import query_clusters
from valueflow.run import plain, row_keys
from valueflow.statistics import holm
from valueflow.vidb import HIGHEST_INTENSITY

FEWEST_SHARED = 2
"""Queries that the jobs of a question must share: fewer show no spread."""

_SAVED = "saved rankings"
_TESTS = {"p": "p_holm", "p_rises": "p_rises_holm", "human_p": "human_p_holm"}


@dataclass(frozen=True)
class Draws:
    """What the random draws of the dose-response test depend on."""

    permutations: int
    seed: int


def answer(
    jobs: Sequence[Job], questions: Sequence[Question], powered: Sequence[PoweredMean | None], draws: Draws
) -> pd.DataFrame:
    """Estimate and test all contrasts.

    Parameters
    ----------
    jobs, questions
        Jobs with means, and what is asked of them.
    powered
        Prediction-powered mean of each job, where it has enough ratings.
    draws
        Of the dose-response test.

    Returns
    -------
    pandas.DataFrame
        One row per question that can be answered, in their order: those whose jobs share two queries. Corrected for the
        number of tests in each family. docs/compare.md describes the columns.
    """
    by_value: dict[tuple[str, str], list[int]] = {}
    for number, question in enumerate(questions):
        by_value.setdefault(jobs[question.jobs[0]].measured, []).append(number)
    rows: dict[int, dict[str, object]] = {}
    for numbers in by_value.values():
        for number, row in zip(numbers, _of_value(jobs, [questions[n] for n in numbers], powered, draws), strict=True):
            if row is not None:
                rows[number] = row
    table = pd.DataFrame([rows[number] for number in sorted(rows)])
    return table if table.empty else _corrected(table)


def _of_value(
    all_jobs: Sequence[Job],
    questions: Sequence[Question],
    powered: Sequence[PoweredMean | None],
    draws: Draws,
) -> list[dict[str, object] | None]:
    """Return a row for each question about one value; None where its jobs share too few queries."""
    places = sorted({place for question in questions for place in question.jobs})
    jobs = [all_jobs[place] for place in places]
    own = [np.searchsorted(places, question.jobs) for question in questions]
    weights = np.zeros((len(questions), len(places)))
    for row, question in enumerate(questions):
        weights[row, own[row]] = question.weights
    stacked = Stacked.of(jobs)
    means = np.array([job.figure("mean") for job in jobs])
    # Means lie in [-10, 10], which bounds their sums.
    bound = HIGHEST_INTENSITY * np.abs(weights).sum(axis=1)
    found = estimate_contrasts(weights, means, *stacked.sums(stacked.influence), _judge_errors(jobs)).within(bound)
    by_people = _by_people(stacked, [powered[place] for place in places], weights, bound)
    scores = stacked.query_means()
    keys = row_keys(pd.DataFrame({"query": stacked.queries}), draws.seed)
    rows: list[dict[str, object] | None] = []
    for row, question in enumerate(questions):
        shared = int((~np.isnan(scores[own[row]])).all(axis=0).sum())
        job = jobs[own[row][0]]
        answered = {
            "family": question.family,
            "theory": job.theory,
            "value": job.value,
            "label": job.label,
            **condition_cells(question.condition),
            "compared": question.compared,
            "against": question.against,
            **_estimated(found, row),
            "queries": int(found.clusters[row]),
            "queries_shared": shared,
        }
        if question.direction:
            moves = count_moves(np.array(question.weights) @ scores[own[row]], question.direction)
            answered |= {"right": moves.right, "wrong": moves.wrong, "tied": moves.tied, "success": moves.share}
            answered |= {"success_low": moves.low, "success_high": moves.high}
        if question.family == SLOPE and shared >= FEWEST_SHARED:
            levels = np.array([jobs[place].condition.intensity for place in own[row]], dtype=float)
            test = dose_response_test(scores[own[row]], levels, keys, draws.permutations)
            answered |= {"p_rises": test.p, "relabelings": test.relabelings, "exact": test.is_exact}
        if by_people is not None:
            answered |= {f"human_{key}": figure for key, figure in _estimated(by_people, row).items()}
        rows.append(answered if shared >= FEWEST_SHARED else None)
    return rows


def _estimated(found: Estimates, row: int) -> dict[str, float]:
    return {key: float(getattr(found, key)[row]) for key in ("estimate", "se", "low", "high", "p")}


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """Add p-values that are corrected within each family, each beside its own, and the number of tests."""
    columns: dict[str, pd.Series] = {}
    for name, cells in table.items():
        columns[str(name)] = cells
        if name in _TESTS:
            by_family = cells.groupby(table["family"], sort=False)
            columns[_TESTS[str(name)]] = by_family.transform(lambda p: holm(p.to_numpy(dtype=float)))
            if name == "p":
                columns["tests"] = by_family.transform("count")
    return pd.DataFrame(columns)


def _judge_errors(jobs: Sequence[Job]) -> JudgeErrors:
    """Return what the judges' scales add. Who ranked saved rankings is not known: such jobs share nothing."""
    anchors = [[job.figure("anchors", key) for key in ("n", "mean", "sum_of_squares")] for job in jobs]
    names = []
    for number, job in enumerate(jobs):
        judge = plain(job.summary["judge"])
        is_known = isinstance(judge, dict) and judge.get("kind") != _SAVED
        names.append(repr((judge, anchors[number], "" if is_known else number)))
    count, mean, squares = np.array(anchors).T
    return JudgeErrors(
        judge=np.unique(names, return_inverse=True)[1],
        beta_shift=np.array([job.figure("beta_shift") for job in jobs]),
        anchors=count,
        anchor_mean=mean,
        anchor_squares=squares,
        misreading=np.array([job.figure("anchors", "misreading_sd") for job in jobs]),
        floor=np.array([_floor(job) for job in jobs]),
    )


def _floor(job: Job) -> float:
    """Return what the variance of a job's mean over responses has beyond the sum of their influences."""
    known = job.scores["influence"].notna()
    sums = job.scores[known].groupby(query_clusters(job.scores[known]))["influence"].sum().to_numpy(dtype=np.float64)
    shown = len(sums) / (len(sums) - 1) * float(sums @ sums) if len(sums) > 1 else np.nan
    return max(job.figure("mean_errors", "responses") ** 2 - shown, 0.0) if np.isfinite(shown) else 0.0


def _by_people(
    stacked: Stacked, powered: Sequence[PoweredMean | None], weights: Floats, bound: Floats
) -> Estimates | None:
    """Estimate the contrasts on the raters' scale; not a number where a job has too few ratings."""
    if all(mean is None for mean in powered):
        return None
    influence = np.full(len(stacked.job), np.nan)
    for place, mean in enumerate(powered):
        if mean is not None:
            influence[stacked.job == place] = mean.influence
    rated = np.array([0 if mean is None else mean.queries for mean in powered])
    means = np.array([np.nan if mean is None else mean.mean for mean in powered])
    is_in = weights != 0
    # The few rated queries decide how well a variance is known.
    fewest = np.where(is_in, rated, np.iinfo(np.int64).max).min(axis=1)
    sums, present = stacked.sums(influence)
    none = JudgeErrors.none(len(powered))
    found = estimate_contrasts(weights, np.nan_to_num(means), sums, present, none, np.maximum(fewest - 1.0, 1.0))
    return found.within(bound).only(~(is_in & np.isnan(means)).any(axis=1))
