"""Judging in rounds: random ones first, then ones that put texts of near utility together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from valueflow.construction.plan import informed_round, random_rounds
from valueflow.judge import Criterion, Judge, Progress, RankedWindows, Windows, commonest_order
from valueflow.plackett_luce import ItemFit, choose_prior_precision, fit_items
from valueflow.run import InputError, keyed_uniforms, split_keys

IntArray = npt.NDArray[np.intp]

_SALT = np.uint64(0x5851F42D4C957F2D)
"""Keeps draws of prompt orders apart from those of windows, which have the same keys."""

_MIN_RANKINGS = 20
"""Of so many windows, fewer than two in a million unbiased judges would show the same order by chance."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged(RankedWindows):
    """All ranked windows of a run, and the texts in them.

    Attributes
    ----------
    items
        (W, K) texts of each window.
    shown
        (W, K) item numbers of each window, from 1, in the order of its prompt.
    round_of
        (W,) number of the round, from 0.
    reports
        What judging took, a report per batch.
    """

    items: IntArray
    shown: npt.NDArray[np.int64]
    round_of: IntArray
    reports: tuple[Mapping[str, object], ...]

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """(J,) whether a judge answered every window with the same order of the places in its prompt."""
        shares = [self.most_common_share(judge) for judge in range(len(self.judge_names))]
        return np.array([share is not None and share == 1.0 for share in shares], dtype=bool)

    def most_common_share(self, judge: int) -> float | None:
        """Return the share of a judge's rankings that name the places of the prompt in its commonest order."""
        own = (self.judges == judge) & self.ranked
        if own.sum() < _MIN_RANKINGS:
            return None
        return commonest_order(self.orders[own], self.shown[self.windows[own]])[1]

    @property
    def used(self) -> npt.NDArray[np.bool_]:
        """(R,) which rankings count: those that did not fail, of judges that are not constant."""
        return np.asarray(self.ranked & ~self.constant[self.judges], dtype=np.bool_)

    @property
    def rankings(self) -> IntArray:
        """(R', K) texts of each ranking that counts, the most supportive first."""
        used = self.used
        return np.take_along_axis(self.items[self.windows[used]], self.orders[used] - 1, axis=1)

    @property
    def judges_used(self) -> IntArray | None:
        """(R',) judge of each ranking that counts, numbered without gaps; None where there is one."""
        present, judges = np.unique(self.judges[self.used], return_inverse=True)
        return judges if len(present) > 1 else None


def window_keys(keys: npt.NDArray[np.uint64], items: IntArray, round_of: IntArray) -> npt.NDArray[np.uint64]:
    """Return a key for each window (W, K); a window is told by its first text and its round.

    Each text leads at most one window of a round.
    """
    drawn = split_keys(keys[items[:, 0]] ^ _SALT, int(round_of.max(initial=0)) + 1)
    return np.asarray(drawn[np.arange(len(items)), round_of], dtype=np.uint64)


def planned_rounds(keys: npt.NDArray[np.uint64], k: int, random: int) -> tuple[IntArray, IntArray]:
    """Return the windows (W, K) of the random rounds and the round (W,) of each."""
    items = random_rounds(keys, k, range(random))
    return items, (np.arange(len(items)) * k) // len(keys)


def prompt_orders(keys: npt.NDArray[np.uint64], items: IntArray, round_of: IntArray) -> npt.NDArray[np.int64]:
    """Draw the order (W, K) in which each window's items are shown; all orders are equally likely."""
    return np.argsort(keyed_uniforms(window_keys(keys, items, round_of), items.shape[1]), axis=1, kind="stable") + 1


def judge_rounds(
    judge: Judge,
    criterion: Criterion,
    texts: npt.NDArray[np.object_],
    keys: npt.NDArray[np.uint64],
    *,
    k: int,
    m: int,
    random: int,
    prior_precision: float | None,
    progress: Progress,
) -> tuple[Judged, ItemFit]:
    """Have a judge rank texts in m rounds, and fit their utilities.

    Parameters
    ----------
    judge, criterion
        Who ranks, by which value.
    texts, keys
        (N,) different texts and a key for each; what is drawn depends on the keys alone.
    k, m, random
        Texts in a window, rounds, how many of these are random. They are judged in one batch; each further round
        follows the estimates so far.
    prior_precision
        Of the utilities; None: chosen by what the rankings of the random rounds say.
    progress
        Told of every ranking.

    Raises
    ------
    InputError
        No ranking can be used: all windows failed, or every judge always gave the same order.
    """
    items, round_of = planned_rounds(keys, k, random)
    judged = judge_batch(judge, criterion, texts, keys, items, round_of, progress)
    fit = _fitted(judged, len(texts), prior_precision)
    for number in range(random, m):
        items = informed_round(keys, k, fit.utility, fit.standard_error, number)
        further = judge_batch(judge, criterion, texts, keys, items, np.full(len(items), number), progress)
        judged = _joined(judged, further)
        fit = _fitted(judged, len(texts), fit.prior_precision)
    return judged, fit


def judge_batch(
    judge: Judge,
    criterion: Criterion,
    texts: npt.NDArray[np.object_],
    keys: npt.NDArray[np.uint64],
    items: IntArray,
    round_of: IntArray,
    progress: Progress,
) -> Judged:
    """Have a judge rank windows (W, K) of texts that belong to rounds (W,)."""
    order = prompt_orders(keys, items, round_of)
    windows = Windows.among(criterion.theory.name, criterion.value, texts, items, order)
    ranked = judge.rank(criterion, windows, progress)
    return Judged(**vars(ranked), items=items, shown=order, round_of=round_of, reports=(ranked.report,))


def _joined(first: Judged, second: Judged) -> Judged:
    second = replace(second, windows=second.windows + len(first.items))
    arrays = {
        name: np.concatenate([before, getattr(second, name)])
        for name, before in vars(first).items()
        if isinstance(before, np.ndarray)
    }
    return replace(first, **arrays, reports=(*first.reports, *second.reports))  # type: ignore[arg-type]


def _fitted(judged: Judged, n_texts: int, prior_precision: float | None) -> ItemFit:
    if not judged.used.any():
        failed = judged.failures[judged.failures != ""]
        if len(failed) == len(judged.failures):
            raise InputError(f"all {len(failed)} windows failed, the first one: {failed[0]}")
        raise InputError(
            f"the judge named the places of its prompt in the same order in all {int((judged.failures == '').sum())} "
            "windows, whatever texts stood there; take another judge or prompt"
        )
    rankings, judges = judged.rankings, judged.judges_used
    precision = prior_precision
    if precision is None:
        precision = choose_prior_precision(rankings, n_texts, judges=judges, windows=judged.windows[judged.used])
    return fit_items(rankings, n_texts, judges=judges, prior_precision=precision)
