"""What each stage minimizes: losses over the parts of a batch."""

from torch import Tensor, nn

from valueflow.hives.losses.batch_labels import BatchLabels, check_lengths
from valueflow.hives.losses.contrastive import IdContrastiveLoss, not_below_zero
from valueflow.hives.losses.hierarchical import HierarchicalLoss
from valueflow.hives.sampling import CONCEPT, HIERARCHICAL, INDIVIDUAL


class IntraTheoryObjective(nn.Module):
    """What stage 1 minimizes: the hierarchical loss of the whole batch, whatever its parts.

    Examples
    --------
    >>> import torch
    >>> labels = BatchLabels(
    ...     paths=torch.tensor([[[0, 1]], [[0, 1]], [[0, 2]], [[3, 4]]]),
    ...     directions=torch.tensor([0, 0, 0, 2]),
    ...     ids=torch.full((4,), -1),
    ...     parts=torch.zeros(4, dtype=torch.int64),
    ... )
    >>> sorted(IntraTheoryObjective()(torch.eye(4), labels))
    ['hierarchy', 'loss']
    """

    def __init__(self, hierarchy: HierarchicalLoss | None = None) -> None:
        super().__init__()
        self.hierarchy = hierarchy or HierarchicalLoss()

    def forward(self, embeddings: Tensor, labels: BatchLabels) -> dict[str, Tensor]:
        """Compute the loss of a batch: (B, D) embeddings to the scalars `loss` and `hierarchy`, which are equal."""
        hierarchy = self.hierarchy(embeddings, labels.paths, labels.directions)
        return {"loss": hierarchy, "hierarchy": hierarchy}


class InterTheoryObjective(nn.Module):
    r"""What stage 2 minimizes: three losses, each over its own part of the batch and blind to the others.

    .. math::

        L = L_\text{hierarchy} + w_i L_\text{individual} + w_c L_\text{concept}

    A part without texts, or without pairs that ought to be near, adds 0.

    Parameters
    ----------
    hierarchy, contrastive
        Losses of the part `HIERARCHICAL`, and of `INDIVIDUAL` and `CONCEPT`; default options where not given.
    individual_weight, concept_weight
        w_i and w_c; the settings `stage.individual_weight` and `stage.anchor_weight`.

    Raises
    ------
    InputError
        Where a weight is below zero.

    Examples
    --------
    >>> import torch
    >>> labels = BatchLabels(
    ...     paths=torch.zeros(6, 1, 2, dtype=torch.int64),
    ...     directions=torch.zeros(6, dtype=torch.int64),
    ...     ids=torch.tensor([-1, -1, 5, 5, 8, 8]),
    ...     parts=torch.tensor([0, 0, 1, 1, 2, 2]),
    ... )
    >>> sorted(InterTheoryObjective()(torch.eye(6), labels))
    ['anchor', 'hierarchy', 'individual', 'loss']
    """

    def __init__(
        self,
        hierarchy: HierarchicalLoss | None = None,
        contrastive: IdContrastiveLoss | None = None,
        individual_weight: float = 0.5,
        concept_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.hierarchy = hierarchy or HierarchicalLoss()
        self.contrastive = contrastive or IdContrastiveLoss()
        self.individual_weight = not_below_zero("individual_weight", individual_weight)
        self.concept_weight = not_below_zero("anchor_weight", concept_weight)

    def forward(self, embeddings: Tensor, labels: BatchLabels) -> dict[str, Tensor]:
        """Compute the losses of (B, D) embeddings of any lengths and the labels of the same texts.

        Returns scalars: `loss`, the weighted sum, and its parts without weights: `hierarchy`, `individual`, `anchor`.

        Raises
        ------
        ValueError
            Where a text belongs to none of the three parts: no loss would see it.
        """
        check_lengths(embeddings, labels.parts)
        rows = [(labels.parts == part).nonzero().squeeze(1) for part in (HIERARCHICAL, INDIVIDUAL, CONCEPT)]
        if sum(map(len, rows)) != len(embeddings):
            raise ValueError(f"parts must be {HIERARCHICAL}, {INDIVIDUAL} or {CONCEPT}")
        first, second, third = rows
        hierarchy = self.hierarchy(embeddings[first], labels.paths[first], labels.directions[first])
        individual = self.contrastive(embeddings[second], labels.ids[second])
        concept = self.contrastive(embeddings[third], labels.ids[third])
        loss = hierarchy + self.individual_weight * individual + self.concept_weight * concept
        return {"loss": loss, "hierarchy": hierarchy, "individual": individual, "anchor": concept}

    def extra_repr(self) -> str:
        """Name the options, for `print(module)`."""
        return f"individual_weight={self.individual_weight}, concept_weight={self.concept_weight}"
