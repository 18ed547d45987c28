"""From responses and anchors to ranked windows: all at once, or in rounds."""

import logging
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.rounds import judge_in_rounds
from valueflow.evaluation.saving import AdaptiveFigures
from valueflow.evaluation.settings import EvaluationSettings
from valueflow.evaluation.windows import build_windows
from valueflow.judge import Criterion, RankedWindows, Windows
from valueflow.run import Run, progress_bar
from valueflow.vidb import AdaptiveSampling, Anchors, Vidb

_FEWEST_WORTHWHILE = 3
"""Most windows of a response below which there is next to nothing to adapt."""

_ASCENT_NEEDED = 100.0
"""Iterations times step times information after which nearly all responses have converged by plain ascent, as simulated
with discriminations from 0.15 to 1 (docs/method.md)."""

_USUAL_DISCRIMINATION = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgedWindows:
    """The windows of a run and their rankings; `adaptive` where they came in rounds."""

    windows: Windows
    ranked: RankedWindows
    adaptive: AdaptiveFigures | None


def judge_responses(
    settings: EvaluationSettings,
    criterion: Criterion,
    keys: npt.NDArray[np.uint64],
    texts: npt.NDArray[np.object_],
    anchors: Anchors,
    run: Run,
    own: npt.NDArray[np.int64] | None = None,
) -> JudgedWindows:
    """Draw the windows of responses (N,), given their keys and texts, and have the judge rank them behind a bar.

    Where the responses are anchors, `own` (N,) says which: their windows hold others.
    """
    _warn_of_ascent(settings)
    title = f"{criterion.theory.name}/{criterion.value}"
    judge, sampling = settings.judge, settings.sampling
    if isinstance(sampling, AdaptiveSampling):
        if settings.m < _FEWEST_WORTHWHILE:
            _log.warning(
                "sampling=adaptive gives a response at most m=%d windows, the first by buckets: raise m, as m=20",
                settings.m,
            )
        with progress_bar(title, len(keys), "responses", enabled=settings.progress) as advance:
            return JudgedWindows(
                *judge_in_rounds(
                    judge,
                    criterion,
                    keys,
                    texts,
                    anchors,
                    sampling,
                    k=settings.k,
                    m=settings.m,
                    response_position=settings.response_position,
                    run=run,
                    progress=advance,
                    own=own,
                )
            )
    with run.stage("windows"):
        windows = build_windows(
            keys,
            texts,
            anchors,
            sampling,
            k=settings.k,
            m=settings.m,
            response_position=settings.response_position,
            own=own,
        )
    times = judge.rankings_per_window
    steps = "windows" if times == 1 else "rankings"
    with (
        run.stage("judge"),
        progress_bar(title, times * len(windows), steps, enabled=settings.progress) as advance,
    ):
        ranked = judge.rank(criterion, windows, advance)
    return JudgedWindows(windows, ranked, None)


def about_judge(settings: EvaluationSettings, vidb: Vidb, anchors: Anchors) -> dict[str, object]:
    """Return what a summary says of who judged, and by which anchors."""
    about_anchors = {"anchors": len(anchors), "anchors_repeated": vidb.n_repeated, "vidb_sha256": vidb.digest}
    return {**settings.judge.describe(), **about_anchors}


def ascent_iterations(k: int, m: int, learning_rate: float) -> int:
    """Return about how many iterations plain ascent needs for most responses, for a judge of usual discrimination.

    The information of m windows about a response is at most beta^2 m (k - 1) / 4, and each step takes away this much
    times the learning rate of what is left to go.
    """
    information = _USUAL_DISCRIMINATION**2 * m * (k - 1) / 4
    return math.ceil(_ASCENT_NEEDED / (learning_rate * information))


def _warn_of_ascent(settings: EvaluationSettings) -> None:
    """Say before anything is judged, which costs, that the solver will leave most responses without a score."""
    if settings.solver != "ascent" or settings.estimator != "map":
        return
    needed = ascent_iterations(settings.k, settings.m, settings.lr)
    if settings.iter < needed:
        _log.warning(
            "solver=ascent iter=%d lr=%g will not converge for most responses, which then have no score: k=%d and m=%d "
            "take some %s iterations at a discrimination of %g; give iter=%d, or solver=newton",
            *(settings.iter, settings.lr, settings.k, settings.m, f"{needed:,}", _USUAL_DISCRIMINATION, needed),
        )
