"""What distillation minimizes: the squared error of a bilinear head on the embeddings of texts and definitions."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class PairTargets:
    """What a batch of B embedded texts and definitions is to give: P pairs of both, with the teacher's utility.

    Attributes
    ----------
    size
        B.
    text, definition
        (P,) places of both in the batch, from 0.
    utility
        (P,) in standard deviations of the value.
    """

    size: int
    text: Tensor
    definition: Tensor
    utility: Tensor

    def __len__(self) -> int:
        return self.size

    def to(self, device: torch.device | str) -> "PairTargets":
        """Return the targets on another device."""
        return PairTargets(self.size, *(part.to(device) for part in (self.text, self.definition, self.utility)))


class DistillationObjective(nn.Module):
    """The head of `valueflow.judge.UtilityHead`, as it learns: u(t, d) = sqrt(D) t'(A d + a) + c, from A = a = c = 0.

    The factor gives the entries of A and a one scale for encoders of any size D: those of a vector of length 1 are
    about 1 / sqrt(D).

    Parameters
    ----------
    size
        D, of the embeddings.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(size, size))
        self.slope = nn.Parameter(torch.zeros(size))
        self.offset = nn.Parameter(torch.zeros(()))
        self.scale = float(size) ** 0.5

    def forward(self, embeddings: Tensor, targets: PairTargets) -> dict[str, Tensor]:
        """Compute the loss of a batch: (B, D) embeddings of length 1 to the scalar `loss`, the mean squared error."""
        directions = embeddings @ self.matrix.T + self.slope
        products = embeddings[targets.text] * directions[targets.definition]
        errors = self.scale * products.sum(dim=1) + self.offset - targets.utility
        return {"loss": errors.square().mean()}
