"""What a run says of its judges: how they order anchors, how far they misread texts, which places they like.

All of it is learned from the anchors of the windows, whose intensities are known; no further call is made.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from valueflow.judge import RankedWindows, commonest_order
from valueflow.plackett_luce import (
    PlacesFit,
    anchor_kendall_tau,
    check_order,
    fit_places,
    fit_position_effect,
    grid_for,
    log_likelihoods,
    summarize_on_grid,
)
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

BOUNDS = (LOWEST_INTENSITY, HIGHEST_INTENSITY)
INTERVAL_LEVEL = 0.9

LEAST_Z = 2.0
"""A judge counts as ordering the anchors where its score test exceeds this."""

_WINDOWS_FOR_JUDGE = 3_000
"""Windows that a judge is learned from, chosen by their content; where there are more, they add next to nothing."""

_LEAST_WINDOWS_FOR_SAME = 20

_PARTS = 8
"""How often, at most, an anchor is scored as a response, each time from other windows."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """How well a judge knows the anchors.

    Attributes
    ----------
    kendall_tau, kendall_tau_se
        Mean over windows of Kendall's tau-b between its order of the anchors and the known one, and its standard error
        by the jackknife over anchors; NaN with one anchor per window.
    order_z, order_z_over_anchors
        Score test that the judge orders anchors at all, over windows and over anchors (see `check_order`).
    passed
        Whether `order_z` exceeds 2; None where windows hold one anchor, and there is no order to test.
    discrimination
        Slope beta of the judge per scale point; 1 where it cannot be estimated, NaN for a panel as a whole.
    discrimination_se
        Its standard error; NaN where it was not estimated.
    slope_in_ratings
        What beta is where misreading and lapses count as noise: how sharply the judge tells ratings apart in a window;
        1 where it cannot be estimated, NaN for a panel as a whole.
    misreading_sd
        How far, in points, the judge sees anchors from their ratings, always in the same way (see `fit_places`).
    text_misreading_sd
        How far it misreads texts: without what the ratings' own standard errors explain, where the VIDB has them.
    lapse_rate
        Share of its rankings that are lapses: given at random, whatever the texts are. 0 where the anchors' orders do
        not clearly show any, NaN for a panel as a whole.
    source
        Of beta: `estimated`, `pooled` (over the jobs of a sweep), `assumed` (one anchor per window, or equal ones: no
        order to learn from), `one per judge` (a panel: its judges have slopes of their own), or `line` (there are no
        rankings: see `estimator=regression`).
    position_effect, position_effect_se
        Logits that being shown first adds to an item, and the standard error; NaN where prompts' orders are unknown.
    first_places
        Share of windows in which the judge ranks first the item shown first, second and so on; empty where unknown.
    commonest_order, commonest_order_share
        The order of the places in the prompt that the judge gave most often, and its share of windows; empty and NaN
        below 20 windows or where prompts' orders are unknown.
    anchors
        Anchors that the judge ranked.
    calibration_slope
        Anchors scored as responses, from as many windows: slope of their ratings in these scores, 1 where calibrated.
    anchors_covered
        Share of anchors whose rating lies in the 90% interval of that score.
    """

    kendall_tau: float
    kendall_tau_se: float
    order_z: float
    order_z_over_anchors: float
    passed: bool | None
    discrimination: float
    discrimination_se: float
    slope_in_ratings: float
    misreading_sd: float
    text_misreading_sd: float
    lapse_rate: float
    source: Literal["estimated", "pooled", "assumed", "one per judge", "line"]
    position_effect: float
    position_effect_se: float
    first_places: tuple[float, ...]
    commonest_order: tuple[int, ...]
    commonest_order_share: float
    anchors: int
    calibration_slope: float
    anchors_covered: float


@dataclass(frozen=True, eq=False)
class JudgeFit:
    """A judge as scoring needs it.

    Attributes
    ----------
    reliability
        What is told of it.
    places
        (A,) where it sees each anchor, in points; those that it was not fitted on are where they are rated.
    ratings
        (A,) the anchors' intensities, NaN where no window holds that anchor.
    """

    reliability: Reliability
    places: FloatArray
    ratings: FloatArray

    @property
    def counts(self) -> bool:
        """Whether its rankings may be scored: it was not found to order anchors no better than chance."""
        return self.reliability.passed is not False


def with_anchors(windows: RankedWindows) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
    """Return the anchors of windows (R, K-1), and the rating and its error of each (A,), NaN where unknown.

    A rating is unknown where no window holds that anchor.
    """
    if windows.anchors is None:
        ratings, ids = np.unique(windows.intensities, return_inverse=True)
        ids = ids.reshape(windows.intensities.shape)
    else:
        ids = windows.anchors
        ratings = np.full(int(ids.max(initial=-1)) + 1, np.nan)
        ratings[ids] = windows.intensities
    errors = np.full(len(ratings), np.nan)
    if windows.errors is not None:
        errors[ids] = windows.errors
    return ids, ratings, errors


def fit_judges(windows: RankedWindows, *, windows_per_response: int | None = None) -> tuple[JudgeFit, ...]:
    """Learn of each judge from the anchors' orders in all rankings that did not fail.

    Parameters
    ----------
    windows
        All rankings; failed ones are not used.
    windows_per_response
        How many windows an anchor is scored from, where it is scored as a response; None: as many as a response has
        on average.
    """
    ids, ratings, errors = with_anchors(windows)
    if windows_per_response is None:
        n_rows = int(np.count_nonzero(np.bincount(windows.responses))) * len(windows.judge_names)
        windows_per_response = max(round(len(windows) / max(n_rows, 1)), 1)
    fits = []
    for number in range(len(windows.judge_names)):
        own = (windows.judges == number) & windows.ranked
        every = bool(own.all())
        rows = windows if every else windows[own]
        fits.append(_fit_judge(rows, ids if every else ids[own], ratings, errors, windows_per_response))
    return tuple(fits)


def content_keys(windows: RankedWindows) -> npt.NDArray[np.uint64]:
    """Return a number (R,) for what each ranking holds: the same whatever the rows' order, 64 bits of a hash."""
    columns = [*windows.intensities.view(np.uint64).T, *windows.orders.astype(np.uint64).T]
    key = np.zeros(len(windows), dtype=np.uint64)
    for column in columns:
        # The finalizer of SplitMix64.
        key = (key ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key ^= key >> np.uint64(31)
    return key


def _fit_judge(
    own: RankedWindows, ids: npt.NDArray[np.int64], ratings: FloatArray, errors: FloatArray, per_response: int
) -> JudgeFit:
    if len(own) == 0 or not (np.ptp(own.intensities, axis=1) > 0).any():
        return JudgeFit(_assumed(own, len(np.unique(ids))), ratings, ratings)
    # Those with an order to learn come first.
    alike = np.ptp(own.intensities, axis=1) == 0
    chosen = np.lexsort((content_keys(own), alike))[:_WINDOWS_FOR_JUDGE]
    tau = float(np.nanmean(anchor_kendall_tau(own.orders, own.intensities)))
    own, ids = own[chosen], ids[chosen]
    seen, member = np.unique(ids, return_inverse=True)
    local, rated = member.reshape(ids.shape), ratings[seen]
    places_in_window = own.orders[own.orders != 1].reshape(local.shape) - 2
    orders = np.take_along_axis(local, places_in_window, axis=1)
    check, fit = check_order(orders, rated), fit_places(orders, rated)
    variance = fit.misreading_sd**2
    known = errors[seen][~np.isnan(errors[seen])]
    text_sd = float(np.sqrt(max(variance - float(np.mean(known**2)), 0.0))) if len(known) else fit.misreading_sd
    effect, firsts, commonest = _of_positions(own, places_in_window, fit.place[orders])
    slope, covered = _anchors_as_responses(orders, rated, fit, text_sd, per_response)
    places = ratings.copy()
    places[seen] = fit.place
    reliability = Reliability(
        kendall_tau=tau,
        kendall_tau_se=check.agreement_se,
        order_z=check.z,
        order_z_over_anchors=check.z_over_anchors,
        passed=bool(check.z > LEAST_Z),
        discrimination=fit.discrimination,
        discrimination_se=fit.discrimination_se,
        slope_in_ratings=fit.slope_in_ratings,
        misreading_sd=fit.misreading_sd,
        text_misreading_sd=text_sd,
        lapse_rate=fit.lapse_rate,
        source="estimated",
        position_effect=effect[0],
        position_effect_se=effect[1],
        first_places=firsts,
        commonest_order=commonest[0],
        commonest_order_share=commonest[1],
        anchors=len(seen),
        calibration_slope=slope,
        anchors_covered=covered,
    )
    return JudgeFit(reliability, places, ratings)


def _assumed(own: RankedWindows, n_anchors: int) -> Reliability:
    nan = float("nan")
    _, firsts, commonest = _of_positions(own, None, None)
    return Reliability(
        kendall_tau=nan,
        kendall_tau_se=nan,
        order_z=nan,
        order_z_over_anchors=nan,
        passed=None,
        discrimination=1.0,
        discrimination_se=nan,
        slope_in_ratings=1.0,
        misreading_sd=0.0,
        text_misreading_sd=0.0,
        lapse_rate=0.0,
        source="assumed",
        position_effect=nan,
        position_effect_se=nan,
        first_places=firsts,
        commonest_order=commonest[0],
        commonest_order_share=commonest[1],
        anchors=n_anchors,
        calibration_slope=nan,
        anchors_covered=nan,
    )


def _of_positions(
    own: RankedWindows, places_in_window: npt.NDArray[np.int64] | None, places: FloatArray | None
) -> tuple[tuple[float, float], tuple[float, ...], tuple[tuple[int, ...], float]]:
    """Return the position effect with its error, shares of first places, and the commonest order with its share."""
    nothing = (float("nan"), float("nan"))
    if own.prompt_order is None or len(own) == 0 or not own.prompt_order.all():
        return nothing, (), ((), float("nan"))
    k = own.orders.shape[1]
    place_of = np.argsort(own.prompt_order, axis=1)
    ranked_first = np.take_along_axis(place_of, own.orders[:, :1] - 1, axis=1).ravel()
    firsts = tuple((np.bincount(ranked_first, minlength=k) / len(own)).tolist())
    order, share = commonest_order(own.orders, own.prompt_order)
    commonest = (tuple(order), share) if len(own) >= _LEAST_WINDOWS_FOR_SAME else ((), float("nan"))
    effect = None
    if places_in_window is not None and places is not None:
        effect = fit_position_effect(places, places_in_window + 2 == own.prompt_order[:, :1])
    return (effect.logits, effect.standard_error) if effect else nothing, firsts, commonest


def _anchors_as_responses(
    orders: npt.NDArray[np.int64],
    ratings: FloatArray,
    fit: PlacesFit,
    misreading_sd: float,
    per_response: int,
) -> tuple[float, float]:
    """Score anchors from the first few windows they are in; return the calibration slope and the share covered."""
    j = orders.shape[1]
    flat = orders.ravel()
    by_anchor = np.argsort(flat, kind="stable")
    counts = np.bincount(flat, minlength=len(ratings))
    number = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    # An anchor is scored from its first windows, again from the next ones, and so on; a last, smaller part is left out.
    part = number // per_response
    whole = part < np.minimum(np.maximum(counts // per_response, 1), _PARTS)[flat[by_anchor]]
    cells = by_anchor[whole]
    window, place = np.divmod(cells, j)
    scored, member = np.unique(flat[cells] * _PARTS + part[whole], return_inverse=True)
    # The anchor becomes item 1, the others items 2, 3, ... in the order in which the judge put them.
    columns, place = np.arange(j), place[:, None]
    others = np.take_along_axis(orders[window], columns[:-1] + (columns[:-1] >= place), axis=1)
    rankings = np.where(columns == place, 1, columns + 2 - (columns > place))
    grid = grid_for(BOUNDS, fit.discrimination, per_response * (j - 1))
    logs = log_likelihoods(
        rankings,
        fit.place[others],
        member,
        len(scored),
        grid,
        discrimination=fit.discrimination,
        misreading_sd=misreading_sd,
        lapse_rate=fit.lapse_rate,
    )
    mean, _, low, high = summarize_on_grid(logs, grid, level=INTERVAL_LEVEL)
    rating = ratings[scored // _PARTS]
    weight = 1 / np.bincount(scored // _PARTS, minlength=len(ratings))[scored // _PARTS]
    weight /= weight.sum()
    covered = float(weight @ ((low <= rating) & (rating <= high)))
    away = mean - weight @ mean
    spread = float(weight @ away**2)
    slope = float(weight @ (away * rating) / spread) if len(ratings) > 2 and spread > 0 else float("nan")
    return slope, covered
