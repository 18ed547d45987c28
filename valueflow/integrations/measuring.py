"""Texts that another harness has collected, scored on the ValueFlow scale."""

import logging
import math
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from valueflow.evaluation import (
    Evaluation,
    EvaluationSettings,
    check_anchor_count,
    evaluate_responses,
    mean_of_scores,
    query_clusters,
    text_judge,
)
from valueflow.responses import load_responses
from valueflow.run import BadRows, InputError, compose_settings
from valueflow.vidb import check_count, load_vidb

_log = logging.getLogger(__name__)

_ONE_AT_A_TIME = threading.Lock()
"""Judges and the composing of settings share state in a process, and harnesses score in threads."""

FIGURES = ("mean", "mean_se", "mean_low", "mean_high", "mean_of_scores")
"""What is said of many texts, named as in `summary.json`."""

COUNTS = ("n", "scored")
"""How many texts there were, and how many of them have a score."""


@dataclass(frozen=True)
class Said:
    """What a model said, and to what.

    Attributes
    ----------
    query, dataset
        The query and the set that it is of; draws and clusters go by them.
    response
        The text that is scored; thoughts before it are left out.
    """

    query: str
    dataset: str
    response: str | None


@dataclass(frozen=True)
class TextScore:
    """The score of a text.

    Attributes
    ----------
    score, se
        In points of the scale, -10 to 10; NaN where there is none.
    low, high
        Ends of its 90% interval.
    failure
        Why there is no score; empty where there is one.
    is_judged
        Whether there was a text to judge; a failure is then the judge's.
    """

    score: float
    se: float
    low: float
    high: float
    failure: str = ""
    is_judged: bool = True


class Scale:
    """A value, and how texts are scored on it.

    Parameters
    ----------
    theory, value
        As in `evaluate_responses`.
    judge
        An option of the config group, or a judge.
    estimator
        `regression` scores each text by itself, so that it does not matter which ones are judged together; with `map`
        a judge's reliability is learned from the windows of a batch.
    **settings
        Others of `evaluate_responses`, but for those about responses.

    Raises
    ------
    InputError
        The value is unknown, a setting or the anchors cannot be used, or the judge does not go with the estimator.
    """

    def __init__(
        self, theory: str, value: str, judge: Any = "embedding", estimator: str = "regression", **settings: Any
    ) -> None:
        refuse_targets(settings | {"theory": theory, "judge": judge})
        given = {
            "theory": theory,
            "value": value,
            "judge": judge,
            "estimator": estimator,
            "progress": False,
            **settings,
        }
        with _ONE_AT_A_TIME:
            self._settings = EvaluationSettings.checked(compose_settings("evaluate", given))
        if estimator == "regression":
            text_judge(self._settings)
        self.theory = self._settings.theory.name
        self.value = self._settings.theory.resolve(value)
        self.check_anchors([self.value])

    def check_anchors(self, values: Iterable[str]) -> None:
        """Read the anchors, so that no model is asked in vain.

        Raises
        ------
        InputError
            The anchors of one of the values cannot be used, or there are too few.
        """
        settings = self._settings
        vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, BadRows(settings.on_bad_row))
        for value in values:
            own = vidb.of(settings.theory, value)
            if settings.estimator != "regression":
                check_count(own, settings.k - 1)
        if settings.estimator == "regression":
            total = sum(len(anchors) for anchors in vidb.anchors)
            check_anchor_count(total, total)

    def scores(self, said: Sequence[Said]) -> list[TextScore]:
        """Score N texts as one batch; those that cannot be scored say why.

        Raises
        ------
        InputError
            The anchors cannot be used, or there are too few.
        """
        return self._judged(said)[0]

    def figures(self, said: Sequence[Said]) -> dict[str, float]:
        """Return `FIGURES` of N texts, NaN where there is none, and `COUNTS`; what has no score is told once.

        Raises
        ------
        InputError
            As `scores`.
        """
        found, summary = self._judged(said)
        failures = Counter(one.failure for one in found if one.failure)
        if failures:
            reasons = "; ".join(f"{count} x {reason}" for reason, count in failures.most_common())
            _log.warning("%s: %d of %d responses have no score: %s", self.value, failures.total(), len(said), reasons)
        figures = {name: float("nan") if summary.get(name) is None else float(summary[name]) for name in FIGURES}
        return figures | {"n": len(said), "scored": len(said) - failures.total()}

    def _judged(self, said: Sequence[Said]) -> tuple[list[TextScore], Mapping[str, Any]]:
        """Return the scores of N texts and the summary of their evaluation."""
        frame, failures = _usable(said)
        found = [_without_score(failures.get(place, ""), is_judged=False) for place in range(len(said))]
        if frame.empty:
            return found, {}
        result = self._evaluate(frame)
        reasons = self._reasons(result)
        columns = [f"{self.value}_{name}" for name in ("score", "se", "low", "high")]
        figures = result.scores[columns].to_numpy(dtype=float).tolist()
        for place, text, (score, se, low, high) in zip(frame["place"], frame["response"], figures, strict=True):
            found[place] = _without_score(reasons(text)) if math.isnan(score) else TextScore(score, se, low, high)
        return found, result.summary

    def _evaluate(self, frame: pd.DataFrame) -> Evaluation:
        settings = {**dict(self._settings), "responses": frame[["query", "dataset", "response"]]}
        with _ONE_AT_A_TIME:
            return evaluate_responses(**settings)

    def _reasons(self, result: Evaluation) -> "_Reasons":
        check = result.summary["judge_check"]
        if self._settings.judge_check and not check["scored"] and check["passed"] is False:
            return _Reasons(f"the judge is not shown to order the anchors of {self.value} (z = {check['z']:.1f})", {})
        texts = result.text_scores
        if texts is not None:
            # A response's text may be an anchor's as well, of any value.
            texts = texts[(texts["role"] == "response") & (texts["failure"] != "")]
        told = {} if texts is None else dict(zip(texts["text"], texts["failure"], strict=True))
        is_read = self._settings.estimator == "regression"
        return _Reasons("the judge could not read it" if is_read else "the judge ranked none of its windows", told)


