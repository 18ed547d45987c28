"""Where a judge sees anchors: their places, its discrimination, and how far it misreads texts.

A judge that always reads a text in the same way makes the same mistake in each window that holds the text. So an anchor
of rating r has a place p of its own in the judge's eyes, ``p_a ~ N(r_a, sigma^2)``, and windows are ranked by
Plackett-Luce with the logits ``x_a = beta * p_a``. Beta and sigma have the highest marginal posterior, the places being
integrated out by Laplace's approximation.

A judge may also lapse, and give an order at random (see `lapses`). Which windows are lapses is not known: each counts
by the chance that it is none, which depends on the places (expectation-maximization).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import LinearOperator, cg

from .lapses import chance_of_no_lapse, fit_lapse_rate, gain_by_lapses, log_chance_at_random
from .order_check import rating_correlation
from .windows import FloatArray, IntArray

LOWEST_DISCRIMINATION, HIGHEST_DISCRIMINATION = 0.01, 10.0
"""Between these a judge's slope is sought, per point of the scale."""

_FURTHEST_PLACE = 25.0
"""Points. No response tells places apart that lie so far beyond the scale."""

_SLOPE_MEDIAN, _SLOPE_SPREAD = 0.5, 1.0
"""Log-normal prior on the slope: without it, a judge that has not contradicted the anchors yet has none."""

_LEAST_MISREADING, _MOST_MISREADING = 0.02, 15.0
_MISREADING_SPREAD = 5.0
"""Half-normal prior on sigma, in points: weak against a dozen anchors, and finite where windows say nothing of it."""

_DENSE_UP_TO = 400
"""Anchors up to which the information is factored whole; beyond it the windows' couplings count for the maximum, and
the diagonal alone for the volume around it."""

_FIRST_TRIES = {0.25: (0.0,), 1.0: (0.0, 0.4), 2.0: (0.0, 0.4, 1.0), 4.0: (0.0, 0.7, 1.5), 8.0: (0.0, 1.0)}
"""Values of sigma, in points, each with how much larger log beta is than without misreading."""

_LEAST_DISPERSION_Z = 2.0
"""Sigma is above its least where a score test of sigma = 0 exceeds this."""

_NEWTON_STEPS = 60
_LOWEST_LOG = -300.0
"""Of a strength in its window; exp() of it and its square are above zero."""
_STEP = 1e-3
"""Of differences in log beta and log sigma."""

_CLEAR_GAIN = 5.0
"""Of the log-posterior: lapses that add less to it may be a judge's noise, and do not count."""

_NOTABLE_GAIN = 1.0
"""The same before the judge is fitted again; where lapses add less then, they are not looked into."""

_LAPSE_STEPS, _SAME_RATE = 25, 0.01
"""Most steps of expectation-maximization, and the relative change of the share of lapses that ends them."""


@dataclass(frozen=True)
class PlacesFit:
    """What the orders of A anchors tell of a judge.

    Attributes
    ----------
    discrimination : float
        beta, per point: the slope of the judge's logits in the places it sees.
    discrimination_se : float
        Standard error of beta.
    slope_in_ratings : float
        Slope of the judge's logits in the ratings themselves: what beta is where misreading and lapses count as noise.
    misreading_sd : float
        sigma, in points: standard deviation of places around ratings, the root of the expected variance. That is the
        most probable variance times A / (A - 4): of A squares about a line, A - 2 are free, and the mean of a variance
        with so many is its sum over A - 4. At most three times the most probable.
    place : (A,) float array
        Most probable place of each anchor, in points; its rating where it is in no window.
    lapse_rate : float
        Share of windows that the judge ranks at random; 0 where the orders do not clearly say that there are any.
    """

    discrimination: float
    discrimination_se: float
    slope_in_ratings: float
    misreading_sd: float
    place: FloatArray
    lapse_rate: float


