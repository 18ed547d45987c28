"""What contrastive losses share, and the one over ids.

Every loss is a mean of -log p_ij, p_ij being the softmax over a batch's other texts j of their similarity with text i,
taken over the pairs that ought to be near each other. They differ in which pairs those are.

References
----------
Khosla, P. et al. (2020). Supervised contrastive learning. NeurIPS 33.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from valueflow.hives.losses.batch_labels import agreement, check_lengths
from valueflow.run import InputError


class IdContrastiveLoss(nn.Module):
    r"""InfoNCE over ids: near are the texts that share an id.

    With z the embeddings at length 1, i, j texts of the batch and P(i) the texts other than i that have an id of i's,

    .. math::

        \log p_{ij} &= z_i \cdot z_j / \tau - \log \sum_{k \ne i} \exp(z_i \cdot z_k / \tau) \\
        L &= -\operatorname{mean}_{i:\, P(i) \ne \emptyset} \operatorname{mean}_{j \in P(i)} \log p_{ij}

    Texts without an id have no P(i) but are among the k. Where no text has a P(i) the loss is 0, with a gradient of 0
    for every embedding. Similarities are taken in float32 at least, under autocast too.

    Parameters
    ----------
    temperature
        tau.

    Raises
    ------
    InputError
        Where the temperature is not above zero.

    Examples
    --------
    >>> loss = IdContrastiveLoss(temperature=1.0)
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    >>> value = loss(embeddings, torch.tensor([7, 7, -1]))
    >>> round(value.item(), 4)  # log(1 + 1/e)
    0.3133
    >>> value.backward()
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = above_zero("temperature", temperature)

    def forward(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Compute the scalar loss of (B, D) embeddings and (B,) or (B, K) int64 ids, `NONE` where absent."""
        check_lengths(embeddings, ids)
        with without_autocast(embeddings):
            sets = ids if ids.ndim == 2 else ids[:, None]
            same = agreement(sets[:, :, None])
            losses, _ = mean_negative_log_likelihoods(scaled_cosines(embeddings, self.temperature), same)
            return losses[0]

    def extra_repr(self) -> str:
        """Name the options, for `print(module)`."""
        return f"temperature={self.temperature}"


def scaled_cosines(embeddings: Tensor, temperature: float) -> Tensor:
    """Cosines over the temperature, (B, B), in float32 at least."""
    wide = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    unit = functional.normalize(wide, dim=1)
    return unit @ unit.T / temperature


def mean_negative_log_likelihoods(similarities: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Average -log p over the positives of each text, then over the texts that have any.

    Takes (B, B) similarities and (L, B, B) masks, whose diagonals are ignored; returns (L,) losses, 0 where no text has
    a positive, and (L,) whether any has.
    """
    # The lowest finite number weighs as much as -inf would, exactly nothing, and unlike it leaves no inf - inf on the
    # way back from a text that is alone in its batch, which torch's anomaly detection would stop at.
    itself = torch.eye(len(similarities), dtype=torch.bool, device=similarities.device)
    totals = similarities.masked_fill(itself, torch.finfo(similarities.dtype).min).logsumexp(dim=1)
    losses, exists = [], []
    # Level by level, since for the gradient only the masks are kept, not the (L, B, B) numbers.
    for level in positives.unbind():
        mask = level & ~itself
        counts = mask.sum(dim=1)
        has = counts > 0
        near = torch.where(mask, similarities, 0.0).sum(dim=1) / counts.clamp(min=1)
        losses.append(torch.where(has, totals - near, 0.0).sum() / has.sum().clamp(min=1))
        exists.append(has.any())
    return torch.stack(losses), torch.stack(exists)


def without_autocast(embeddings: Tensor) -> torch.autocast:
    """Switch autocast off: cosines of 8 bits over a temperature of 0.07 would be off by some hundredths."""
    return torch.autocast(embeddings.device.type, enabled=False)


def above_zero(name: str, number: float) -> float:
    """Return a number that is finite and above zero; else raise InputError."""
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name} must be above zero, got {number}")
    return number


def not_below_zero(name: str, number: float) -> float:
    """Return a number that is finite and not below zero; else raise InputError."""
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{name} must not be below zero, got {number}")
    return number
