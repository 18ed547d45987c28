"""Texts that another harness has collected, scored on our scale."""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from valueflow.evaluation import Evaluation, EvaluationSettings, evaluate_responses, text_judge
from valueflow.responses import load_responses
from valueflow.run import BadRows, compose_settings

_ONE_AT_A_TIME = threading.Lock()
"""Judges and the composing of settings share state in a process, and harnesses score in threads."""

FIGURES = ("mean", "mean_se", "mean_low", "mean_high", "mean_of_scores")
"""What is said of many texts, named as in `summary.json`."""


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
    """

    score: float
    se: float
    low: float
    high: float
    failure: str = ""


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
        The value is unknown, a setting cannot be used, or the judge does not go with the estimator.
    """

    def __init__(
        self, theory: str, value: str, judge: Any = "embedding", estimator: str = "regression", **settings: Any
    ) -> None:
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

    def scores(self, said: Sequence[Said]) -> list[TextScore]:
        """Score N texts as one batch; those that cannot be scored say why.

        Raises
        ------
        InputError
            The anchors cannot be used, or there are too few.
        """
        frame, failures = _usable(said)
        found = [_without_score(failures.get(place, "")) for place in range(len(said))]
        if frame.empty:
            return found
        result = self._evaluate(frame)
        reasons = self._reasons(result)
        columns = [f"{self.value}_{name}" for name in ("score", "se", "low", "high")]
        figures = result.scores[columns].to_numpy(dtype=float).tolist()
        for place, text, (score, se, low, high) in zip(frame["place"], frame["response"], figures, strict=True):
            found[place] = _without_score(reasons(text)) if math.isnan(score) else TextScore(score, se, low, high)
        return found

    def figures(self, said: Sequence[Said]) -> dict[str, float]:
        """Return `FIGURES` of N texts, NaN where there is none; texts without a score do not count."""
        frame, _ = _usable(said)
        summary: Mapping[str, Any] = {} if frame.empty else self._evaluate(frame).summary
        return {name: float("nan") if summary.get(name) is None else float(summary[name]) for name in FIGURES}

    def _evaluate(self, frame: pd.DataFrame) -> Evaluation:
        settings = {**dict(self._settings), "responses": frame[["query", "dataset", "response"]]}
        with _ONE_AT_A_TIME:
            return evaluate_responses(**settings)

    def _reasons(self, result: Evaluation) -> "_Reasons":
        check = result.summary["judge_check"]
        if self._settings.judge_check and not check["scored"] and check["passed"] is False:
            return _Reasons(f"the judge is not shown to order the anchors of {self.value} (z = {check['z']:.1f})", {})
        texts = result.text_scores
        told = {} if texts is None else dict(zip(texts["text"], texts["failure"], strict=True))
        return _Reasons("the judge ranked none of its windows", told)


@dataclass(frozen=True)
class _Reasons:
    """Why texts have no score: what a judge said of a text, else one reason for all."""

    common: str
    told: Mapping[str, str]

    def __call__(self, text: str) -> str:
        return self.told.get(text) or self.common


def _without_score(failure: str) -> TextScore:
    nothing = float("nan")
    return TextScore(nothing, nothing, nothing, nothing, failure)


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
