"""From responses and anchors to ranked windows: all at once, or in rounds."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.rounds import judge_in_rounds
from valueflow.evaluation.saving import AdaptiveFigures
from valueflow.evaluation.settings import WindowSettings
from valueflow.evaluation.windows import build_windows
from valueflow.judge import Criterion, RankedWindows, Windows
from valueflow.run import Run, progress_bar
from valueflow.vidb import AdaptiveSampling, Anchors, Vidb

_FEWEST_WORTHWHILE = 3
"""Most windows of a response below which there is next to nothing to adapt."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgedWindows:
    """The windows of a run and their rankings; `adaptive` where they came in rounds."""

    windows: Windows
    ranked: RankedWindows
    adaptive: AdaptiveFigures | None


def judge_responses(
    settings: WindowSettings,
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


def about_judge(settings: WindowSettings, vidb: Vidb, anchors: Anchors) -> dict[str, object]:
    """Return what a summary says of who judged, and by which anchors."""
    about_anchors = {"anchors": len(anchors), "anchors_repeated": vidb.n_repeated, "vidb_sha256": vidb.digest}
    return {**settings.judge.describe(), **about_anchors}
