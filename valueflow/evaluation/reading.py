"""Responses and anchors as a judge reads them, one by one: for estimators that need no windows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation.settings import EvaluationSettings
from valueflow.judge import Criterion, TextJudge, TextUtilities
from valueflow.run import InputError, Run, progress_bar
from valueflow.vidb import Anchors, BucketSampling

TEXT_SCORES_FILE = "text_scores.csv"

RESPONSE, ANCHOR = "response", "anchor"


@dataclass(frozen=True)
class ReadTexts:
    """What a judge says of a run's texts.

    Attributes
    ----------
    responses
        Of the different responses.
    anchors
        Of all anchors, those of each value in one.
    """

    responses: TextUtilities
    anchors: tuple[TextUtilities, ...]

    @property
    def failures(self) -> dict[str, int]:
        """Why texts could not be read, and how many; the most common reason first."""
        reasons = np.concatenate([part.failures for part in (self.responses, *self.anchors)])
        return dict(Counter(reasons[reasons != ""].tolist()).most_common())


def text_judge(settings: EvaluationSettings) -> TextJudge:
    """Return the judge of a run whose estimator needs utilities.

    Raises
    ------
    InputError
        The judge does not read texts one by one, or a setting is about windows, of which there are none.
    """
    estimator = f"estimator={settings.estimator}"
    if settings.rankings is not None:
        raise InputError(f"rankings={settings.rankings}: {estimator} reads texts and no rankings; use estimator=map")
    if settings.calibration is not None:
        raise InputError(
            f"calibration={settings.calibration}: {estimator} learns from all anchors in every run; drop calibration"
        )
    if not isinstance(settings.judge, TextJudge):
        kind = settings.judge.describe().get("kind", type(settings.judge).__name__)
        raise InputError(
            f"judge={kind} only ranks windows and gives no utilities, which {estimator} needs; use judge=embedding or "
            "judge=logprob, or estimator=map"
        )
    if not isinstance(settings.sampling, BucketSampling):
        name = type(settings.sampling).__name__.removesuffix("Sampling").lower()
        raise InputError(f"sampling={name}: {estimator} draws no windows; drop sampling")
    return settings.judge


def read_texts(
    judge: TextJudge, criterion: Criterion, texts: npt.NDArray[np.object_], run: Run, *, shows_bar: bool
) -> ReadTexts:
    """Have the judge read responses (N,) and all anchors, behind a bar; equal responses are read once.

    Responses are read in the order of their texts, so that the order of the rows changes nothing.
    """
    distinct = np.unique(texts).tolist()
    total = len(distinct) + sum(len(anchors) for anchors in criterion.vidb.anchors)
    title = f"{criterion.theory.name}/{criterion.value}"
    with run.stage("judge"), progress_bar(title, total, "texts", enabled=shows_bar) as advance:
        responses = judge.text_utilities(criterion, distinct, advance)
        return ReadTexts(responses, judge.anchor_utilities(criterion, advance))


def text_scores_table(read: ReadTexts, anchors: Sequence[Anchors]) -> pd.DataFrame:
    """Return one row per text and value: what it is, its rating if it is an anchor, its utility, further figures."""
    parts = [_rows(read.responses, RESPONSE, np.full(len(read.responses.texts), np.nan))]
    for own, given in zip(read.anchors, anchors, strict=True):
        rating = dict(zip(given.texts, given.intensities, strict=True))
        parts.append(_rows(own, ANCHOR, np.array([rating[text] for text in own.texts])))
    return pd.concat(parts, ignore_index=True)


def _rows(read: TextUtilities, role: str, rating: npt.NDArray[np.float64]) -> pd.DataFrame:
    identity = {"text": read.texts, "theory": read.theory, "value": read.value, "role": role, "rating": rating}
    return pd.DataFrame({**identity, **read.details, "utility": read.utility, "failure": read.failures})
