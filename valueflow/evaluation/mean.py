"""The mean of a job: that of the population its responses are drawn from, with all that makes it uncertain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from valueflow.evaluation.judges import JudgeFit
from valueflow.plackett_luce import Grid, PopulationFit, fit_population
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

CONFIDENCE = 0.95

FloatArray = npt.NDArray[np.float64]
Likelihoods = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AnchorLine:
    """The anchors as the support of the line from ratings to places, which is known as well as they are many.

    Attributes
    ----------
    n, mean, sum_of_squares
        How many anchors the judges were learned from, their mean rating, and the sum of squares of ratings about it; of
        a line that several values share, what it is worth in anchors of this value.
    misreading_sd
        How far places lie from ratings, in points; of a panel the root mean square over judges, divided by the root of
        their number.
    """

    n: float
    mean: float
    sum_of_squares: float
    misreading_sd: float

    def variance_at(self, mean: float) -> float:
        """Return the variance that the anchors add to a mean: ``sigma^2 (1 / A + (m - r)^2 / S_rr)``."""
        if self.misreading_sd == 0 or self.n == 0:
            return 0.0
        away = (mean - self.mean) ** 2 / self.sum_of_squares if self.sum_of_squares > 0 else 0.0
        return self.misreading_sd**2 * (1 / self.n + away)


@dataclass(frozen=True, eq=False)
class MeanEstimate:
    """The mean of a job.

    Attributes
    ----------
    mean, se, low, high
        Estimate, standard error, and 95% interval within [-10, 10]; NaN where they cannot be had.
    population_sd
        Standard deviation of true intensities over responses.
    clusters
        G, the number of queries; responses without a query are one each.
    responses_se, beta_se, anchors_se
        The parts of the standard error. That of the responses has a floor, by what their windows leave open: where
        all of them beat all anchors, the mean may lie anywhere above these.
    beta_shift
        Change of the mean when beta rises by one standard error; of a panel the root of the sum of squares.
    influence
        (N,) of each response; NaN for one without a score. The variance of the mean over samples of queries is
        ``G / (G - 1) sum_q (sum of the influences in q)^2``.
    """

    mean: float
    se: float
    low: float
    high: float
    population_sd: float
    clusters: int
    responses_se: float
    beta_se: float
    anchors_se: float
    beta_shift: float
    influence: FloatArray


def anchor_line(fits: Sequence[JudgeFit]) -> AnchorLine:
    """Return the line through all anchors that the judges were learned from: the same for all jobs that share them."""
    if not fits:
        return AnchorLine(0, float("nan"), 0.0, 0.0)
    seen = fits[0].ratings[~np.isnan(fits[0].ratings)]
    sigmas = np.array([fit.reliability.misreading_sd for fit in fits])
    mean = float(seen.mean())
    return AnchorLine(len(seen), mean, float(((seen - mean) ** 2).sum()), float(np.linalg.norm(sigmas) / len(sigmas)))


def estimate_mean(
    likelihoods: Likelihoods,
    grid: Grid,
    scored: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64],
    line: AnchorLine,
    shifts: Sequence[float],
    weights: FloatArray | None = None,
) -> MeanEstimate:
    """Estimate the mean over responses by marginal maximum likelihood (see `fit_population`), and its interval.

    Parameters
    ----------
    likelihoods
        (N, G) of each response at the grid's nodes, up to a factor.
    scored
        (N,) which responses count.
    clusters
        (N,) number of each response's query.
    line
        Of the anchors.
    shifts
        For each judge, the change of the mean when its beta rises by one standard error.
    weights
        (N,) how much each response counts; None: all alike.
    """
    if weights is not None:
        scored = scored & (weights > 0)
    if not scored.any():
        return without_mean(len(scored))
    own = None if weights is None else weights[scored]
    fit = fit_population(likelihoods if scored.all() else likelihoods[scored], grid, own)
    # The sign, by which a difference of two jobs of one judge cancels, has no meaning for several betas.
    shift = float(shifts[0]) if len(shifts) == 1 else float(np.linalg.norm(shifts))
    return _with_interval(fit, scored, clusters, line, shift, np.abs(grid.nodes - fit.mean))


def mean_of_scores(scores: FloatArray, scored: npt.NDArray[np.bool_], clusters: npt.NDArray[np.int64]) -> MeanEstimate:
    """Average scores as they are, with an interval over queries alone: what the published rule has."""
    if not scored.any():
        return without_mean(len(scored))
    known = scores[scored]
    influence = (known - known.mean()) / len(known)
    line = AnchorLine(0, float("nan"), 0.0, 0.0)
    fit = PopulationFit(float(known.mean()), float(known.std()), influence, np.empty(0))
    return _with_interval(fit, scored, clusters, line, 0.0, np.empty(0))


def without_mean(n: int) -> MeanEstimate:
    """Return what is known of the mean of n responses none of which has a score."""
    nan = float("nan")
    return MeanEstimate(nan, nan, nan, nan, nan, 0, nan, nan, nan, nan, np.full(n, np.nan))


def _with_interval(
    fit: PopulationFit,
    scored: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64],
    line: AnchorLine,
    beta_shift: float,
    distances: FloatArray,
) -> MeanEstimate:
    """Return the interval of a mean; `distances` (G,) are those of the nodes of `fit.point_loss` from it."""
    mean = fit.mean
    _, member = np.unique(clusters[scored], return_inverse=True)
    sums = np.bincount(member, fit.influence)
    g = len(sums)
    quantile = float(stdtrit(g - 1, (1 + CONFIDENCE) / 2)) if g > 1 else float("nan")
    responses = float(g / (g - 1) * np.sum(sums**2)) if g > 1 else float("nan")
    alone = float(np.sum(fit.influence**2))
    # Responses to one query say less than as many to several.
    repeated = max(responses / alone, 1.0) if alone > 0 else len(fit.influence) / g
    left_open = distances[2 * fit.point_loss <= quantile**2 * repeated]
    # What is NaN, where no response says anything, is all that is left open.
    responses = float(np.fmax(responses, (left_open.max(initial=0.0) / quantile) ** 2))
    anchors = line.variance_at(mean)
    variance = responses + beta_shift**2 + anchors
    half = quantile * float(np.sqrt(variance))
    every = np.full(len(scored), np.nan)
    every[scored] = fit.influence
    return MeanEstimate(
        mean=mean,
        se=float(np.sqrt(variance)),
        # The scale is bounded, and so is a mean on it.
        low=max(mean - half, LOWEST_INTENSITY),
        high=min(mean + half, HIGHEST_INTENSITY),
        population_sd=fit.sd,
        clusters=g,
        responses_se=float(np.sqrt(responses)),
        beta_se=abs(beta_shift),
        anchors_se=float(np.sqrt(anchors)),
        beta_shift=beta_shift,
        influence=every,
    )
