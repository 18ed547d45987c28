"""Predictions of intensities from utilities, with intervals, and how good they are on anchors that are left out."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.anchor_utilities import FloatArray, ReadAnchors
from valueflow.evaluation.judges import BOUNDS, INTERVAL_LEVEL
from valueflow.statistics import fit_lines, jackknife_plus, order_agreement, shrunk_scales

ENOUGH_OF_ONE_VALUE = 100
"""Anchors of a value from which its intervals rest on its own anchors alone."""


@dataclass(frozen=True)
class LeftOut:
    """How well anchors are predicted, each left out, and every copy of its text.

    Attributes
    ----------
    anchors
        Their number.
    spearman, pairwise
        Of utilities with ratings: rank correlation, and share of pairs in the right order. Of several values the means
        over values.
    rmse
        Root mean squared difference of predictions from ratings, in points.
    half_width
        Mean half width of 90% intervals, before they end with the scale.
    coverage
        Share of 90% intervals that hold the rating.
    wrong_side
        Share of predictions on the wrong side of 0, of anchors whose rating is not 0.
    """

    anchors: int
    spearman: float
    pairwise: float
    rmse: float
    half_width: float
    coverage: float
    wrong_side: float


@dataclass(frozen=True)
class RegressionFigures:
    """What a run says of its lines.

    Attributes
    ----------
    intercept, slope
        Of the line that gives the scores, in points and points per unit of utility.
    intercept_sd, slope_sd
        Standard deviations over values of the lines of all values; 0 where one line serves all.
    residual_sd, residual_sd_freedom
        Of all values, and the degrees of freedom that it is worth beside a value's own residuals.
    value, all_values
        How well anchors are predicted: those of this value, and all.
    """

    intercept: float
    slope: float
    intercept_sd: float
    slope_sd: float
    residual_sd: float
    residual_sd_freedom: float
    value: LeftOut
    all_values: LeftOut


class Predictor:
    """Predicts intensities from utilities, with 90% intervals.

    An interval is that of the jackknife+: a text of the value's own anchors lies in it about as often as the level says
    where it is exchangeable with them, and surely in 80% of cases, whatever the distribution. With fewer than
    `ENOUGH_OF_ONE_VALUE` anchors of the value, the residuals of all values enter, in units of their value's standard
    deviation, which is shrunk toward that of all; this holds over values, and for one value as far as the shapes of
    the distributions are alike. docs/method.md has what was measured.
    """

    def __init__(self, anchors: ReadAnchors, ratios: FloatArray | None = None) -> None:
        self.anchors = anchors
        self.lines = fit_lines(anchors.utility, anchors.rating, anchors.value, anchors.text, ratios)
        self.scales = shrunk_scales(self.lines.left_out, anchors.value)

    def scale(self, value: int) -> float:
        """Return the standard deviation of a value's residuals."""
        return float(self.scales.own[value]) if value < len(self.scales.own) else self.scales.common

    def half_widths(self, value: int) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        """Return which anchors an interval of a value rests on, (A,), and how far these would lie from its line."""
        is_own = self.anchors.value == value
        in_points = np.where(is_own, 1.0, self.scale(value) / self.scales.without)
        used = is_own if is_own.sum() >= ENOUGH_OF_ONE_VALUE else np.ones_like(is_own)
        return used, np.abs(self.lines.left_out * in_points)[used]

    def half_width(self, value: int) -> float:
        """Return the half width of a value's intervals where leaving out one anchor does not move the line."""
        _, half_widths = self.half_widths(value)
        rank = min(int(np.ceil(INTERVAL_LEVEL * (len(half_widths) + 1) - 1e-9)), len(half_widths))
        return float(np.partition(half_widths, rank - 1)[rank - 1])

    def predict(self, utility: FloatArray, value: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the expected intensities (M,) of texts on a value, and their intervals, all within the scale."""
        line = self.lines.line(value)
        used, half_widths = self.half_widths(value)
        low, high = jackknife_plus(utility, line.without[used], half_widths, INTERVAL_LEVEL)
        return np.clip(line.at(utility), *BOUNDS), np.clip(low, *BOUNDS), np.clip(high, *BOUNDS)

    def about(self, own: int) -> "Predictor":
        """Return the same predictor, asked about another value, by its number."""
        found = copy(self)
        found.anchors = replace(self.anchors, own=own)
        return found

    def without(self, text: str) -> "Predictor":
        """Return a predictor that has not seen a text, with the same ratios of variances."""
        rest = self.anchors[self.anchors.texts != text]
        return Predictor(rest, self.lines.ratios)


def regression_figures(predictor: Predictor) -> RegressionFigures:
    """Return what a run says of its lines and of how well they predict anchors."""
    anchors, lines = predictor.anchors, predictor.lines
    half_width = np.empty(len(anchors))
    for value in np.unique(anchors.value):
        half_width[anchors.value == value] = predictor.half_width(int(value))
    line = lines.line(anchors.own)
    intercept_sd, slope_sd = np.sqrt(lines.ratios) * lines.noise_sd
    return RegressionFigures(
        intercept=line.intercept,
        slope=line.slope,
        intercept_sd=float(intercept_sd),
        slope_sd=float(slope_sd / (anchors.utility.std() or 1.0)),
        residual_sd=predictor.scales.common,
        residual_sd_freedom=predictor.scales.freedom,
        value=_left_out(anchors[anchors.is_own], lines.left_out[anchors.is_own], half_width[anchors.is_own]),
        all_values=_left_out(anchors, lines.left_out, half_width),
    )


def _left_out(anchors: ReadAnchors, residual: FloatArray, half_width: FloatArray) -> LeftOut:
    if len(anchors) == 0:
        nan = float("nan")
        return LeftOut(0, nan, nan, nan, nan, nan, nan)
    groups = [anchors.value == value for value in np.unique(anchors.value)]
    orders = [order_agreement(anchors.utility[group], anchors.rating[group]) for group in groups]
    known = [order for order in orders if np.isfinite(order.tau)]
    predicted = np.clip(anchors.rating - residual, *BOUNDS)
    sided = anchors.rating != 0
    return LeftOut(
        anchors=len(anchors),
        spearman=_mean([order.spearman for order in known]),
        pairwise=_mean([order.pairwise for order in known]),
        rmse=float(np.sqrt(np.mean((predicted - anchors.rating) ** 2))),
        half_width=float(half_width.mean()),
        coverage=float(np.mean(np.abs(residual) <= half_width)),
        wrong_side=_mean((predicted[sided] * anchors.rating[sided] <= 0).tolist()),
    )


def _mean(figures: Sequence[float]) -> float:
    return float(np.mean(figures)) if len(figures) else float("nan")