def fit_places(orders: ArrayLike, ratings: ArrayLike) -> PlacesFit:
    r"""Fit beta, sigma and the anchors' places to the orders in which a judge put anchors.

    Maximizes Laplace's approximation of the marginal likelihood

    .. math::

        \int \prod_w P(\pi_w \mid x) \prod_a N(x_a; \beta r_a, \beta^2 \sigma^2) \, dx

    times a log-normal prior on beta (median 0.5, standard deviation 1 of its logarithm) and a half-normal one on sigma
    (5 points). A share e of lapses, where it raises this posterior clearly (by a factor of 150), replaces P by
    ``(1 - e) P + e / J!``; its prior is Beta(1, 5).

    Parameters
    ----------
    orders : (W, J) int array
        Anchors of each window, numbered from 0, the most supportive first; J at least 2.
    ratings : (A,) float array
        Their known intensities.

    Raises
    ------
    ValueError
        Where a shape is wrong, an anchor has no rating, or no window has two anchors of different ratings.

    References
    ----------
    Tierney, L. and Kadane, J. B. (1986). Accurate approximations for posterior moments and marginal densities. JASA 81.
    Dempster, A. P., Laird, N. M. and Rubin, D. B. (1977). Maximum likelihood from incomplete data via the EM algorithm.
    Journal of the Royal Statistical Society B 39(1).
    """
    order, rating = np.asarray(orders), np.asarray(ratings, dtype=np.float64)
    if order.ndim != 2 or order.shape[1] < 2 or not np.issubdtype(order.dtype, np.integer):
        raise ValueError(f"orders must be integers of shape (W, J) with J of 2 or more, not {order.shape}")
    if rating.ndim != 1 or not np.isfinite(rating).all():
        raise ValueError("ratings must be finite numbers, one for each anchor")
    if order.size and not (order.min() >= 0 and order.max() < rating.size):
        raise ValueError(f"orders must hold anchors from 0 to {rating.size - 1}")
    if not (order.size and np.ptp(rating[order], axis=1).any()):
        raise ValueError("places need a window with two anchors of different ratings")
    seen, member = np.unique(order, return_inverse=True)
    plain = _Problem(np.ascontiguousarray(member.reshape(order.shape).T), rating[seen])

    def found(problem: _Problem, logs: FloatArray, lapse_rate: float) -> PlacesFit:
        # The logarithm of a bound, taken back, can lie beyond it by rounding.
        beta, sigma = np.exp(logs).clip(max=[HIGHEST_DISCRIMINATION, _MOST_MISREADING])
        place = rating.copy()
        place[seen] = np.clip(problem.logits(beta, sigma) / beta, -_FURTHEST_PLACE, _FURTHEST_PLACE)
        expected = sigma * np.sqrt(len(seen) / max(len(seen) - 4, len(seen) / 3))
        slope = float(np.exp(plain.log_slope_in_ratings))
        error = float(beta * problem.log_slope_se(logs))
        return PlacesFit(float(beta), error, slope, float(expected), place, lapse_rate)

    logs = plain.maximize()
    without = found(plain, logs, 0.0)
    lapsing = _with_lapses(plain, logs)
    return without if lapsing is None else found(*lapsing)


def _with_lapses(plain: _Problem, logs: FloatArray) -> tuple[_Problem, FloatArray, float] | None:
    """Return the problem in which windows count by their chance of being no lapse, its maximum, and their share.

    None where lapses do not clearly explain the orders better than `plain` does with its maximum at `logs`, or the
    slope alone calls all orders random.
    """
    if plain.log_slope_in_ratings < np.log(2 * LOWEST_DISCRIMINATION):
        return None
    log_chance = plain.log_chances(logs)
    surprise = plain.log_at_random - log_chance
    rate = fit_lapse_rate(surprise)
    if gain_by_lapses(surprise, rate) < _NOTABLE_GAIN:
        return None
    least = plain.loss(logs)
    for _ in range(_LAPSE_STEPS):
        counts = chance_of_no_lapse(surprise, rate)
        problem = _Problem(plain.anchors, plain.ratings, counts)
        logs = problem.maximize()
        log_chance = problem.log_chances(logs)
        surprise = plain.log_at_random - log_chance
        before, rate = rate, fit_lapse_rate(surprise)
        if rate == 0:
            return None
        if abs(rate - before) <= _SAME_RATE * rate:
            break
    # In place of what windows add by their counts, what they add as a mixture.
    loss = problem.loss(logs) - float((1 - counts) @ log_chance) - gain_by_lapses(surprise, rate)
    return (problem, logs, rate) if least - loss > _CLEAR_GAIN else None


