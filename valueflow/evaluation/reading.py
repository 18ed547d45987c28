"""Responses and anchors as a judge reads them, one by one: for estimators that need no windows."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.settings import EvaluationSettings
from valueflow.judge import Criterion, TextJudge, TextUtilities, summed_report
from valueflow.run import InputError, Run, progress_bar
from valueflow.vidb import BucketSampling


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
    def report(self) -> dict[str, object]:
        """What judging took, as `RankedWindows.report`."""
        return summed_report([self.responses.report, self.anchors[-1].report])

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
