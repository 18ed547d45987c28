"""The mean of a run, from the utilities of its responses and what the anchors tell of the judge."""

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from valueflow.evaluation.anchor_utilities import FloatArray, IntArray, ReadAnchors
from valueflow.evaluation.judges import BOUNDS
from valueflow.evaluation.mean import CONFIDENCE, AnchorLine, MeanEstimate, without_mean
from valueflow.statistics import FEWEST_FOR_LINE, fit_lines


def mean_from_utilities(
    utility: FloatArray, scored: npt.NDArray[np.bool_], clusters: IntArray, anchors: ReadAnchors
) -> tuple[MeanEstimate, AnchorLine]:
    """Estimate the mean intensity of the population that responses are drawn from.

    With the judge's line of utilities in ratings, ``u = c + d r``, the mean is ``(mean utility - c) / d``, cut to the
    scale.

    Parameters
    ----------
    utility, clusters
        (N,) of responses.
    scored
        (N,) which of them count.
    anchors
        Of all values, none of them a response.

    Returns
    -------
    MeanEstimate
        Its interval holds all r for which ``(mean - r)^2`` is at most the sum of two variances, each times the square
        of a quantile of Student's t: that of the responses, clustered by query, for one degree of freedom less than
        there are queries, and that of the line at r, for two less than there are anchors. The latter counts how far
        the value's own line may lie from the one estimated. Where d may well be 0 this is the whole scale.
    AnchorLine
        The part of the line.

    References
    ----------
    Eisenhart, C. (1939). The interpretation of certain regression methods and their use in biological and industrial
    research. Annals of Mathematical Statistics 10. Fieller, E. C. (1954). Some problems in interval estimation. Journal
    of the Royal Statistical Society B 16.
    """
    nothing = without_mean(len(utility)), AnchorLine(0, float("nan"), 0.0, 0.0)
    if not scored.any() or len(anchors) < FEWEST_FOR_LINE:
        return nothing
    lines = fit_lines(anchors.rating, anchors.utility, anchors.value, anchors.text)
    line = lines.line(anchors.own)
    if line.slope == 0:
        return nothing
    # Sums are taken in this order, so that the order of the rows changes not even the last digit.
    rows = np.flatnonzero(scored)[np.argsort(utility[scored])]
    known = utility[rows]
    center = float(known.mean())
    mean = (center - line.intercept) / line.slope
    influence = (known - center) / (len(known) * line.slope)
    sums = np.sort(np.bincount(np.unique(clusters[rows], return_inverse=True)[1], influence))
    g = len(sums)
    responses = float(g / (g - 1) * (sums @ sums)) if g > 1 else float("nan")
    support = _support(line.covariance, line.slope, lines.noise_sd)
    within = float(np.clip(mean, *BOUNDS))
    anchors_variance = support.variance_at(within)
    low, high = float("nan"), float("nan")
    if g > 1:
        quantiles = stdtrit(np.array([g - 1.0, len(anchors) - 2.0]), (1 + CONFIDENCE) / 2)
        low, high = _fieller(mean, float(quantiles[0] ** 2) * responses, support, float(quantiles[1]))
    every = np.full(len(utility), np.nan)
    every[rows] = influence
    spread = float(known.var()) - lines.noise_sd**2
    return (
        MeanEstimate(
            mean=within,
            se=float(np.sqrt(responses + anchors_variance)),
            low=low,
            high=high,
            population_sd=float(np.sqrt(max(spread, 0.0)) / abs(line.slope)),
            clusters=g,
            responses_se=float(np.sqrt(responses)),
            beta_se=0.0,
            anchors_se=float(np.sqrt(anchors_variance)),
            beta_shift=0.0,
            influence=every,
        ),
        support,
    )


def _support(covariance: FloatArray, slope: float, noise_sd: float) -> AnchorLine:
    """Return a line's errors in the form of those of a line through n anchors: ``s^2 (1 / n + (m - r)^2 / S)``."""
    (of_intercept, both), (_, of_slope) = covariance / slope**2
    misreading = noise_sd / abs(slope)
    if of_slope <= 0 or misreading == 0:
        return AnchorLine(0, float("nan"), 0.0, 0.0)
    least = of_intercept - both**2 / of_slope
    return AnchorLine(
        n=misreading**2 / least,
        mean=-both / of_slope,
        sum_of_squares=misreading**2 / of_slope,
        misreading_sd=misreading,
    )


def _fieller(mean: float, responses: float, support: AnchorLine, quantile: float) -> tuple[float, float]:
    """Return the ends, within the scale, of all r with (mean - r)^2 <= responses + q^2 (the line's variance at r)."""
    at = support.mean if support.n else 0.0
    slope = support.misreading_sd**2 / support.sum_of_squares if support.n else 0.0
    least = responses + quantile**2 * support.variance_at(at)
    # In d = r - at: a d^2 - 2 away d + away^2 - least <= 0.
    a, away = 1 - quantile**2 * slope, mean - at
    if a <= 0:
        return BOUNDS
    half = np.sqrt(max(away**2 - a * (away**2 - least), 0.0)) / a
    low, high = np.clip([at + away / a - half, at + away / a + half], *BOUNDS)
    return float(low), float(high)
