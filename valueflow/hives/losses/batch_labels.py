"""Labels of a batch as tensors, and which of its texts agree."""

from dataclasses import dataclass

import torch
from torch import Tensor

from valueflow.hives.data import NONE


@dataclass(frozen=True, eq=False)
class BatchLabels:
    """Labels of a batch of B texts, as int64 tensors.

    Attributes
    ----------
    paths
        (B, W, L) hierarchy paths, as in `valueflow.hives.data.Labels`.
    directions
        (B,) direction codes.
    ids
        (B,) or (B, K) ids for the two losses by id: the individual in part `INDIVIDUAL`, all concepts of the text in
        part `CONCEPT`; `NONE` fills up.
    parts
        (B,) the one part of the batch that a text belongs to: `HIERARCHICAL`, `INDIVIDUAL` or `CONCEPT`.

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
        check_lengths(self.paths, self.directions, self.ids, self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def to(self, device: torch.device | str) -> "BatchLabels":
        """Return the labels on another device."""
        return BatchLabels(*(part.to(device) for part in (self.paths, self.directions, self.ids, self.parts)))


def agreement(paths: Tensor, directions: Tensor | None = None) -> Tensor:
    """Return for each level and each pair of a batch whether any of their paths agree down to that level.

    Takes (B, W, L) int64 paths as in `valueflow.hives.data.Labels`; `NONE` agrees with nothing. Where (B,) directions
    are given, a pair agrees only if these are the same too; without them this is `valueflow.hives.data.agree` of the
    batch with itself. Returns (L, B, B) bools; the diagonal is true where a text has a path at all.
    """
    # A text's paths at a level are a set of a few dozen names, and two sets meet where the product of their indicator
    # vectors is above 0. One matrix product per level costs B * B * names at full speed in B * B numbers; comparing
    # each path with each would pass W * W times over B * B.
    levels = []
    for codes in paths.unbind(dim=2):
        names, columns = torch.unique(codes, return_inverse=True)
        sets = torch.zeros(len(codes), len(names), device=paths.device)
        sets.scatter_(1, columns, (codes != NONE).to(sets.dtype))
        levels.append(sets @ sets.T > 0)
    result = torch.stack(levels)
    return result if directions is None else result & (directions[:, None] == directions)


def check_lengths(*tensors: Tensor) -> None:
    """Raise where tensors are not of the same texts; broadcasting would hide it where one has length 1."""
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) > 1:
        raise ValueError(f"embeddings and labels must be of the same texts, got lengths {', '.join(map(str, lengths))}")
