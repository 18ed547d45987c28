"""What distillation minimizes: the squared error of a bilinear head on the embeddings of texts and stances."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class PairTargets:
    """What a batch of B embedded texts and stances is to give: P pairs of text and value, with the teacher's utility.

    Attributes
    ----------
    size
        B.
    text, supports, opposes
        (P,) places in the batch, from 0, of the text and of the two stances on the value.
    utility
        (P,) in standard deviations of the value.
    """

    size: int
    text: Tensor
    supports: Tensor
    opposes: Tensor
    utility: Tensor

    def __len__(self) -> int:
        return self.size

    def to(self, device: torch.device | str) -> "PairTargets":
        """Return the targets on another device."""
        parts = (self.text, self.supports, self.opposes, self.utility)
        return PairTargets(self.size, *(part.to(device) for part in parts))


_START = 10.0
"""Utility at first, in standard deviations, of a text whose cosines with the two stances differ by 1."""


class DistillationObjective(nn.Module):
    """The head of `valueflow.judge.UtilityHead`, as it learns: u(t, s, o) = sqrt(D) t'(A (s - o) + a) + c.

    It begins as the encoder's own opinion, 10 (t's - t'o): A is a multiple of the identity, a = c = 0. The factor
    sqrt(D) gives the entries of A and a one scale for encoders of any size D: those of a vector of length 1 are about
    1 / sqrt(D).

    Parameters
    ----------
    size
        D, of the embeddings.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = float(size) ** 0.5
        self.matrix = nn.Parameter(_START / self.scale * torch.eye(size))
        self.slope = nn.Parameter(torch.zeros(size))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, embeddings: Tensor, targets: PairTargets) -> dict[str, Tensor]:
        """Compute the loss of a batch: (B, D) embeddings of length 1 to the scalar `loss`, the mean squared error."""
        turned = embeddings @ self.matrix.T
        directions = turned[targets.supports] - turned[targets.opposes] + self.slope
        products = embeddings[targets.text] * directions
        errors = self.scale * products.sum(dim=1) + self.offset - targets.utility
        return {"loss": errors.square().mean()}
