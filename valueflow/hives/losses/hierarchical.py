"""The contrastive loss over the levels of a hierarchy.

References
----------
Zhang, S., Xu, R., Xiong, C. and Ramaiah, C. (2022). Use all the labels: a hierarchical multi-label contrastive learning
framework. CVPR.
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from valueflow.hives.losses.batch_labels import agreement, check_lengths
from valueflow.hives.losses.contrastive import (
    above_zero,
    mean_negative_log_likelihoods,
    not_below_zero,
    scaled_cosines,
    without_autocast,
)
from valueflow.run import InputError, nearest

Kind = Literal["hmc", "hce", "hmce"]


class HierarchicalLoss(nn.Module):
    r"""Contrastive loss of stage 1: near are the texts that share a hierarchy path and the direction.

    With z the embeddings at length 1 and i, j texts of the batch,

    .. math::

        s_{ij} &= z_i \cdot z_j / \tau - w [d_i \ne d_j], \qquad
        \log p_{ij} = s_{ij} - \log \sum_{k \ne i} \exp s_{ik} \\
        L_l &= -\frac{\tau}{\tau_b} \operatorname{mean}_{i:\, P_l(i) \ne \emptyset}
               \operatorname{mean}_{j \in P_l(i)} \log p_{ij} \\
        M_l &= \max(L_l, M_{l'}) \quad \text{l' the level before, } M_{l'} \text{ detached} \\
        \text{hmc} &= \operatorname{mean}_l 2^{1/l} L_l, \qquad
        \text{hce} = \operatorname{mean}_l M_l, \qquad
        \text{hmce} = \operatorname{mean}_l 2^{1/l} M_l

    where P_l(i) are the texts other than i that agree with i down to level l and in direction; l = 1 is the top. The
    maximum keeps a lower level from being pulled together before those above it are: where a higher level's loss is the
    larger, the lower one gives no gradient. Where both are equal (paths that end early have the same pairs at all
    further levels) the lower one's own gradient counts in full.

    A level at which no text has a P_l(i) does not exist for the batch: neither maximum nor mean sees it (l still counts
    it). Where no level exists the loss is 0, with a gradient of 0 for every embedding.

    Similarities are taken in float32 at least, under autocast too.

    Parameters
    ----------
    kind
        `hmce` has weights and maximum, `hmc` the weights alone, `hce` the maximum alone.
    temperature, base_temperature
        tau and tau_b.
    direction_penalty
        w: by how much texts of another direction count as less similar.

    Raises
    ------
    InputError
        Where an option is out of its range.

    Examples
    --------
    >>> loss = HierarchicalLoss(kind="hmc", temperature=1.0, base_temperature=1.0)
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    >>> paths = torch.tensor([[[0]], [[0]], [[1]]])  # the first two share their one path of one level
    >>> value = loss(embeddings, paths, torch.tensor([0, 0, 0]))
    >>> round(value.item(), 4)  # 2 log(1 + 1/e)
    0.6265
    >>> value.backward()
    """

    def __init__(
        self,
        kind: Kind = "hmce",
        temperature: float = 0.1,
        base_temperature: float = 0.1,
        direction_penalty: float = 1.0,
    ) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            raise InputError(f"loss is {kind!r}; {nearest(str(kind), get_args(Kind))}")
        self.kind = kind
        self.temperature = above_zero("temperature", temperature)
        self.base_temperature = above_zero("base_temperature", base_temperature)
        self.direction_penalty = not_below_zero("direction_penalty", direction_penalty)

    def forward(self, embeddings: Tensor, paths: Tensor, directions: Tensor) -> Tensor:
        """Compute the scalar loss of (B, D) embeddings of any lengths; paths and directions as in `BatchLabels`."""
        check_lengths(embeddings, paths, directions)
        with without_autocast(embeddings):
            similarities = scaled_cosines(embeddings, self.temperature)
            same = directions[:, None] == directions
            similarities = similarities - self.direction_penalty * (~same).to(similarities.dtype)
            return self._over_levels(*mean_negative_log_likelihoods(similarities, agreement(paths, directions)))

    def _over_levels(self, losses: Tensor, exists: Tensor) -> Tensor:
        """Join the levels; no branch asks for a value, which would hold up a GPU."""
        total = losses.new_zeros(())
        highest = losses.new_full((), -math.inf)
        for number, (loss, there) in enumerate(zip(losses.unbind(), exists.unbind(), strict=True), start=1):
            own = self.temperature / self.base_temperature * loss
            if self.kind != "hmc":
                # torch.maximum would give half the gradient where both are equal.
                own = torch.where(there & (own < highest), highest, own)
                highest = torch.where(there, own.detach(), highest)
            total = total + (own if self.kind == "hce" else 2 ** (1 / number) * own)
        return total / exists.sum().clamp(min=1)

    def extra_repr(self) -> str:
        """Name the options, for `print(module)`."""
        return (
            f"kind={self.kind}, temperature={self.temperature}, base_temperature={self.base_temperature}, "
            f"direction_penalty={self.direction_penalty}"
        )
