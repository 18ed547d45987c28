"""A light head on a frozen sentence encoder: how strongly a text expresses a value.

The head is a Gaussian process over pairs of a text t and a value v, fitted to anchors of all values:

    k((t, v), (t', v')) = phi(t).phi(t') (a + b [v = v']) + c r(t, v) r(t', v')  +  s [same observation]

`phi` says what a text makes of the world (see `valueflow.judge.features`), `r` how much it is about the value. The
weight `a` is what counts as favorable for all values together, `b` what is particular to one of them. The prior mean is
0, the scale's own zero, and features are fixed functions of the text: nothing but the kernel learns from anchors. So
leaving rows out is exact in closed form, without fitting again (Rasmussen & Williams 2006, Gaussian Processes for
Machine Learning, section 5.4.2).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.signedinteger]

NO_VALUE = -1
"""Value number of observations that hold for values in general; they have r = 0 and no part in `b`."""

_SCALE = 10.0  # intensities are fitted in units of the half scale, so that weights are near one
_MAX_ROWS_FOR_WEIGHTS = 800  # the four weights need no more; their cost grows with the cube of the rows


@dataclass(frozen=True)
class Weights:
    """Weights a, b, c and s of the kernel's parts: variances, in squared half scales."""

    shared: float
    own: float
    relevance: float
    noise: float


@dataclass(frozen=True)
class Observations:
    """What the head is fitted on: N texts with intensities."""

    phi: FloatArray  # (N, D) features of the text
    relevance: FloatArray  # (N,) relevance to the value
    intensity: FloatArray  # (N,) known intensity in [-10, 10]
    value: IntArray  # (N,) number of the value, or `NO_VALUE`
    text: IntArray  # (N,) number of the text: the same text under two values has one number

    def __getitem__(self, rows: IntArray) -> "Observations":
        return Observations(
            self.phi[rows], self.relevance[rows], self.intensity[rows], self.value[rows], self.text[rows]
        )

    def __len__(self) -> int:
        return len(self.intensity)


class IntensityHead:
    """The fitted head.

    With B the block-diagonal part of the kernel (own value and noise) and H H' the rest, the
    precision is K^-1 = B^-1 - W W' (Woodbury), so time grows with N D^2 and with the cube of one
    value's anchors, memory with N D and with the square of one value's anchors; no N x N matrix is
    made.
    """

    def __init__(self, observations: Observations, weights: Weights) -> None:
        self.observations = observations
        self.weights = weights
        data, y = observations, observations.intensity / _SCALE
        shared = np.column_stack([weights.shared**0.5 * data.phi, weights.relevance**0.5 * data.relevance])
        self._blocks: dict[int, tuple[IntArray, FloatArray]] = {}
        solved, solved_y = shared / weights.noise, y / weights.noise
        for value in np.unique(data.value[data.value != NO_VALUE]):
            rows = np.flatnonzero(data.value == value)
            block = weights.own * data.phi[rows] @ data.phi[rows].T + weights.noise * np.eye(len(rows))
            inverse = np.asarray(np.linalg.inv(block), dtype=np.float64)
            self._blocks[int(value)] = rows, inverse
            solved[rows], solved_y[rows] = inverse @ shared[rows], inverse @ y[rows]
        factor = cholesky(np.eye(shared.shape[1]) + shared.T @ solved, lower=True)
        self._low_rank: FloatArray = solve_triangular(factor, solved.T, lower=True).T
        self._alpha: FloatArray = solved_y - solved @ cho_solve((factor, True), shared.T @ solved_y)

    @classmethod
    def fit(cls, observations: Observations) -> Self:
        """Fit weights by marginal likelihood, then the head."""
        return cls(observations, fit_weights(observations))

    def predict(self, phi: FloatArray, relevance: FloatArray, value: int) -> FloatArray:
        """Return the expected intensities (M,) of texts (M, D), (M,) on a value; it may have no anchors."""
        return self._predict(self._alpha, phi, relevance, value)

    def predict_without(self, text: int, phi: FloatArray, relevance: FloatArray, value: int) -> FloatArray:
        """Return what `predict` would say after a fit, with the same weights, without a text (its number)."""
        left_out = np.flatnonzero(self.observations.text == text)
        precision = -self._low_rank @ self._low_rank[left_out].T
        for place, row in enumerate(left_out):
            if self.observations.value[row] == NO_VALUE:
                precision[row, place] += 1 / self.weights.noise
            else:
                rows, inverse = self._blocks[int(self.observations.value[row])]
                precision[rows, place] += inverse[:, np.searchsorted(rows, row)]
        alpha = self._alpha - precision @ np.linalg.solve(precision[left_out], self._alpha[left_out])
        return self._predict(alpha, phi, relevance, value)

    def _predict(self, alpha: FloatArray, phi: FloatArray, relevance: FloatArray, value: int) -> FloatArray:
        data = self.observations
        slope = self.weights.shared * data.phi.T @ alpha
        if value in self._blocks:
            rows = self._blocks[value][0]
            slope += self.weights.own * data.phi[rows].T @ alpha[rows]
        relevance_slope = self.weights.relevance * data.relevance @ alpha
        return np.asarray(_SCALE * (phi @ slope + relevance_slope * relevance))

    def held_out(self, rows: IntArray) -> FloatArray:
        """Score observations (M,) as heads of the same weights would that were fitted without their texts."""
        members: dict[int, list[int]] = {}
        for row, text in enumerate(self.observations.text):
            members.setdefault(int(text), []).append(row)
        y = self.observations.intensity / _SCALE
        predicted = np.empty(len(rows))
        for place, row in enumerate(rows):
            left_out = np.array(members[int(self.observations.text[row])])
            residual = np.linalg.solve(self._precision(left_out), self._alpha[left_out])
            predicted[place] = y[row] - residual[np.flatnonzero(left_out == row)[0]]
        return _SCALE * predicted

    def _precision(self, rows: IntArray) -> FloatArray:
        """Return the block of K^-1 that belongs to some observations."""
        precision: FloatArray = -self._low_rank[rows] @ self._low_rank[rows].T
        values = self.observations.value[rows]
        for value in np.unique(values):
            inside = np.flatnonzero(values == value)
            if value == NO_VALUE:
                precision[inside, inside] += 1 / self.weights.noise
                continue
            block_rows, inverse = self._blocks[int(value)]
            places = np.searchsorted(block_rows, rows[inside])
            precision[np.ix_(inside, inside)] += inverse[np.ix_(places, places)]
        return precision


