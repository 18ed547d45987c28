"""Responses, anchors and a judge in; rankings, scores and a summary out."""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from omegaconf import MISSING
from scipy.special import stdtrit

from valueflow.evaluation.display import show_evaluation
from valueflow.evaluation.rankings import (
    RankedWindows,
    check_targets,
    ranked_windows,
    rankings_table,
    read_rankings,
    responses_of,
)
from valueflow.evaluation.responses import IDENTITY, filter_responses, load_responses, response_keys
from valueflow.evaluation.scoring import Scores, score_windows
from valueflow.evaluation.settings import EvaluationSettings
from valueflow.evaluation.windows import build_windows
from valueflow.judge import Question, checked_rankings
from valueflow.run.config import compose_settings
from valueflow.run.errors import InputError
from valueflow.run.outputs import write_csv, write_json
from valueflow.run.progress import progress_bar
from valueflow.run.summary import SUMMARY_FILE, Timings, versions
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY, load_vidb

SCORES_FILE, RANKINGS_FILE = "scores.csv", "rankings.csv"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    scores
        One row a response, in the order given: `query`, `dataset`, `response`, `{value}_score`,
        `{value}_se`, `{value}_low`, `{value}_high`, `windows`, `windows_failed`. The last two count
        rankings: a panel of J judges gives J of each window.
    rankings
        One row a window, of a panel one for each window and judge; None where saved rankings were
        scored.
    summary
        Figures, counts, judge and its reliability, what judging took, settings, versions, timings.
    """

    scores: pd.DataFrame
    rankings: pd.DataFrame | None
    summary: dict[str, Any]

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the tables by name, for loggers."""
        return {"scores": self.scores}

    def show(self) -> None:
        """Print the table for a person."""
        show_evaluation([self.summary])


def evaluate_responses(
    responses: str | pd.DataFrame | None = None, *, output_dir: str | Path | None = None, **settings: Any
) -> Evaluation:
    """Score responses on a value.

    Parameters
    ----------
    responses
        CSV or Parquet file or table with `query`, `dataset` and `response`, or a folder with files
        `responses.csv`; None for the packaged demo responses. Columns `theory`, `value`, `intensity`,
        `steering` and `model`, where present, filter.
    output_dir
        Folder for `scores.csv`, `rankings.csv` and `summary.json`; None writes nothing.
    **settings
        Fields of `EvaluationSettings`, the same as on the command line; what is not given has the
        default of `configs/evaluate.yaml`. `theory`, `sampling` and `judge` take the name of an
        option or an object. `value` must be given.

    Returns
    -------
    Evaluation
        Scores, rankings and summary.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> result = evaluate_responses(theory="pvq", value="benevolence", intensity=2)  # doctest: +SKIP
    >>> result.summary["mean"]  # doctest: +SKIP
    """
    given = {"responses": responses, **settings}
    given = {key: os.fspath(entry) if isinstance(entry, os.PathLike) else entry for key, entry in given.items()}
    if EvaluationSettings.model_fields.keys() - given.keys():
        given = compose_settings("evaluate", given)
    if given["value"] == MISSING:
        raise InputError("'value' is not set; give the value to score")
    checked = EvaluationSettings.checked(given)
    result = _evaluate(checked)
    if output_dir is not None:
        folder = Path(output_dir)
        # An older summary must not stand beside newer tables, should writing them be interrupted.
        (folder / SUMMARY_FILE).unlink(missing_ok=True)
        write_csv(result.scores, folder / SCORES_FILE)
        if result.rankings is not None:
            write_csv(result.rankings, folder / RANKINGS_FILE)
        write_json(result.summary, folder / SUMMARY_FILE)
    return result


def _evaluate(settings: EvaluationSettings) -> Evaluation:
    started = datetime.now(UTC)
    timings = Timings()
    theory = settings.theory
    value = theory.resolve(settings.value)
    with timings.stage("load"):
        saved = read_rankings(Path(settings.rankings)) if settings.rankings else None
        if saved is not None and settings.responses is None:
            frame, source = responses_of(saved, str(settings.rankings)), str(settings.rankings)
        else:
            frame, source = load_responses(settings.responses, settings.response_columns)
        n_read = len(frame)
        frame, labels = filter_responses(
            frame,
            source,
            theory,
            value,
            intensity=settings.intensity,
            model=settings.model,
            steered_by=settings.steered_by,
            values=[theory.resolve(name) for name in settings.values] if settings.values is not None else None,
            intensities=settings.intensities,
        )
    if saved is None:
        judged = _judge(settings, value, frame, timings)
    else:
        judged = _Judged(_saved_windows(saved, str(settings.rankings), frame), None, {"kind": "saved rankings"}, {})
    windows = judged.windows
    with timings.stage("score"):
        scores = score_windows(
            windows,
            len(frame),
            estimator=settings.estimator,
            point=settings.point,
            solver=settings.solver,
            max_iter=settings.iter,
            learning_rate=settings.lr,
        )
    for key in labels:
        column = "steering" if key == "steered_by" else key
        _log.warning("the responses have no '%s': %s=%s is a label only", column, key, getattr(settings, key))
    summary = {
        "theory": theory.name,
        "value": value,
        "label": theory.nodes[value].label,
        "intensity": settings.intensity,
        "model": settings.model,
        "steered_by": settings.steered_by,
        "values": settings.values,
        "intensities": settings.intensities,
        "labels_only": labels,
        "read": n_read,
        **_figures(scores),
        "failures": dict(Counter(windows.failures[~windows.ranked]).most_common()),
        "reliability": asdict(scores.reliability),
        **_of_panel(scores),
        "judge": judged.description,
        "judging": dict(judged.report),
        "responses": source,
        "vidb": None if saved is not None else settings.vidb,
        "rankings": settings.rankings,
        "settings": {
            **settings.model_dump(include={"estimator", "point", "solver", "iter", "lr"}),
            # What a saved file was drawn with is not known from these settings.
            "k": windows.orders.shape[1],
            "m": settings.m if saved is None else None,
            "response_position": settings.response_position if saved is None else None,
            "sampling": type(settings.sampling).__name__ if saved is None else None,
        },
        "seed": settings.seed if saved is None else None,
        "versions": versions(),
        "started": started.isoformat(timespec="seconds"),
        "timings": timings.as_dict(),
    }
    return Evaluation(_scores_table(frame, value, scores), judged.table, summary)


