"""The mean that people's ratings give, made more precise by the scores of the responses that nobody rated."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from valueflow.comparison.contrasts import ROUNDING

Floats = npt.NDArray[np.float64]

_LEVEL = 0.95


@dataclass(frozen=True)
class PoweredMean:
    """A prediction-powered mean.

    Attributes
    ----------
    mean, se, low, high
        Mean rating that all responses would have, its standard error and 95% interval (Student's t over the rated
        queries). All but the mean are not a number where the ratings do not vary.
    power
        Lambda in [0, 1]: how much the scores are relied on. 0 leaves the mean of the ratings alone.
    influence
        (N,) influence of each response on the mean, in the sense of `estimate_contrasts`; NaN for one that has neither
        score nor rating.
    rated
        Responses with a rating.
    queries
        Queries with a rated response.
    """

    mean: float
    se: float
    low: float
    high: float
    power: float
    influence: Floats
    rated: int
    queries: int


def prediction_powered_mean(scores: Floats, ratings: Floats, cluster: npt.NDArray[np.intp]) -> PoweredMean:
    """Estimate the mean rating of N responses of which people have rated some.

    Parameters
    ----------
    scores
        (N,) scores of a judge; NaN where there is none. They may be wrong in any way: that costs precision only.
    ratings
        (N,) ratings of people; NaN where there is none. The rated responses must be a random sample of all.
    cluster
        (N,) codes of queries.

    Returns
    -------
    PoweredMean

    Notes
    -----
    With n rated responses of mean rating y and mean score f, and mean score u of the responses that are not rated, the
    estimate is y + lambda (u - f) (Angelopoulos et al. 2023, Prediction-powered inference, Science 382), with the
    lambda that makes its variance least (Angelopoulos, Duchi & Zrnic 2023, PPI++), held in [0, 1]. Both variance and
    lambda come from sums of influences by query, G/(G-1) sum_q (a_q + lambda b_q)^2, where a is the influence of a
    response on y and b that on u - f; where each response has a query of its own, lambda is the published
    cov(y, f) / ((1 + n/N) var f) but for the degrees of freedom.
    """
    is_rated = ~np.isnan(ratings)
    has_score = ~np.isnan(scores)
    both, only_score = is_rated & has_score, ~is_rated & has_score
    own = _influence(ratings, is_rated)
    mean, shift = float(ratings[is_rated].mean()), 0.0
    scored = np.zeros(len(scores))
    if both.any() and only_score.any():
        shift = float(scores[only_score].mean() - scores[both].mean())
        scored = _influence(scores, only_score) - _influence(scores, both)
    own_sums, scored_sums = (np.bincount(cluster, weights=part) for part in (own, scored))
    spread = float(scored_sums @ scored_sums)
    power = float(np.clip(-(own_sums @ scored_sums) / spread, 0.0, 1.0)) if spread > 0 else 0.0
    used = is_rated | has_score if power > 0 else is_rated
    n_clusters, n_rated = len(np.unique(cluster[used])), len(np.unique(cluster[is_rated]))
    sums = own_sums + power * scored_sums
    # The few rated queries decide how well the variance is known.
    se = float(np.sqrt(n_clusters / (n_clusters - 1) * (sums @ sums))) if n_rated > 1 else np.nan
    se = se if se > ROUNDING else np.nan
    half = float(stdtrit(max(n_rated - 1, 1), (1 + _LEVEL) / 2)) * se
    center = mean + power * shift
    return PoweredMean(
        mean=center,
        se=se,
        low=center - half,
        high=center + half,
        power=power,
        influence=np.where(is_rated | has_score, own + power * scored, np.nan),
        rated=int(is_rated.sum()),
        queries=n_rated,
    )


def _influence(numbers: Floats, chosen: npt.NDArray[np.bool_]) -> Floats:
    """Return the influence of each response on the mean of the chosen ones."""
    influence = np.zeros(len(numbers))
    influence[chosen] = (numbers[chosen] - numbers[chosen].mean()) / chosen.sum()
    return influence