def fit_weights(observations: Observations) -> Weights:
    """Choose the weights of the kernel by its marginal likelihood, on at most 800 observations, evenly spread.

    The weak prior is log-normal, of standard deviation 3, around equal shares with the noise as large as the rest.
    """
    if len(observations) > _MAX_ROWS_FOR_WEIGHTS:
        rows = np.linspace(0, len(observations) - 1, _MAX_ROWS_FOR_WEIGHTS).astype(np.int64)
        observations = observations[rows]
    y = observations.intensity / _SCALE
    n = len(y)
    similarity = observations.phi @ observations.phi.T
    same_value = (observations.value[:, None] == observations.value) & (observations.value != NO_VALUE)
    parts = [similarity, similarity * same_value, np.outer(observations.relevance, observations.relevance), np.eye(n)]
    # A part of mean diagonal one makes its weight the variance that it explains.
    scales = np.array([max(float(np.trace(part)) / n, 1e-9) for part in parts])
    center = np.log(max(float(np.mean(y**2)), 1e-6) * np.array([1, 1, 1, 3]) / 6)

    def loss(logs: FloatArray) -> tuple[float, FloatArray]:
        weights = np.exp(logs) / scales
        try:
            factor = cho_factor(sum(weight * part for weight, part in zip(weights, parts, strict=True)), lower=True)
        except LinAlgError:
            return 1e9, np.zeros(len(parts))
        log_determinant = 2 * float(np.log(np.diag(factor[0])).sum())
        precision = cho_solve(factor, np.eye(n))
        alpha = precision @ y
        inner = precision - np.outer(alpha, alpha)
        gradient = np.array([weight * np.sum(inner * part) for weight, part in zip(weights, parts, strict=True)]) / 2
        from_center = (logs - center) / 9
        value = (y @ alpha + log_determinant + (logs - center) @ from_center) / 2
        return float(value), gradient + from_center

    best = minimize(loss, center, jac=True, method="L-BFGS-B", bounds=[(-9, 4)] * 4, options={"maxiter": 30})
    shared, own, relevance, noise = (np.exp(best.x) / scales).tolist()
    return Weights(shared, own, relevance, noise)
