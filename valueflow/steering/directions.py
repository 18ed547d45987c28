"""The direction of a value in a model's residual stream, from texts that support it and texts that oppose it."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DirectionMethod = Literal["mean_difference", "pca", "probe"]

PENALTY = 1.0
"""Weight of half the squared slope of the probe, with texts scaled to a root mean square distance of 1."""


def direction(supporting: npt.ArrayLike, opposing: npt.ArrayLike, method: DirectionMethod) -> Floats:
    """Return the unit vector that points from opposing to supporting texts.

    Parameters
    ----------
    supporting, opposing
        (S, D) and (O, D) the residual stream of texts, at least one of each.
    method
        `mean_difference`: mean of the supporting less mean of the opposing texts (Marks & Tegmark 2024, "The geometry
        of truth"; Rimsky et al. 2024, "Steering Llama 2 via contrastive activation addition").
        `pca`: first principal component of all texts about the midpoint of the two means, where each side counts half
        (Zou et al. 2023, "Representation engineering", with groups in the place of pairs).
        `probe`: slope of a logistic regression that tells the sides apart, each counting half, with a ridge penalty
        (Li et al. 2023, "Inference-time intervention").

    Returns
    -------
    (D,) array
        Of length 1; supporting texts lie further along it than opposing ones on average.

    Raises
    ------
    ValueError
        A side has no text, or the means of both are the same.
    """
    above, below = np.asarray(supporting, dtype=np.float64), np.asarray(opposing, dtype=np.float64)
    if not len(above) or not len(below):
        raise ValueError("both sides need a text")
    difference = above.mean(axis=0) - below.mean(axis=0)
    if not np.any(difference):
        raise ValueError("supporting and opposing texts have the same mean")
    if method == "mean_difference":
        return unit(difference)
    texts = np.concatenate([above, below]) - (above.mean(axis=0) + below.mean(axis=0)) / 2
    weights = np.repeat([0.5 / len(above), 0.5 / len(below)], [len(above), len(below)])
    found = _first_component(texts, weights) if method == "pca" else _slope(texts, weights, len(above))
    # A component has no sign of its own.
    return unit(found if found @ difference >= 0 else -found)


def unit(vector: Floats) -> Floats:
    """Return a vector scaled to length 1."""
    return np.asarray(vector / np.linalg.norm(vector))


def _first_component(texts: Floats, weights: Floats) -> Floats:
    return np.asarray(np.linalg.svd(np.sqrt(weights)[:, None] * texts, full_matrices=False)[2][0])


def _slope(texts: Floats, weights: Floats, n_supporting: int) -> Floats:
    """Return the slope of a logistic regression, up to its length; texts are centered already."""
    from sklearn.linear_model import LogisticRegression

    # The slope lies in the span of the texts, which has far fewer dimensions than the stream.
    left, sizes, axes = np.linalg.svd(texts, full_matrices=False)
    scale = np.sqrt(weights @ (texts**2).sum(axis=1))
    labels = np.arange(len(texts)) < n_supporting
    # Weights sum to the number of texts, as they would without any.
    fitted = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=10_000).fit(
        left * (sizes / scale), labels, sample_weight=weights * len(texts)
    )
    return np.asarray(fitted.coef_[0] @ axes)


def directions(supporting: npt.ArrayLike, opposing: npt.ArrayLike, method: DirectionMethod) -> Floats:
    """Return the direction after each layer, (L, D), from (S, L, D) and (O, L, D); see `direction`."""
    above, below = np.asarray(supporting), np.asarray(opposing)
    return np.stack([direction(above[:, layer], below[:, layer], method) for layer in range(above.shape[1])])


def agreement_of_halves(supporting: npt.ArrayLike, opposing: npt.ArrayLike, method: DirectionMethod) -> Floats:
    """Return the cosine of the directions that two halves of the texts give, (L,), by layer: how far they are noise.

    Every other text of each side makes a half. NaN where a side has one text, or a half gives no direction.
    """
    above, below = np.asarray(supporting), np.asarray(opposing)
    if min(len(above), len(below)) < 2:
        return np.full(above.shape[1], np.nan)
    try:
        one, other = (directions(above[half::2], below[half::2], method) for half in (0, 1))
    except ValueError:
        return np.full(above.shape[1], np.nan)
    return np.asarray((one * other).sum(axis=1))
