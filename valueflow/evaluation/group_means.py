"""The means of several groups of texts that one judge ranked: texts are judged once, whoever said them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.judges import JudgeFit, with_anchors
from valueflow.evaluation.likelihoods import judges_of, likelihoods_of, places_of_anchors
from valueflow.evaluation.mean import AnchorLine, MeanEstimate, anchor_line, estimate_mean, without_mean
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import HIGHEST_DISCRIMINATION, Grid, fit_population

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Likelihoods = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sayings:
    """Who said which text: R rows, each one text of one group.

    Attributes
    ----------
    texts
        (R,) numbers of the texts; a text may stand in several rows.
    groups
        (R,) numbers of the groups.
    n_groups
        Number of the groups; some may have no row.
    clusters
        (R,) numbers of what rows are taken together by, such as persons or queries.
    weights
        (R,) how much each row counts; None: all alike.
    """

    texts: IntArray
    groups: IntArray
    n_groups: int
    clusters: IntArray
    weights: FloatArray | None = None


@dataclass(frozen=True)
class GroupMeans:
    """The mean of each group.

    Attributes
    ----------
    means
        One a group; the influences are those of its rows, in their order.
    rows
        (R,) the rows' numbers, group by group, as the influences have them.
    line
        Of the anchors, by which all means are uncertain together.
    """

    means: tuple[MeanEstimate, ...]
    rows: IntArray
    line: AnchorLine


def means_by_group(
    windows: RankedWindows, n_texts: int, fits: Sequence[JudgeFit], sayings: Sayings, *, judge_check: bool = True
) -> GroupMeans:
    """Estimate the mean of each group by marginal maximum likelihood (see `estimate_mean`).

    Parameters
    ----------
    windows
        All rankings of N texts; failed ones are not used.
    n_texts
        N.
    fits
        What is known of the judges.
    sayings
        Who said which text.
    judge_check
        Whether judges that do not order the anchors are left out; where none is left there are no means.
    """
    order = np.argsort(sayings.groups, kind="stable")
    bounds = np.searchsorted(sayings.groups[order], np.arange(sayings.n_groups + 1))
    parts = [order[start:stop] for start, stop in pairwise(bounds)]
    counting = np.array([fit.counts or not judge_check for fit in fits])
    used = windows[windows.ranked & counting[windows.judges]]
    line = anchor_line([fits[number] for number in judges_of(used)])
    if len(used) == 0:
        return GroupMeans(tuple(without_mean(len(part)) for part in parts), order, line)
    scored = np.bincount(used.responses, minlength=n_texts) > 0
    places = places_of_anchors(used, with_anchors(used)[0], fits)
    logs, grid = likelihoods_of(used, places, n_texts, fits)
    np.exp(logs, out=logs)
    moved = _moved(used, places, n_texts, fits)
    means = []
    for rows in parts:
        texts = sayings.texts[rows]
        weights = None if sayings.weights is None else sayings.weights[rows]
        shifts = [_shift(pair, texts, scored[texts], weights) for pair in moved]
        found = estimate_mean(logs[texts], grid, scored[texts], sayings.clusters[rows], line, shifts, weights)
        means.append(found)
    return GroupMeans(tuple(means), order, line)


def _moved(
    ranked: RankedWindows, places: FloatArray, n: int, fits: Sequence[JudgeFit]
) -> list[tuple[tuple[Likelihoods, Grid], tuple[Likelihoods, Grid]]]:
    """Return the likelihoods with each judge's beta one standard error up and down, of judges that have one."""
    betas = [fit.reliability.discrimination for fit in fits]
    moved = []
    for number in judges_of(ranked):
        beta, error = betas[number], fits[number].reliability.discrimination_se
        if np.isnan(error):
            continue
        pair = []
        for other in (min(beta * np.exp(error / beta), HIGHEST_DISCRIMINATION), beta * np.exp(-error / beta)):
            logs, grid = likelihoods_of(ranked, places, n, fits, [*betas[:number], other, *betas[number + 1 :]])
            pair.append((np.exp(logs, out=logs), grid))
        moved.append((pair[0], pair[1]))
    return moved


def _shift(
    pair: tuple[tuple[Likelihoods, Grid], tuple[Likelihoods, Grid]],
    texts: IntArray,
    scored: npt.NDArray[np.bool_],
    weights: FloatArray | None,
) -> float:
    """Return the change of a group's mean when a judge's beta rises by one standard error."""
    counted = scored if weights is None else scored & (weights > 0)
    if not counted.any():
        return 0.0
    own = None if weights is None else weights[counted]
    up, down = (fit_population(logs[texts[counted]], grid, own).mean for logs, grid in pair)
    return (up - down) / 2
