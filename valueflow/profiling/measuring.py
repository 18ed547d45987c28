"""How strongly texts express a value: one batch for a judge and a value, whoever said the texts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation import (
    JudgeFit,
    Scores,
    WindowSettings,
    build_windows,
    fit_judges,
    judge_responses,
    score_windows,
)
from valueflow.judge import Cost, Criterion, RankedWindows, cost_of
from valueflow.run import Run
from valueflow.vidb import AdaptiveSampling, Anchors, BucketSampling

_TEXTS_FOR_COST = 1_000
"""Texts whose windows are worded to estimate tokens; those of more texts are taken to be as long."""


@dataclass(frozen=True, eq=False)
class MeasuredValue:
    """The texts that bear on a value, as a judge sees them.

    Attributes
    ----------
    texts
        (N,) which of the run's texts, ascending.
    ranked
        Rankings; their responses are places in `texts`.
    fits
        What is known of the judges.
    scores
        Of the N texts.
    """

    texts: npt.NDArray[np.int64]
    ranked: RankedWindows
    fits: tuple[JudgeFit, ...]
    scores: Scores


def measure_value(
    settings: WindowSettings,
    criterion: Criterion,
    anchors: Anchors,
    chosen: npt.NDArray[np.int64],
    texts: npt.NDArray[np.object_],
    keys: npt.NDArray[np.uint64],
    run: Run,
    *,
    judge_check: bool,
) -> MeasuredValue:
    """Have texts ranked among a value's anchors, and score them.

    Parameters
    ----------
    chosen
        (N,) which of the texts bear on the value.
    texts, keys
        (T,) all texts, no two equal, and the keys that decide their draws.
    judge_check
        Whether there are no scores where the judge is not shown to order the anchors.
    """
    ranked = judge_responses(settings, criterion, keys[chosen], texts[chosen], anchors, run).ranked
    with run.stage("score"):
        fits = fit_judges(ranked)
        scores = score_windows(
            ranked,
            len(chosen),
            estimator="map",
            point="mean",
            solver="newton",
            max_iter=50,
            learning_rate=0.1,
            judge_check=judge_check,
            fits=fits,
        )
    return MeasuredValue(chosen, ranked, fits, scores)


def cost_of_value(
    settings: WindowSettings,
    criterion: Criterion,
    anchors: Anchors,
    texts: npt.NDArray[np.object_],
    keys: npt.NDArray[np.uint64],
) -> Cost:
    """Estimate what judging N texts on a value will cost; adaptive windows at most."""
    known = min(len(texts), _TEXTS_FOR_COST)
    sampling = BucketSampling() if isinstance(settings.sampling, AdaptiveSampling) else settings.sampling
    windows = build_windows(
        keys[:known],
        texts[:known],
        anchors,
        sampling,
        k=settings.k,
        m=settings.m,
        response_position=settings.response_position,
    )
    return cost_of(settings.judge, criterion, windows, settings.m * len(texts), len(texts))
