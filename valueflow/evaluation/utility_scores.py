"""From utilities to scores: `estimator=regression`, for judges that read texts one by one.

Two lines are fitted on the anchors of all values, each shrunk per value toward the line of all (see `Lines`):

- of ratings in utilities, which predicts the intensity of a text and so gives the scores. Such predictions are drawn
  toward the middle of the anchors, the more, the less the judge knows;
- of utilities in ratings, which says how the judge sees a text of a known intensity. Turned around, it gives the mean
  of a run, which is drawn nowhere: where all responses are at 8, so is their mean, whatever the judge misreads.
"""

import numpy as np
import numpy.typing as npt

from valueflow.evaluation.anchor_utilities import FloatArray, IntArray, ReadAnchors
from valueflow.evaluation.judges import LEAST_Z, Reliability
from valueflow.evaluation.mean_of_utilities import mean_from_utilities
from valueflow.evaluation.predicting import Predictor, RegressionFigures, regression_figures
from valueflow.evaluation.scoring import Scores
from valueflow.statistics import fit_lines, order_agreement


def score_utilities(
    texts: npt.NDArray[np.object_],
    utility: FloatArray,
    anchors: ReadAnchors,
    clusters: IntArray,
    *,
    judge_check: bool = True,
) -> tuple[Scores, RegressionFigures]:
    """Score responses from their utilities.

    Parameters
    ----------
    texts, utility
        (N,) of the responses; utilities are NaN where the judge failed.
    anchors
        Of all values.
    clusters
        (N,) number of each response's query, for the interval of the mean.
    judge_check
        Whether there are no scores where the judge is not shown to order the anchors.
    """
    predictor = Predictor(anchors)
    figures = regression_figures(predictor)
    reliability = line_reliability(anchors, figures.value.coverage)
    scored = np.isfinite(utility) & (not judge_check or reliability.passed is not False)
    columns = np.full((4, len(texts)), np.nan)
    columns[:3, scored] = _predicted(predictor, texts[scored], utility[scored])
    columns[3, scored] = predictor.scale(anchors.own)
    score, low, high, se = columns
    # Of responses that are anchors, the judge's line may not know the ratings.
    responses = set(texts.tolist())
    is_fresh = np.array([text not in responses for text in anchors.texts], dtype=np.bool_)
    mean, line = mean_from_utilities(utility, scored, clusters, anchors[is_fresh])
    n = len(texts)
    none, no = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    nothing = np.full(n, np.nan)
    scores = Scores(score, se, low, high, none, none, no, nothing, no, no, mean, line, reliability, (), None)
    return scores, figures


def _predicted(predictor: Predictor, texts: npt.NDArray[np.object_], utility: FloatArray) -> FloatArray:
    """Return score, low and high (3, N); those of a response that is an anchor by a predictor without its text."""
    own = predictor.anchors.own
    found = np.array(predictor.predict(utility, own))
    for text in sorted(set(predictor.anchors.texts) & set(texts)):
        copies = np.flatnonzero(texts == text)
        found[:, copies] = np.array(predictor.without(text).predict(utility[copies], own))
    return found


def line_reliability(anchors: ReadAnchors, covered: float) -> Reliability:
    """Return what the anchors tell of the judge on the value that is scored.

    Parameters
    ----------
    anchors
        Of all values.
    covered
        Share of intervals of the value's anchors that hold their rating.
    """
    nan = float("nan")
    own = anchors.is_own
    order = order_agreement(anchors.utility[own], anchors.rating[own])
    seen = fit_lines(anchors.rating, anchors.utility, anchors.value, anchors.text)
    line = seen.line(anchors.own)
    error = float(np.sqrt(line.covariance[1, 1]))
    # Utilities that lie on the line leave no error.
    z = line.slope / error if error > 0 else float(np.copysign(np.inf, line.slope)) if line.slope else nan
    misreading = seen.noise_sd / abs(line.slope) if line.slope else nan
    return Reliability(
        kendall_tau=order.tau,
        kendall_tau_se=nan,
        order_z=z,
        order_z_over_anchors=order.z,
        passed=bool(z > LEAST_Z),
        discrimination=nan,
        discrimination_se=nan,
        slope_in_ratings=nan,
        misreading_sd=misreading,
        text_misreading_sd=misreading,
        lapse_rate=nan,
        source="line",
        position_effect=nan,
        position_effect_se=nan,
        first_places=(),
        commonest_order=(),
        commonest_order_share=nan,
        anchors=int(anchors.is_own.sum()),
        calibration_slope=nan,
        anchors_covered=covered,
    )