@dataclass(frozen=True)
class _Reasons:
    """Why texts have no score: what a judge said of a text, else one reason for all."""

    common: str
    told: Mapping[str, str]

    def __call__(self, text: str) -> str:
        return self.told.get(text) or self.common


def refuse_targets(settings: Any) -> None:
    """Stop where settings, at any depth, name code to run: those of a log or a task may be anybody's.

    Raises
    ------
    InputError
        There is a key `_target_`.
    """
    if isinstance(settings, Mapping):
        for key, entry in settings.items():
            if "_target_" in str(key).split("."):
                raise InputError(f"{key}: settings here name options and numbers, no code; drop _target_")
            refuse_targets(entry)
    elif isinstance(settings, list | tuple):
        for entry in settings:
            refuse_targets(entry)


def plain_mean(scores: Sequence[float], queries: Sequence[str]) -> dict[str, float]:
    """Return the mean of N scores with its standard error and 95% interval, clustered by query; nothing is judged.

    Returns
    -------
    dict
        `mean_of_scores`, `mean_of_scores_se`, `mean_of_scores_low`, `mean_of_scores_high`, in points of the scale.
    """
    known = np.asarray(scores, dtype=float)
    found = mean_of_scores(known, np.isfinite(known), query_clusters(pd.DataFrame({"query": list(queries)})))
    name = "mean_of_scores"
    return {name: found.mean, f"{name}_se": found.se, f"{name}_low": found.low, f"{name}_high": found.high}


def _without_score(failure: str, *, is_judged: bool = True) -> TextScore:
    nothing = float("nan")
    return TextScore(nothing, nothing, nothing, nothing, failure, is_judged)


def _usable(said: Sequence[Said]) -> tuple[pd.DataFrame, dict[int, str]]:
    """Return the texts that can be judged, with their `place` among all, and by place why others cannot."""
    rows = [(place, one.query, one.dataset, one.response) for place, one in enumerate(said)]
    frame = pd.DataFrame(rows, columns=["place", "query", "dataset", "response"]).astype({"response": object})
    if frame.empty:
        return frame, {}
    bad = BadRows("skip")
    usable, _ = load_responses(frame, {}, bad)
    # Rows of a table are numbered from 1.
    return usable, {entry["row"] - 1: str(entry["reason"]) for entry in bad.skipped}
