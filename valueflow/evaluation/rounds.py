"""Judging in rounds: after each, every response that goes on meets the anchors that tell most about it."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.interim import UTILITIES, interim
from valueflow.evaluation.saving import AdaptiveFigures, adaptive_figures
from valueflow.evaluation.windows import draw_anchors, window_draws
from valueflow.judge import Criterion, Judge, Progress, RankedWindows, Windows
from valueflow.plackett_luce import choose_anchors
from valueflow.run import Run
from valueflow.vidb import AdaptiveSampling, Anchors, check_count


def judge_in_rounds(
    judge: Judge,
    criterion: Criterion,
    keys: npt.NDArray[np.uint64],
    texts: npt.NDArray[np.object_],
    anchors: Anchors,
    sampling: AdaptiveSampling,
    *,
    k: int,
    m: int,
    response_position: Literal["random", "first"],
    run: Run,
    progress: Progress,
    own: npt.NDArray[np.int64] | None = None,
) -> tuple[Windows, RankedWindows, AdaptiveFigures]:
    """Draw windows and have them ranked, a window of each response that goes on in one batch for the judge.

    Parameters
    ----------
    judge, criterion
        Who ranks, by which value.
    keys, texts
        (N,) key (`response_keys`) and text of each response.
    anchors, sampling
        The value's anchors, how the first ones are drawn and when a response stops.
    k, m, response_position
        Items per window, most windows per response, and as in `build_windows`.
    run
        Where the seconds of `windows` and `judge` are added up.
    progress
        Told of every response that is done, and of every ranking that failed.
    own
        (N,) as in `build_windows`.

    Returns
    -------
    Windows, RankedWindows, AdaptiveFigures
        Round after round, within a round in the order of the keys: neither the order of the rows nor the size of the
        judge's batches changes what a judge sees. A window that the judge failed on counts toward `m`.
    """
    check_count(anchors, k - 1)
    rows = going = np.argsort(keys, kind="stable")
    report = _Report(progress, "windows" if judge.rankings_per_window == 1 else "rankings")
    asked: list[Windows] = []
    answers: list[RankedWindows] = []
    answered, reached = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.bool_)
    uniforms, prompt_order = window_draws(keys[going], 0, k, response_position)
    drawn = draw_anchors(anchors, sampling, uniforms, None if own is None else own[going])
    met = np.empty((len(going), 0), dtype=np.int64)
    for number in range(m):
        windows = Windows(going, drawn, prompt_order, texts, anchors)
        report.begin(number + 1)
        with run.stage("judge"):
            ranked = judge.rank(criterion, windows, report.ranked)
        with run.stage("windows"):
            asked.append(windows)
            answers.append(ranked)
            answered[np.unique(ranked.responses[ranked.ranked])] += 1
            known = interim(RankedWindows.joined(answers), going, anchors)
            uniforms, prompt_order = window_draws(keys[going], number + 1, k, response_position)
            met = np.hstack([met, drawn])
            choice = choose_anchors(
                known.posterior,
                UTILITIES,
                known.places,
                known.discriminations,
                met,
                uniforms,
                lapse_rates=known.lapse_rates,
                repeat_factor=sampling.repeat_factor,
                left_out=None if own is None else own[going],
            )
            sd = known.sd
            reached[going] = sampling.is_reached(sd, known.misreading)
            enough = reached[going] | sampling.is_exhausted(sd, choice.information)
            goes_on = ~enough | (answered[going] < sampling.min_windows)
            report.done(int((~goes_on).sum()))
            going, drawn, prompt_order, met = (array[goes_on] for array in (going, choice.anchors, prompt_order, met))
        if not len(going):
            break
    report.done(len(going))
    with run.stage("windows"):
        joined = RankedWindows.joined(answers)
        figures = adaptive_figures(
            joined,
            rows,
            keys,
            anchors,
            sampling,
            k=k,
            rounds=len(asked),
            reached=int(reached.sum()),
            stopped_at_most=int((~reached[going]).sum()),
        )
    return Windows.joined(asked), joined, figures


class _Report:
    """Turns rankings into progress by responses."""

    def __init__(self, progress: Progress, unit: str) -> None:
        self._progress, self._unit = progress, unit
        self._asked = self._round = 0
        self._note = ""

    def begin(self, number: int) -> None:
        self._round = number

    def ranked(self, done: int, failed: int, note: str = "") -> None:
        self._asked += done
        so_far = f"{self._asked:,} {self._unit}, round {self._round}"
        self._note = f"{so_far}: {note}" if note else so_far
        self._progress(0, failed, self._note)

    def done(self, responses: int) -> None:
        self._progress(responses, 0, self._note)
