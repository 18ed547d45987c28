"""Losses of both stages of HIVES: hierarchical and by ids, and what each stage makes of them.

Every loss is a mean of -log p_ij, p_ij being the softmax over a batch's other texts j of their similarity with text i,
taken over the pairs that ought to be near each other. They differ in which pairs those are.

References
----------
Khosla, P. et al. (2020). Supervised contrastive learning. NeurIPS 33.
Zhang, S., Xu, R., Xiong, C. and Ramaiah, C. (2022). Use all the labels: a hierarchical multi-label contrastive learning
framework. CVPR.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from valueflow.hives.labels import NONE
from valueflow.run import InputError, nearest

Kind = Literal["hmc", "hce", "hmce"]

HIERARCHY, INDIVIDUAL, ANCHOR = range(3)
"""Parts of a batch of stage 2, as `BatchLabels.parts` numbers them."""


@dataclass(frozen=True, eq=False)
class BatchLabels:
    """Labels of a batch of B texts, as int64 tensors.

    Attributes
    ----------
    paths
        (B, W, L) hierarchy paths, as in `valueflow.hives.labels.Labels`.
    directions
        (B,) direction codes.
    ids
        (B,) what the two losses by id go by: the individual in part `INDIVIDUAL`, the theory anchor in part `ANCHOR`,
        `NONE` elsewhere.
    parts
        (B,) the one part of the batch that a text stands in: `HIERARCHY`, `INDIVIDUAL` or `ANCHOR`.

    Raises
    ------
    ValueError
        Where the lengths differ.
    """

    paths: Tensor
    directions: Tensor
    ids: Tensor
    parts: Tensor

    def __post_init__(self) -> None:
        _check_lengths(self.paths, self.directions, self.ids, self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def to(self, device: torch.device | str) -> "BatchLabels":
        """Return the labels on another device."""
        return BatchLabels(
            self.paths.to(device), self.directions.to(device), self.ids.to(device), self.parts.to(device)
        )


def agreement(paths: Tensor, directions: Tensor | None = None) -> Tensor:
    """Tell for each level and each pair of a batch whether any of their paths agree down to that level.

    Parameters
    ----------
    paths
        (B, W, L) int64 paths as in `valueflow.hives.labels.Labels`; `NONE` agrees with nothing.
    directions
        (B,) codes; where given, a pair agrees only if its directions are the same too. Without them this is
        `valueflow.hives.labels.agree` of the batch with itself.

    Returns
    -------
    (L, B, B) bool tensor
        The diagonal is true where a text has a path at all.
    """
    # A text's paths at a level are a set of a few dozen names, and two sets meet where the product of their indicator
    # vectors is above 0. One matrix product a level costs B * B * names at full speed and holds no more than B * B
    # numbers; comparing each path with each would pass W * W times over B * B.
    levels = []
    for codes in paths.unbind(dim=2):
        names, columns = torch.unique(codes, return_inverse=True)
        sets = torch.zeros(len(codes), len(names), device=paths.device)
        sets.scatter_(1, columns, (codes != NONE).to(sets.dtype))
        levels.append(sets @ sets.T > 0)
    result = torch.stack(levels)
    return result if directions is None else result & (directions[:, None] == directions)


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
        self.temperature = _above_zero("temperature", temperature)
        self.base_temperature = _above_zero("base_temperature", base_temperature)
        self.direction_penalty = _not_below_zero("direction_penalty", direction_penalty)

    def forward(self, embeddings: Tensor, paths: Tensor, directions: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        embeddings
            (B, D), of any lengths.
        paths, directions
            (B, W, L) and (B,), as in `BatchLabels`.

        Returns
        -------
        scalar tensor
        """
        _check_lengths(embeddings, paths, directions)
        with _no_autocast(embeddings):
            similarities = _similarities(embeddings, self.temperature)
            same = directions[:, None] == directions
            similarities = similarities - self.direction_penalty * (~same).to(similarities.dtype)
            return self._over_levels(*_surprise(similarities, agreement(paths, directions)))

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