@dataclass(frozen=True)
class _Judged:
    """Ranked windows, as arrays and as a table, by whom, and what it took."""

    windows: RankedWindows
    table: pd.DataFrame | None
    description: Mapping[str, object]
    report: Mapping[str, object]


def _judge(settings: EvaluationSettings, value: str, frame: pd.DataFrame, timings: Timings) -> _Judged:
    """Draw windows, have them ranked, and lay the rankings out in the order of the responses."""
    with timings.stage("load"):
        vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns)
        anchors = vidb.of(settings.theory, value)
    with timings.stage("windows"):
        keys = response_keys(frame, settings.seed)
        # Windows are judged in the order of their keys, which the order of the rows does not change.
        rows = np.argsort(keys, kind="stable")
        texts = frame["response"].to_numpy(dtype=object)[rows]
        windows = build_windows(
            keys[rows],
            texts,
            anchors,
            settings.sampling,
            k=settings.k,
            m=settings.m,
            response_position=settings.response_position,
        )
    title, times = f"{settings.theory.name}/{value}", settings.judge.rankings_per_window
    steps = "windows" if times == 1 else "rankings"
    with (
        timings.stage("judge"),
        progress_bar(title, times * len(windows), steps, enabled=settings.progress) as advance,
    ):
        rankings = checked_rankings(
            settings.judge.rank(Question(settings.theory, value, vidb), windows, advance), windows
        )
    judged = RankedWindows(
        responses=rows[windows.responses[rankings.windows]],
        orders=rankings.orders,
        intensities=anchors.intensities[windows.anchors[rankings.windows]],
        failures=rankings.failures,
        windows=rankings.windows,
        judges=rankings.judges,
        judge_names=rankings.judge_names,
    )
    about_anchors = {"anchors": len(anchors), "anchors_repeated": vidb.n_repeated, "vidb_sha256": vidb.digest}
    return _Judged(
        windows=judged,
        table=rankings_table(windows, rankings, rows),
        description={**settings.judge.describe(), **about_anchors},
        report=rankings.report,
    )


def _saved_windows(table: pd.DataFrame, where: str, frame: pd.DataFrame) -> RankedWindows:
    windows = ranked_windows(table, where)
    check_targets(table, frame["response"].to_numpy(dtype=object), where)
    return windows


def _figures(scores: Scores) -> dict[str, object]:
    """Return the counts of a run, and the mean score with its 95% interval over responses (Student's t)."""
    known = scores.score[~np.isnan(scores.score)]
    n_windows, n_failed = int(scores.windows.sum()), int(scores.windows_failed.sum())
    mean = float(known.mean()) if len(known) else np.nan
    spread = float(known.std(ddof=1)) if len(known) > 1 else np.nan
    half = float(stdtrit(len(known) - 1, 0.975) * spread / np.sqrt(len(known))) if len(known) > 1 else np.nan
    return {
        "n": len(scores.score),
        "scored": len(known),
        "not_converged": int(scores.not_converged.sum()),
        "mean": mean,
        # The scale is bounded, and so is the mean of scores on it.
        "mean_low": max(mean - half, LOWEST_INTENSITY),
        "mean_high": min(mean + half, HIGHEST_INTENSITY),
        "sd": spread,
        "windows": n_windows,
        "windows_failed": n_failed,
        "share_failed": n_failed / n_windows if n_windows else np.nan,
    }


def _of_panel(scores: Scores) -> dict[str, object]:
    """Return what is to be said of each judge and of their agreement; nothing where there was one judge."""
    if scores.agreement is None:
        return {}
    judges = [
        {
            "name": record.name,
            "windows": record.windows,
            "windows_failed": record.windows_failed,
            **asdict(record.reliability),
            "failures": record.failures,
        }
        for record in scores.judges
    ]
    return {"judges": judges, "agreement": asdict(scores.agreement)}


def _scores_table(frame: pd.DataFrame, value: str, scores: Scores) -> pd.DataFrame:
    columns: dict[str, npt.NDArray[Any]] = {
        f"{value}_score": scores.score,
        f"{value}_se": scores.se,
        f"{value}_low": scores.low,
        f"{value}_high": scores.high,
        "windows": scores.windows,
        "windows_failed": scores.windows_failed,
    }
    return frame[list(IDENTITY)].assign(**columns)
