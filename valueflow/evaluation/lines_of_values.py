"""The lines of several values that turn utilities into intensities, for texts that come some at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.evaluation.anchor_utilities import FloatArray, ReadAnchors
from valueflow.evaluation.judges import BOUNDS
from valueflow.evaluation.predicting import LeftOut, Predictor, regression_figures
from valueflow.evaluation.utility_scores import line_reliability
from valueflow.judge import TextUtilities
from valueflow.run import InputError
from valueflow.theory import Theory
from valueflow.vidb import Vidb


@dataclass(frozen=True, eq=False)
class ValueLine:
    """Intensities of texts on a value by their utilities, as `estimator=regression` scores them.

    Attributes
    ----------
    intercept, slope
        In points, and in points per unit of utility.
    half_width
        Of 90% intervals that rest on what the line misses of anchors (jackknife+), in points, before they end with the
        scale.
    anchors
        How well the value's anchors are predicted, each left out.
    without
        Intercept and slope without an anchor, indexed by the texts of all anchors.
    """

    intercept: float
    slope: float
    half_width: float
    anchors: LeftOut
    without: pd.DataFrame

    def at(self, texts: Sequence[str], utility: FloatArray) -> FloatArray:
        """Return the expected intensities (M,) of texts, within the scale; those of an anchor's text without it."""
        anchor = self.without.index.get_indexer(pd.Index(texts, dtype=object))
        is_anchor = anchor >= 0
        intercept, slope = self.without.to_numpy()[anchor[is_anchor]].T
        found = self.intercept + self.slope * utility
        found[is_anchor] = intercept + slope * utility[is_anchor]
        return np.asarray(np.clip(found, *BOUNDS))


def value_lines(
    read: Sequence[TextUtilities], vidb: Vidb, theory: Theory, values: Sequence[str], *, judge_check: bool
) -> tuple[dict[str, ValueLine], dict[str, str]]:
    """Fit the lines of a theory's values on all anchors.

    Parameters
    ----------
    read
        What the judge says of the anchors of `vidb`, set by set.
    values
        Ids of the values that are asked for.
    judge_check
        Whether there is no line where the judge is not shown to order the anchors.

    Returns
    -------
    lines
        By value, where there is one.
    reasons
        Why there is none, by value.
    """
    lines: dict[str, ValueLine] = {}
    reasons: dict[str, str] = {}
    predictor: Predictor | None = None
    for value in values:
        try:
            anchors = ReadAnchors.of(read, vidb.anchors, vidb.of(theory, value))
        except InputError as error:
            reasons[value] = str(error)
            continue
        if predictor is None:
            predictor = Predictor(anchors)
        # The lines of all values are fitted at once; only which one is asked about differs.
        predictor = predictor.about(anchors.own)
        figures = regression_figures(predictor)
        told = line_reliability(predictor.anchors, figures.value.coverage)
        if not anchors.is_own.any():
            reasons[value] = "the judge could read none of its anchors"
        elif judge_check and told.passed is False:
            reasons[value] = f"the judge was not shown to order its {told.anchors} anchors (z {told.order_z:.1f})"
        else:
            lines[value] = _line(predictor, figures.value)
    return lines, reasons


def _line(predictor: Predictor, left_out: LeftOut) -> ValueLine:
    own = predictor.anchors.own
    line = predictor.lines.line(own)
    return ValueLine(
        intercept=line.intercept,
        slope=line.slope,
        half_width=predictor.half_width(own),
        anchors=left_out,
        without=_by_text(predictor.anchors.texts, line.without),
    )


def _by_text(texts: npt.NDArray[np.object_], without: FloatArray) -> pd.DataFrame:
    """Index intercepts and slopes (A, 2) by texts (A,); of one that is an anchor of several values the last counts."""
    table = pd.DataFrame(np.asarray(without), index=pd.Index(texts, dtype=object), columns=["intercept", "slope"])
    return table[~table.index.duplicated(keep="last")]