class IdContrastiveLoss(nn.Module):
    r"""InfoNCE over ids: near are the texts that share an id.

    With z the embeddings at length 1, i, j texts of the batch and P(i) the texts other than i that have i's id,

    .. math::

        \log p_{ij} &= z_i \cdot z_j / \tau - \log \sum_{k \ne i} \exp(z_i \cdot z_k / \tau) \\
        L &= -\operatorname{mean}_{i:\, P(i) \ne \emptyset} \operatorname{mean}_{j \in P(i)} \log p_{ij}

    Texts without an id have no P(i) but stand among the k. Where no text has a P(i) the loss is 0, with a gradient of 0
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
        self.temperature = _above_zero("temperature", temperature)

    def forward(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        embeddings
            (B, D), of any lengths.
        ids
            (B,) int64, `NONE` for a text without one.

        Returns
        -------
        scalar tensor
        """
        _check_lengths(embeddings, ids)
        with _no_autocast(embeddings):
            same = (ids[:, None] == ids) & (ids != NONE)
            losses, _ = _surprise(_similarities(embeddings, self.temperature), same[None])
            return losses[0]

    def extra_repr(self) -> str:
        """Name the options, for `print(module)`."""
        return f"temperature={self.temperature}"


class IntraTheoryObjective(nn.Module):
    """What stage 1 minimises: the hierarchical loss of the whole batch, whatever its parts.

    Parameters
    ----------
    hierarchy
        The loss; with its default options where not given.

    Examples
    --------
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
    r"""What stage 2 minimises: three losses, each over its own part of the batch and blind to the others.

    .. math::

        L = L_\text{hierarchy} + w_i L_\text{individual} + w_a L_\text{anchor}

    A part without texts, or without pairs that ought to be near, adds 0.

    Parameters
    ----------
    hierarchy
        Loss of the part `HIERARCHY`; with its default options where not given.
    contrastive
        Loss by id of the parts `INDIVIDUAL` and `ANCHOR`; with its default options where not given.
    individual_weight, anchor_weight
        w_i and w_a.

    Raises
    ------
    InputError
        Where a weight is below zero.

    Examples
    --------
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
        anchor_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.hierarchy = hierarchy or HierarchicalLoss()
        self.contrastive = contrastive or IdContrastiveLoss()
        self.individual_weight = _not_below_zero("individual_weight", individual_weight)
        self.anchor_weight = _not_below_zero("anchor_weight", anchor_weight)

    def forward(self, embeddings: Tensor, labels: BatchLabels) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Parameters
        ----------
        embeddings
            (B, D), of any lengths.
        labels
            Of the same B texts.

        Returns
        -------
        dict of scalar tensors
            `loss`, the weighted sum, and its parts without weights: `hierarchy`, `individual` and `anchor`.

        Raises
        ------
        ValueError
            Where a text stands in none of the three parts: no loss would see it.
        """
        _check_lengths(embeddings, labels.parts)
        rows = [(labels.parts == part).nonzero().squeeze(1) for part in (HIERARCHY, INDIVIDUAL, ANCHOR)]
        if sum(map(len, rows)) != len(embeddings):
            raise ValueError(f"parts must be {HIERARCHY}, {INDIVIDUAL} or {ANCHOR}")
        first, second, third = rows
        hierarchy = self.hierarchy(embeddings[first], labels.paths[first], labels.directions[first])
        individual = self.contrastive(embeddings[second], labels.ids[second])
        anchor = self.contrastive(embeddings[third], labels.ids[third])
        loss = hierarchy + self.individual_weight * individual + self.anchor_weight * anchor
        return {"loss": loss, "hierarchy": hierarchy, "individual": individual, "anchor": anchor}

    def extra_repr(self) -> str:
        """Name the options, for `print(module)`."""
        return f"individual_weight={self.individual_weight}, anchor_weight={self.anchor_weight}"


def _similarities(embeddings: Tensor, temperature: float) -> Tensor:
    """Cosines over the temperature, (B, B), in float32 at least."""
    wide = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    unit = functional.normalize(wide, dim=1)
    return unit @ unit.T / temperature


def _surprise(similarities: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Average -log p over the positives of each text, then over the texts that have any.

    Parameters
    ----------
    similarities
        (B, B); neither here nor below is the diagonal looked at.
    positives
        (L, B, B) masks.

    Returns
    -------
    losses : (L,)
        0 where no text has a positive.
    exists : (L,) bool
        Whether any has.
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


def _no_autocast(embeddings: Tensor) -> torch.autocast:
    """Switch autocast off: cosines of 8 bits over a temperature of 0.07 would be off by some hundredths."""
    return torch.autocast(embeddings.device.type, enabled=False)


def _check_lengths(*tensors: Tensor) -> None:
    """Raise where tensors are not of the same texts; broadcasting would hide it where one has length 1."""
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) > 1:
        raise ValueError(f"embeddings and labels must be of the same texts, got lengths {', '.join(map(str, lengths))}")


def _above_zero(name: str, number: float) -> float:
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name} must be above zero, got {number}")
    return number


def _not_below_zero(name: str, number: float) -> float:
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{name} must not be below zero, got {number}")
    return number
