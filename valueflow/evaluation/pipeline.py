"""Responses, anchors and a judge in; rankings, scores and a summary out."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from valueflow.evaluation.aims import ARROWS, add_arrows
from valueflow.evaluation.ascent import warn_of_ascent
from valueflow.evaluation.calibrating import CALIBRATION_OUTPUTS, CalibratedJudge, calibrate
from valueflow.evaluation.calibration import Calibration, Conditions, read_calibration
from valueflow.evaluation.display import show_calibrations, show_evaluation
from valueflow.evaluation.dose_response import PICTURE, add_dose_response
from valueflow.evaluation.judges import fit_judges
from valueflow.evaluation.judging import about_judge, judge_responses
from valueflow.evaluation.outcome import (
    RANKINGS_FILE,
    SCORES_FILE,
    Evaluation,
    Found,
    is_without_query,
    query_clusters,
    score_figures,
    scores_table,
)
from valueflow.evaluation.pooling import pool_judges
from valueflow.evaluation.rankings import (
    check_targets,
    ranked_windows,
    rankings_table,
    read_rankings,
    responses_of,
)
from valueflow.evaluation.reading import text_judge
from valueflow.evaluation.regression import score_by_regression
from valueflow.evaluation.saving import AdaptiveFigures
from valueflow.evaluation.scoring import score_windows
from valueflow.evaluation.settings import EvaluationSettings
from valueflow.evaluation.text_scores import TEXT_SCORES_FILE, text_scores_of_windows
from valueflow.judge import Criterion, RankedWindows
from valueflow.responses import REPEATED, filter_responses, load_responses, response_keys, steered_to
from valueflow.run import InputError, Run, Share, SweepView, Task
from valueflow.vidb import AdaptiveSampling, load_vidb

_log = logging.getLogger(__name__)


def evaluate_responses(
    responses: str | Path | pd.DataFrame | None = None, *, output_dir: str | Path | None = None, **settings: Any
) -> Evaluation:
    """Score responses on a value.

    Parameters
    ----------
    responses
        CSV or Parquet file or table with `query`, `dataset` and `response`, or a folder with files
        `responses.csv`; None for the packaged demo responses. Columns `theory`, `value`, `intensity`,
        `steering` and `model`, where present, filter.
    output_dir
        Folder for `scores.csv`, `rankings.csv`, `text_scores.csv` (of a judge that reads texts one by one) and
        `summary.json`, where they replace an earlier run's; None writes nothing.
    **settings
        Fields of `EvaluationSettings`, the same as on the command line; what is not given has the
        default of `configs/evaluate.yaml`. `theory`, `sampling` and `judge` take the name of an
        option or an object. `value` must be given.

    Returns
    -------
    Evaluation
        Scores, rankings or utilities, and summary.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.

    Examples
    --------
    >>> result = evaluate_responses(theory="pvq", value="benevolence", intensity=2)  # doctest: +SKIP
    >>> result.summary["mean"]  # doctest: +SKIP
    """
    if settings.get("task", "score") != "score":
        raise InputError(f"task={settings['task']}: evaluate_responses scores; call calibrate_judge to calibrate")
    outcome = TASK.call({"responses": responses, **settings}, output_dir)
    assert isinstance(outcome, Evaluation)
    return outcome


def calibrate_judge(*, output_dir: str | Path | None = None, **settings: Any) -> CalibratedJudge:
    """Score the anchors of a value as responses, each unseen by the judge, and find how far it misreads texts.

    Parameters
    ----------
    output_dir
        Folder for `calibration.json`, `scores.csv`, `rankings.csv`, the reliability picture and `summary.json`; None
        writes nothing.
    **settings
        As in `evaluate_responses`, but for those about responses.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    outcome = TASK.call({**settings, "task": "calibrate"}, output_dir)
    assert isinstance(outcome, CalibratedJudge)
    return outcome


def _run(settings: EvaluationSettings, run: Run) -> Evaluation | CalibratedJudge:
    if settings.task == "score":
        return _evaluate(settings, run)
    run.share.refuse("task=calibrate learns of the judge from all anchors together; run it whole")
    return calibrate(settings, run)


def _evaluate(settings: EvaluationSettings, run: Run) -> Evaluation:
    if settings.estimator == "regression":
        text_judge(settings)
    else:
        _check_calibration(settings)
    _check_division(settings, run.share)
    theory = settings.theory
    value = theory.resolve(settings.value)
    with run.stage("load"):
        saved = read_rankings(settings.rankings, run.bad_rows) if settings.rankings else None
        if saved is not None and settings.responses is None:
            frame, source = responses_of(saved, str(settings.rankings)), str(settings.rankings)
        else:
            frame, source = load_responses(settings.responses, settings.response_columns, run.bad_rows)
        n_read, n_repeated = len(frame), frame.attrs.get(REPEATED, 0)
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
        frame = frame[run.share.take(response_keys(frame, settings.seed))].reset_index(drop=True)
    found = (
        score_by_regression(settings, value, frame, run)
        if settings.estimator == "regression"
        else _by_windows(settings, value, frame, saved, run)
    )
    for key in labels:
        column = "steering" if key == "steered_by" else key
        _log.warning("the responses have no '%s': %s=%s is a label only", column, key, getattr(settings, key))
    summary = {
        "task": "score",
        "theory": theory.name,
        "value": value,
        "label": theory.nodes[value].label,
        "intensity": settings.intensity,
        "model": settings.model,
        "steered_by": settings.steered_by,
        "values": settings.values,
        "intensities": settings.intensities,
        "labels_only": labels,
        # Of saved rankings without their responses nothing is known.
        "steered_to": None if saved is not None and settings.responses is None else steered_to(frame),
        "read": n_read,
        REPEATED: n_repeated,
        "without_query": int(is_without_query(frame).sum()),
        **score_figures(found.scores),
        **found.summary,
        "responses": source,
        "vidb": None if saved is not None else settings.vidb,
        "rankings": settings.rankings,
        "settings": {
            **settings.model_dump(include={"estimator", "point", "solver", "iter", "lr", "judge_check", "on_bad_row"}),
            **found.drawn,
        },
    }
    return Evaluation(
        scores=scores_table(frame, value, found.scores),
        rankings=found.rankings,
        text_scores=found.text_scores,
        summary=summary,
    )


