"""`evaluate.py task=calibrate`: every anchor of a value scored as a response, itself unseen by the judge."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation.ascent import warn_of_ascent
from valueflow.evaluation.calibration import Conditions, calibration_record, with_misreading
from valueflow.evaluation.display import show_calibrations
from valueflow.evaluation.judges import JudgeFit, fit_judges
from valueflow.evaluation.judging import about_judge, judge_responses
from valueflow.evaluation.misreading import nearest_tried, try_misreadings
from valueflow.evaluation.outcome import RANKINGS_FILE, SCORES_FILE, query_clusters, score_figures, scores_table
from valueflow.evaluation.rankings import rankings_table
from valueflow.evaluation.reliability_picture import PICTURE, draw_reliability
from valueflow.evaluation.scoring import Scores, score_windows
from valueflow.evaluation.settings import EvaluationSettings
from valueflow.evaluation.windows import anchor_keys
from valueflow.judge import Criterion, RankedWindows
from valueflow.run import PICTURE_FORMATS, InputError, Outcome, Run, write_json
from valueflow.vidb import Anchors, FixedSampling, load_vidb

CALIBRATION_FILE = "calibration.json"
CALIBRATION_OUTPUTS = (CALIBRATION_FILE, *(f"{PICTURE}.{suffix}" for suffix in PICTURE_FORMATS))

_CONFIDENCE = 0.95
_OF_SCORES = (
    "n",
    "scored",
    "not_converged",
    "misfit",
    "windows",
    "windows_failed",
    "share_failed",
    "reliability",
    "judge_check",
    "judges",
    "agreement",
)
"""What a summary says of scores, the mean left aside: anchors are no sample of anything."""

_FOR_RESPONSES = ("responses", "rankings", "calibration", "intensity", "model", "steered_by", "values", "intensities")
"""Settings that have no meaning where anchors are what is scored."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class CalibratedJudge(Outcome):
    """What anchors scored as responses told of a judge.

    Attributes
    ----------
    scores
        One row per anchor: as `Evaluation.scores`, and `rating`.
    rankings
        One row per window, of a panel one for each window and judge.
    calibration
        Content of `calibration.json`, which later runs use.
    summary
        The same figures, with counts, what judging took, settings, versions, timings.
    """

    scores: pd.DataFrame
    rankings: pd.DataFrame
    calibration: Mapping[str, Any]

    def outputs(self) -> "Mapping[str, pd.DataFrame | Callable[[Path], object] | None]":
        """Return the calibration, tables, and the picture where there are scores."""
        value = self.summary["value"]
        points = pd.DataFrame(
            {"rating": self.scores["rating"]}
            | {name: self.scores[f"{value}_{name}"] for name in ("score", "low", "high")}
        )
        title = f"{self.summary['theory']}: {self.summary['label']}"
        pictures = {f"{PICTURE}.{suffix}": partial(draw_reliability, points, title) for suffix in PICTURE_FORMATS}
        return {
            SCORES_FILE: self.scores,
            RANKINGS_FILE: self.rankings,
            **(pictures if points["score"].notna().any() else {}),
            CALIBRATION_FILE: partial(write_json, self.calibration),
        }

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return the scores and the log of windows, for loggers."""
        return {"scores": self.scores, "windows": self.rankings}

    def show(self) -> None:
        """Print the table for a person."""
        show_calibrations([self.summary])


def calibrate(settings: EvaluationSettings, run: Run) -> CalibratedJudge:
    """Score the anchors of a value as responses, and find how far the judge misreads texts."""
    _check(settings)
    theory = settings.theory
    value = theory.resolve(settings.value)
    with run.stage("load"):
        vidb = load_vidb(settings.vidb, theory, settings.vidb_columns, run.bad_rows)
        anchors = vidb.of(theory, value)
        scored = _anchors_to_score(settings, anchors)
        conditions = Conditions.of(settings, value, vidb)
    texts = anchors.texts[scored]
    keys = anchor_keys(texts, settings.seed)
    warn_of_ascent(settings)
    judged = judge_responses(settings, Criterion(theory, value, vidb), keys, texts, anchors, run, own=scored)
    frame = pd.DataFrame({"query": "", "dataset": "", "response": texts})
    with run.stage("score"):
        found = _calibrate(judged.ranked, anchors[scored], settings)
        scores = score_windows(
            judged.ranked,
            len(scored),
            estimator="map",
            point=settings.point,
            solver=settings.solver,
            max_iter=settings.iter,
            learning_rate=settings.lr,
            judge_check=settings.judge_check,
            clusters=query_clusters(frame),
            fits=found.fits,
        )
    ratings = anchors.intensities[scored]
    calibration = {
        **calibration_record(conditions, settings, int(np.isfinite(scores.score).sum()), found.records),
        "scores": _figures(scores, ratings),
    }
    summary: dict[str, object] = {
        "task": "calibrate",
        "theory": theory.name,
        "value": value,
        "label": theory.nodes[value].label,
        **{key: figure for key, figure in score_figures(scores).items() if key in _OF_SCORES},
        "left_out": len(anchors) - len(scored),
        "failures": dict(Counter(judged.ranked.failures[~judged.ranked.ranked]).most_common()),
        "calibration": {key: calibration[key] for key in ("scores", "judges")},
        "judge": about_judge(settings, vidb, anchors),
        "judging": dict(judged.ranked.report),
        **({} if judged.adaptive is None else {"adaptive": asdict(judged.adaptive)}),
        "vidb": settings.vidb,
        "settings": {
            **settings.model_dump(include={"estimator", "point", "solver", "iter", "lr", "judge_check", "k", "m"}),
            "response_position": settings.response_position,
            "sampling": type(settings.sampling).__name__,
        },
    }
    return CalibratedJudge(
        scores=scores_table(frame, value, scores).assign(rating=ratings),
        rankings=rankings_table(judged.windows, judged.ranked),
        calibration=calibration,
        summary=summary,
    )


def _check(settings: EvaluationSettings) -> None:
    for key in _FOR_RESPONSES:
        if getattr(settings, key) is not None:
            raise InputError(f"{key}: task=calibrate scores the anchors of the value and no responses; drop {key}")
    if settings.estimator == "regression":
        raise InputError(
            "estimator=regression learns from all anchors in every run, and says how well it predicts them; there is "
            "nothing to calibrate: use task=score"
        )
    if settings.estimator != "map":
        raise InputError(f"estimator={settings.estimator} knows no misreading; task=calibrate needs estimator=map")


def _anchors_to_score(settings: EvaluationSettings, anchors: Anchors) -> npt.NDArray[np.int64]:
    """Return which anchors are scored: all; but for those that every window holds, where these are fixed."""
    k = settings.k
    if len(anchors) < k:
        raise InputError(
            f"{anchors.theory}/{anchors.value} has {len(anchors)} anchors but task=calibrate with k={k} needs at least "
            f"{k}; set k to {len(anchors)} or less, or add anchors"
        )
    every = np.arange(len(anchors))
    if not isinstance(settings.sampling, FixedSampling):
        return every
    return np.setdiff1d(every, settings.sampling.draw(anchors, np.zeros((1, k - 1))))


@dataclass(frozen=True)
class _Found:
    fits: tuple[JudgeFit, ...]
    records: tuple[dict[str, object], ...]


def _calibrate(windows: RankedWindows, anchors: Anchors, settings: EvaluationSettings) -> _Found:
    """Find each judge's misreading of texts; a judge that is not shown to order the anchors has none."""
    errors = np.empty(0) if anchors.errors is None else anchors.errors[~np.isnan(anchors.errors)]
    ratings_variance = float(np.mean(errors**2)) if len(errors) else 0.0
    fits = fit_judges(windows)
    misreading, records = {}, []
    for number, (name, fit) in enumerate(zip(windows.judge_names, fits, strict=True)):
        own = windows[np.flatnonzero((windows.judges == number) & windows.ranked)]
        record: dict[str, object] = {
            "name": name,
            "misreading_sd": None,
            "ratings_error": float(np.sqrt(ratings_variance)),
            "reliability": asdict(fit.reliability),
        }
        if len(own) and (fit.counts or not settings.judge_check):
            figures, misreading[name] = _of_judge(own, fit, anchors.intensities, ratings_variance)
            record |= figures
        records.append(record)
    return _Found(with_misreading(fits, windows.judge_names, misreading), tuple(records))