class _Problem:
    """The marginal posterior of log beta and log sigma; keeps the last logits to start the next search from."""

    def __init__(self, places: IntArray, ratings: FloatArray, counts: FloatArray | None = None) -> None:
        self.anchors = places  # (J, W) anchor at each place, the most supportive first
        self.ratings = ratings
        self.counts = counts  # (W,) how much each window counts; None: all count as one
        self.log_at_random = log_chance_at_random(len(places))
        n = len(ratings)
        each = None if counts is None else np.tile(counts, len(places) - 1)
        self.picked = np.bincount(places[:-1].ravel(), each, minlength=n).astype(np.float64)
        first, second = np.triu_indices(len(places), k=1)
        self.is_dense = n <= _DENSE_UP_TO
        self.pairs = (places[first] * n + places[second]).ravel() if self.is_dense else np.empty(0, dtype=np.intp)
        self.first, self.second = first, second
        self.away = np.zeros(n)  # logits less beta * rating
        self.standardized = np.zeros(n)  # the same in units of beta * sigma, from which the next search starts

    def maximize(self) -> FloatArray:
        """Return the most probable log beta and log sigma."""
        # Without misreading the slope is found fast and for certain; with it, it is rarely lower.
        flat = self.log_slope_in_ratings
        if self._dispersion_z(float(np.exp(flat))) <= _LEAST_DISPERSION_Z:
            return np.array([flat, np.log(_LEAST_MISREADING)])
        most = self._most_misreading()
        limits = np.log([[LOWEST_DISCRIMINATION, HIGHEST_DISCRIMINATION], [_LEAST_MISREADING, most]])
        # A coarse search first: far from the maximum Laplace's approximation can have others.
        tries = [
            np.clip([flat + steeper, np.log(sigma)], *limits.T)
            for sigma, slopes in _FIRST_TRIES.items()
            for steeper in slopes
        ]
        start = min(tries, key=self.loss)
        bounds = [(max(at - 1.0, low), min(at + 1.0, high)) for at, (low, high) in zip(start, limits, strict=True)]
        if start[1] == np.log(min(_FIRST_TRIES)):
            bounds[1] = (float(limits[1, 0]), bounds[1][1])
        found = minimize(
            self.loss,
            start,
            method="L-BFGS-B",
            bounds=bounds,
            options={"eps": _STEP, "ftol": 1e-9, "gtol": 1e-4, "maxiter": 60},
        )
        return np.asarray(found.x, dtype=np.float64)

    def _dispersion_z(self, beta: float) -> float:
        """Test whether windows agree on how far anchors are from their ratings: a score test of sigma = 0.

        An anchor's derivative of the log-likelihood has the variance h, its information, where windows are independent.
        Misreading, shared by them, adds to it. Without repeated anchors there is nothing to agree on, and Laplace's
        approximation would take a judge's noise for misreading.
        """
        _, derivative, weights = self._likelihood(beta * self.ratings)
        information = self._diagonal(weights)
        spread = np.sqrt(2 * (self._information(weights) ** 2).sum() if self.is_dense else 2 * (information**2).sum())
        return float((derivative**2 - information).sum() / spread) if spread > 0 else 0.0

    def _most_misreading(self) -> float:
        """Return how far places can lie from ratings, in points, by how well wins follow the ratings.

        Were all that wins have beside the ratings misreading, and none of it the judge's noise, their correlation would
        be ``s / sqrt(s^2 + sigma^2)`` with s the ratings' spread. Laplace's approximation overestimates sigma for
        judges that have no noise.
        """
        correlation, _ = rating_correlation(self.anchors.T, self.ratings)
        if np.isnan(correlation) or correlation <= 0:
            return _MOST_MISREADING
        met = np.bincount(self.anchors.ravel(), minlength=len(self.ratings))
        spread = np.sqrt(np.cov(self.ratings, fweights=met, ddof=0))
        return float(np.clip(spread * np.sqrt(max(correlation**-2 - 1, 0.0)), 2 * _LEAST_MISREADING, _MOST_MISREADING))

    @cached_property
    def log_slope_in_ratings(self) -> float:
        """Return the most probable log beta where places are the ratings."""
        bounds = np.log(LOWEST_DISCRIMINATION), np.log(HIGHEST_DISCRIMINATION)

        def loss(log_slope: float) -> float:
            value = self._likelihood(np.exp(log_slope) * self.ratings)[0]
            return float(0.5 * ((log_slope - np.log(_SLOPE_MEDIAN)) / _SLOPE_SPREAD) ** 2 - value)

        return float(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3}).x)

    def log_slope_se(self, logs: FloatArray) -> float:
        """Return the standard error of log beta: curvature of the profile over sigma, by second differences."""
        step = 10 * _STEP
        e = np.eye(2) * step
        center = self.loss(logs)
        curve = np.array([[self.loss(logs + e[i]) + self.loss(logs - e[i]) - 2 * center for i in range(2)]])[0]
        cross = (
            sum(
                sign * self.loss(logs + e[0] * a + e[1] * b)
                for sign, a, b in ((1, 1, 1), (-1, 1, -1), (-1, -1, 1), (1, -1, -1))
            )
            / 4
        )
        # Without curvature in sigma, as where it is next to nothing, beta stands alone.
        profile = curve[0] - cross**2 / curve[1] if curve[1] > 1e-9 and curve[0] * curve[1] > cross**2 else curve[0]
        return float(step / np.sqrt(profile)) if profile > 0 else float(_SLOPE_SPREAD)

    def loss(self, logs: FloatArray) -> float:
        """Return minus the log of the marginal posterior, up to a constant."""
        beta, sigma = np.exp(logs)
        precision = (beta * sigma) ** -2
        self.logits(beta, sigma)
        value, _, weights = self._likelihood(beta * self.ratings + self.away)
        n = len(self.ratings)
        if self.is_dense:
            whole = self._information(weights)
            whole[np.diag_indices(n)] += precision
            volume = 2 * np.log(np.diag(cho_factor(whole, lower=True)[0])).sum()
        else:
            volume = np.log(self._diagonal(weights) + precision).sum()
        prior = (
            -0.5 * ((logs[0] - np.log(_SLOPE_MEDIAN)) / _SLOPE_SPREAD) ** 2 - 0.5 * (sigma / _MISREADING_SPREAD) ** 2
        )
        of_places = -0.5 * precision * self.away @ self.away + 0.5 * (n * np.log(precision) - volume)
        return -float(value + of_places + prior)

    def logits(self, beta: float, sigma: float) -> FloatArray:
        """Find the most probable logits of the anchors, (A,), by damped Newton steps; they are one maximum."""
        spread = beta * sigma
        away = self._climb(beta * self.ratings, spread**-2, spread * self.standardized)
        self.standardized = away / spread
        self.away = away
        return beta * self.ratings + away

    def _climb(self, base: FloatArray, precision: float, start: FloatArray) -> FloatArray:
        away = start
        likelihood, gradient, weights = self._likelihood(base + away)
        value = likelihood - 0.5 * precision * float(away @ away)
        for _ in range(_NEWTON_STEPS):
            slope = gradient - precision * away
            step = self._newton_step(slope, weights, precision)
            gain = float(slope @ step)
            if gain <= 1e-10:
                return away
            size = 1.0
            while size > 1e-9:
                proposal = away + size * step
                likelihood, new_gradient, new_weights = self._likelihood(base + proposal)
                new_value = likelihood - 0.5 * precision * float(proposal @ proposal)
                # The last bits of a likelihood are rounding.
                if new_value >= value + 1e-4 * size * gain - 1e-12 * abs(value):
                    break
                size /= 2
            away, value, gradient, weights = proposal, new_value, new_gradient, new_weights
        # Only from far away, where strengths have left the range of numbers.
        return away if not start.any() else self._climb(base, precision, np.zeros_like(start))

    def _newton_step(
        self, slope: FloatArray, weights: tuple[FloatArray, FloatArray, FloatArray], precision: float
    ) -> FloatArray:
        if self.is_dense:
            whole = self._information(weights)
            whole[np.diag_indices(len(slope))] += precision
            return np.asarray(cho_solve(cho_factor(whole, lower=True), slope))
        coupling, diagonal = self._coupling(weights), self._diagonal(weights) + precision
        n = len(slope)
        # Of couplings alone: sums over stages would lose what lies between strengths of different size.
        half = coo_array(
            (coupling.ravel(), (self.anchors[self.first].ravel(), self.anchors[self.second].ravel())), (n, n)
        )
        information = diags_array(diagonal) - (half + half.T).tocsr()
        scale = LinearOperator((n, n), matvec=lambda v: v / diagonal)
        return np.asarray(cg(information, slope, rtol=1e-6, maxiter=400, M=scale)[0])

    def _likelihood(self, logits: FloatArray) -> tuple[float, FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
        """Return log-likelihood, gradient, and by place: strengths, sums of 1 / total and of its square over stages."""
        at, strengths, totals = self._stages(logits)
        inverse = 1 / totals
        own, joint = np.cumsum(inverse, axis=0), np.cumsum(inverse**2, axis=0)
        if self.counts is None:
            value = float(at[:-1].sum() - np.log(totals).sum())
        else:
            value = float((at[:-1].sum(axis=0) - np.log(totals).sum(axis=0)) @ self.counts)
            own *= self.counts
            joint *= self.counts
        own, joint = np.concatenate([own, own[-1:]]), np.concatenate([joint, joint[-1:]])
        expected = np.bincount(self.anchors.ravel(), (strengths * own).ravel(), minlength=len(logits))
        return value, self.picked - expected, (strengths, own, joint)

    def log_chances(self, logs: FloatArray) -> FloatArray:
        """Return the log-probability (W,) of each window's order at the most probable places."""
        beta, sigma = np.exp(logs)
        at, _, totals = self._stages(self.logits(beta, sigma))
        return np.asarray(at[:-1].sum(axis=0) - np.log(totals).sum(axis=0))

    def _stages(self, logits: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return logits and strengths by place, relative to a window's strongest, and the totals of those left."""
        at = logits[self.anchors]
        at -= at.max(axis=0)
        strengths = np.exp(np.maximum(at, _LOWEST_LOG, out=at))
        return at, strengths, np.cumsum(strengths[::-1], axis=0)[::-1][:-1]

    def _information(self, weights: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
        """Return the observed information of the windows, a graph's Laplacian, (A, A)."""
        n = len(self.ratings)
        coupling = self._coupling(weights).ravel()
        half = np.bincount(self.pairs, coupling, minlength=n * n).reshape(n, n)
        whole = -(half + half.T)
        whole[np.diag_indices(n)] -= whole.sum(axis=1)
        return np.asarray(whole)

    def _coupling(self, weights: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
        """Return the information that each window has of the difference of each pair of places, (pairs, W)."""
        strengths, _, joint = weights
        return np.asarray(strengths[self.first] * strengths[self.second] * joint[self.first])

    def _diagonal(self, weights: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
        coupling, n = self._coupling(weights).ravel(), len(self.ratings)
        sums = np.zeros(n)
        for end in (self.first, self.second):
            sums += np.bincount(self.anchors[end].ravel(), coupling, minlength=n)
        return sums