def _by_windows(
    settings: EvaluationSettings, value: str, frame: pd.DataFrame, saved: pd.DataFrame | None, run: Run
) -> Found:
    calibration = None
    if saved is None:
        judged, calibration = _judge(settings, value, frame, run)
    else:
        judged = _Judged(_saved_windows(saved, str(settings.rankings), frame), None, {"kind": "saved rankings"})
    windows = judged.windows
    assert settings.estimator != "regression"
    with run.stage("score"):
        scores = score_windows(
            windows,
            len(frame),
            estimator=settings.estimator,
            point=settings.point,
            solver=settings.solver,
            max_iter=settings.iter,
            learning_rate=settings.lr,
            judge_check=settings.judge_check,
            clusters=query_clusters(frame),
            fits=None if calibration is None else calibration.apply(fit_judges(windows), windows.judge_names),
        )
    return Found(
        scores=scores,
        summary={
            "failures": dict(Counter(windows.failures[~windows.ranked]).most_common()),
            "calibration": None if calibration is None else calibration.summary(),
            "judge": judged.description,
            "judging": dict(windows.report),
            **({} if judged.adaptive is None else {"adaptive": asdict(judged.adaptive)}),
            "seed": settings.seed if saved is None else None,
        },
        drawn={
            # What a saved file was drawn with is not known from these settings.
            "k": windows.orders.shape[1],
            "m": settings.m if saved is None else None,
            "response_position": settings.response_position if saved is None else None,
            "sampling": type(settings.sampling).__name__ if saved is None else None,
        },
        rankings=judged.table,
        text_scores=judged.text_scores,
    )


@dataclass(frozen=True)
class _Judged:
    """Ranked windows, as arrays and as a table, by whom, what rounds took, and what was said of single texts."""

    windows: RankedWindows
    table: pd.DataFrame | None
    description: Mapping[str, object]
    adaptive: AdaptiveFigures | None = None
    text_scores: pd.DataFrame | None = None


def _judge(
    settings: EvaluationSettings, value: str, frame: pd.DataFrame, run: Run
) -> tuple[_Judged, Calibration | None]:
    """Draw windows and have them ranked; return also the calibration of the judge, if one is given."""
    with run.stage("load"):
        vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, run.bad_rows)
        anchors = vidb.of(settings.theory, value)
        calibration = None
        if settings.calibration is not None:
            # Before anything is judged: calls cost.
            calibration = read_calibration(settings.calibration)
            calibration.check(Conditions.of(settings, value, vidb))
    keys, texts = response_keys(frame, settings.seed), frame["response"].to_numpy(dtype=object)
    warn_of_ascent(settings)
    judged = judge_responses(settings, Criterion(settings.theory, value, vidb), keys, texts, anchors, run)
    table = rankings_table(judged.windows, judged.ranked)
    texts_table = text_scores_of_windows(judged.ranked.utilities, texts, anchors)
    description = about_judge(settings, vidb, anchors)
    return _Judged(judged.ranked, table, description, judged.adaptive, texts_table), calibration


def _check_calibration(settings: EvaluationSettings) -> None:
    if settings.calibration is None:
        return
    if settings.rankings is not None:
        raise InputError(
            f"calibration={settings.calibration} cannot be checked: saved rankings do not say which judge gave them; "
            "drop rankings or calibration"
        )
    if settings.estimator != "map":
        raise InputError(
            f"calibration={settings.calibration}: estimator={settings.estimator} knows no misreading; use map"
        )


def _check_division(settings: EvaluationSettings, share: Share) -> None:
    if settings.rankings is not None:
        share.refuse("saved rankings ask nothing; score them in one run")
    if isinstance(settings.sampling, AdaptiveSampling) and settings.estimator != "regression":
        share.refuse("sampling=adaptive draws windows by what all responses have told so far; give sampling=bucket")


def _saved_windows(table: pd.DataFrame, where: str, frame: pd.DataFrame) -> RankedWindows:
    windows = ranked_windows(table, where)
    check_targets(table, frame["response"].to_numpy(dtype=object), where)
    return windows


def _add_pictures(jobs: Mapping[Path, Mapping[str, Any]], others: Sequence[str], folder: Path) -> list[str]:
    return [*add_dose_response(jobs, others, folder), *add_arrows(jobs, others, folder)]


TASK = Task(
    name="evaluate",
    settings=EvaluationSettings,
    run=_run,
    outputs=(SCORES_FILE, RANKINGS_FILE, TEXT_SCORES_FILE, *CALIBRATION_OUTPUTS),
    sweep=(
        SweepView(
            show_evaluation,
            ("theory", "value", "intensity"),
            _add_pictures,
            kind="score",
            complete=pool_judges,
            files=(f"{PICTURE}.*", f"{ARROWS}.*"),
        ),
        SweepView(show_calibrations, ("theory", "value"), kind="calibrate"),
    ),
    divides=True,
)
