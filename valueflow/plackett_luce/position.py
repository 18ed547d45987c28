"""Whether a judge prefers the item that a prompt shows first, estimated from anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from .windows import FloatArray

_PRIOR_SPREAD = 5.0
"""Standard deviation of the normal prior on the effect, in logits: finite for a judge that always puts first what is
shown first."""


@dataclass(frozen=True)
class PositionEffect:
    """A judge's preference for the item that a prompt shows first.

    Attributes
    ----------
    logits : float
        Added to the item shown first: with an effect of 1, an item of equal support is picked e times as often.
    standard_error : float
        Inverse square root of the observed information, beta being estimated too.
    """

    logits: float
    standard_error: float


def fit_position_effect(places: ArrayLike, shown_first: ArrayLike) -> PositionEffect | None:
    """Estimate a judge's slope in the anchors' places together with its preference for the item shown first.

    Maximizes the Plackett-Luce likelihood of the anchors' orders with logits ``beta * place + delta * [shown first]``,
    times a normal prior on delta of standard deviation 5. It is concave. The response is left out: its place is what a
    run wants to know.

    Parameters
    ----------
    places : (W, J) float array
        Places of each window's anchors, the most supportive first by the judge.
    shown_first : (W, J) bool array
        Whether the prompt showed that anchor first of all items; no row has two.

    Returns
    -------
    PositionEffect or None
        None where no window shows an anchor first.
    """
    place, first = np.asarray(places, dtype=np.float64), np.asarray(shown_first, dtype=np.float64)
    if not first.any() or place.shape[1] < 2:
        return None
    # Windows without an anchor in the first place tell of beta alone.
    features = np.stack([place, first]).transpose(0, 2, 1)
    scale = max(float(np.abs(place).max()), 1e-9)
    features[0] /= scale

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        value, gradient, _ = _likelihood(parameters, features)
        prior = parameters[1] / _PRIOR_SPREAD**2
        return 0.5 * prior * parameters[1] - value, -gradient + np.array([0.0, prior])

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-250, 250), (-25, 25)]).x
    information = _likelihood(found, features)[2] + np.diag([1e-9, 1 / _PRIOR_SPREAD**2])
    return PositionEffect(float(found[1]), float(np.sqrt(np.linalg.inv(information)[1, 1])))


def _likelihood(parameters: FloatArray, features: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Return log-likelihood, gradient (2,) and observed information (2, 2); features are (2, J, W)."""
    logits = np.tensordot(parameters, features, axes=1)
    weights = np.exp(logits - logits.max(axis=0))

    def suffix_sums(x: FloatArray) -> FloatArray:
        return np.asarray(np.cumsum(x[..., ::-1, :], axis=-2)[..., ::-1, :][..., :-1, :])

    total = suffix_sums(weights)
    mean = suffix_sums(weights * features) / total
    products = features[:, None] * features[None]
    square = suffix_sums(weights * products) / total
    value = float((logits[:-1] - logits.max(axis=0) - np.log(total)).sum())
    gradient = (features[:, :-1] - mean).sum(axis=(1, 2))
    return value, gradient, (square - mean[:, None] * mean[None]).sum(axis=(2, 3))