def _of_judge(
    own: RankedWindows, fit: JudgeFit, ratings: FloatArray, ratings_variance: float
) -> tuple[dict[str, object], float]:
    """Return the figures of a judge from its rankings, and its misreading of texts, in points."""
    scored, responses = np.unique(own.responses, return_inverse=True)
    tried = try_misreadings(own.with_responses(responses), fit, ratings[scored])
    whole = tried.most_likely()
    # What ratings are wrong by is part of how far scores lie from them, and no fault of the judge.
    sd = float(np.sqrt(max(whole**2 - ratings_variance, 0.0)))
    low, high = tried.likely_range()
    estimated = nearest_tried(np.hypot(fit.reliability.text_misreading_sd, np.sqrt(ratings_variance)))
    figures = {
        "misreading_sd": sd,
        "misreading_sd_low": float(np.sqrt(max(low**2 - ratings_variance, 0.0))),
        "misreading_sd_high": float(np.sqrt(max(high**2 - ratings_variance, 0.0))),
        "misreading_sd_of_run": fit.reliability.text_misreading_sd,
        "anchors": len(scored),
        "coverage_without": _share(tried.held[0]),
        "coverage_of_run": _share(tried.held[estimated]),
        "coverage": _share(tried.held_by_others()),
    }
    return figures, sd


def _share(held: BoolArray) -> dict[str, object]:
    """Return how many intervals hold the rating, and their share with Wilson's 95% interval."""
    from scipy.stats import binomtest  # here, since scoring needs none of this library

    found = binomtest(int(held.sum()), len(held))
    ends = found.proportion_ci(_CONFIDENCE, method="wilson")
    return {"held": found.k, "of": found.n, "share": found.statistic, "low": float(ends.low), "high": float(ends.high)}


def _figures(scores: Scores, ratings: FloatArray) -> dict[str, object]:
    """Return how scores follow ratings: slope of ratings in scores with its error, and root mean square difference."""
    known = np.isfinite(scores.score)
    score, rating = scores.score[known], ratings[known]
    held = (scores.low[known] <= rating) & (rating <= scores.high[known])
    slope, error = _slope(score, rating)
    return {
        "slope": slope,
        "slope_se": error,
        "rmse": float(np.sqrt(np.mean((score - rating) ** 2))) if len(score) else np.nan,
        "mean_width": float(np.mean(scores.high[known] - scores.low[known])) if len(score) else np.nan,
        "coverage": _share(held) if len(score) else None,
    }


def _slope(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Return the least-squares slope of y in x, and its standard error whatever the residuals' variances are (HC3)."""
    if len(x) < 3 or np.ptp(x) == 0:
        return np.nan, np.nan
    away = x - x.mean()
    total = float(away @ away)
    slope = float(away @ y / total)
    residual = y - y.mean() - slope * away
    leverage = 1 / len(x) + away**2 / total
    with np.errstate(divide="ignore", invalid="ignore"):
        error = float(np.sqrt(np.sum((away * residual / (1 - leverage)) ** 2)) / total)
    return slope, error if np.isfinite(error) else np.nan
