"""Random draws of tokens that do not depend on which other conversations share a batch."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def row_generators(prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> list[np.random.Generator]:
    """Return where each conversation's draws come from, the same whatever stands beside it."""
    pairs = zip(seeds, prompts, strict=True)
    keys = (hashlib.sha256(f"{seed} {list(prompt)}".encode()).digest() for seed, prompt in pairs)
    return [np.random.default_rng(int.from_bytes(key, "big")) for key in keys]


def draw(
    generators: Sequence[np.random.Generator], temperatures: Sequence[float]
) -> Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]:
    """Return a logits processor after which the highest score is a draw from softmax(logits / temperature).

    Every token gets Gumbel noise of its own (Gumbel 1954, "Statistical theory of extreme values"). Looking a single
    uniform number up in the cumulative probabilities would be cheaper, but there the rounding of all tokens adds up:
    in batches of another size, one draw in a few hundred fell on the token next to it.

    Parameters
    ----------
    generators
        One a row.
    temperatures
        One a row; one of 0 is left alone, its highest score the likeliest token's.
    """
    import torch

    drawn = [row for row, temperature in enumerate(temperatures) if temperature > 0]

    def with_noise(_: "torch.Tensor", logits: "torch.Tensor") -> "torch.Tensor":
        # Made on the CPU, so that draws are the same on every device; -log of an exponential draw is a Gumbel draw.
        waits = np.stack([generators[row].standard_exponential(logits.shape[-1]) for row in drawn])
        noise = torch.from_numpy(-np.log(np.maximum(waits, np.finfo(float).tiny)))
        # Apple's GPUs know no double precision.
        precise = torch.float32 if logits.device.type == "mps" else torch.float64
        scales = torch.tensor([[temperatures[row]] for row in drawn], dtype=precise, device=logits.device)
        scores = logits.to(precise, copy=True)
        scores[drawn] = scores[drawn] / scales + noise.to(logits.device, precise)
        return scores

    return with_noise
