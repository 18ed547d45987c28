"""Interpolation between the weights that a training starts from and those it ends with."""

from collections.abc import Mapping

from torch import Tensor


def interpolate_weights(
    start: Mapping[str, Tensor], trained: Mapping[str, Tensor], start_share: float
) -> dict[str, Tensor]:
    """Return start_share * start + (1 - start_share) * trained.

    A fine-tuned encoder forgets some of what it could do before. Along the straight line between both ends it often
    does the new about as well as at one end and the old about as well as at the other.

    Parameters
    ----------
    start, trained
        State dicts of the same model. What is not of a floating-point type is taken from `trained`.
    start_share
        From 0 to 1.

    Returns
    -------
    dict
        A state dict with the types of `trained`; sums are computed in double precision.

    References
    ----------
    .. [1] Wortsman et al. (2022), Robust fine-tuning of zero-shot models, CVPR. arXiv:2109.01903 (there alpha is
       1 - start_share).
    """
    return {
        name: (weights.double().mul(1 - start_share) + start[name].double().mul(start_share)).to(weights.dtype)
        if weights.is_floating_point()
        else weights
        for name, weights in trained.items()
    }
