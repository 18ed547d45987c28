"""Answers of one token: a forward pass a batch, in which what prompts begin with in common is computed once."""

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SHORTEST_BEGINNING = 16
"""Tokens that prompts must have in common for it to be worth a pass of its own."""

WORTH_SPLITTING = 1.25
"""How many times as many tokens several beginnings must save as one beginning of all."""

_DEPENDS_ON_LENGTH = ("dynamic", "longrope")
"""Rotary embeddings that turn the same token otherwise in a longer prompt."""


def common_beginnings(prompts: Sequence[list[int]]) -> list[tuple[int, list[int]]]:
    """Divide prompts into those that begin alike.

    They are divided further as long as that saves clearly more tokens: the prompts of each of several wordings are
    taken together, and not those of one wording whose texts happen to begin with the same word.

    Returns
    -------
    list of (int, list of int)
        How many tokens are shared, and the indices of the prompts that share them. At least `SHORTEST_BEGINNING`, or
        0; and never the whole of a prompt.
    """
    order = sorted(range(len(prompts)), key=lambda index: prompts[index])
    # What two prompts have in common is the least of what their neighbors between them have.
    alike = [_alike(prompts[one], prompts[other]) for one, other in pairwise(order)]
    undecided = [(0, len(order))] if order else []
    parts = []
    while undecided:
        start, end = undecided.pop()
        least = min(alike[start : end - 1], default=0)
        cuts = [start, *(place + 1 for place in range(start, end - 1) if alike[place] == least), end]
        finer = list(pairwise(cuts))
        saved, finer_saved = (
            sum((b - a - 1) * _shared(prompts, order[a:b], alike[a : b - 1]) for a, b in runs)
            for runs in ([(start, end)], finer)
        )
        if finer_saved > WORTH_SPLITTING * saved:
            undecided += finer
        else:
            parts.append((_shared(prompts, order[start:end], alike[start : end - 1]), order[start:end]))
    return parts


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _shared(prompts: Sequence[Sequence[int]], run: Sequence[int], alike: Sequence[int]) -> int:
    """Return how many tokens a run of prompts shares, given what neighbors have in common."""
    length = min([*alike, *(len(prompts[index]) - 1 for index in run)]) if alike else 0
    return length if length >= SHORTEST_BEGINNING else 0


def keeps_all(model: Any) -> bool:
    """Return whether a model's layers keep the keys and values of all tokens, whatever comes after these.

    Sliding windows and recurrent states are computed otherwise in parts than in one go.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if not {"past_key_values", "position_ids"} <= inspect.signature(model.forward).parameters.keys():
        return False
    rotary = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    if any(kind in _DEPENDS_ON_LENGTH for kind in _rotary_types(rotary)):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _rotary_types(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the kinds of rotary embeddings; models may have parameters of their own for each type of layer."""
    for name, given in parameters.items():
        if isinstance(given, Mapping):
            yield from _rotary_types(given)
        elif name == "rope_type":
            yield str(given)


class OneToken:
    """What a model says of the token after each of many prompts.

    Parameters
    ----------
    model
        A causal language model of transformers.
    padding
        The token that shorter prompts are filled up with; which one makes no difference.
    beginning
        What all prompts begin with, computed here and never again. Only for a model that `keeps_all`.

    Raises
    ------
    torch.OutOfMemoryError
        Memory does not suffice for the beginning.
    """

    def __init__(self, model: Any, padding: int, beginning: Sequence[int]) -> None:
        self._model = model
        self._padding = padding
        self._shared = len(beginning)
        self._takes = inspect.signature(model.forward).parameters.keys()
        self._cache: Any = None
        if beginning:
            from transformers import DynamicCache

            self._cache = DynamicCache(config=model.config)
            self._logits([[*beginning]], [[1] * self._shared], self._cache)

    def logits(self, prompts: Sequence[Sequence[int]]) -> "torch.Tensor":
        """Return the scores of the next token, rows x vocabulary.

        Raises
        ------
        torch.OutOfMemoryError
            Memory does not suffice for so many prompts.
        """
        import torch

        width = max(len(prompt) for prompt in prompts)
        gaps = [width - len(prompt) for prompt in prompts]
        # Gaps stand after the beginning, so that all prompts end at the same place.
        rows = [[self._padding] * gap + [*prompt[self._shared :]] for prompt, gap in zip(prompts, gaps, strict=True)]
        seen = [[1] * self._shared + [0] * gap + [1] * (width - self._shared - gap) for gap in gaps]
        if self._cache is None:
            return self._logits(rows, seen, None)
        with torch.inference_mode():
            # A copy, to which the batch adds its own keys and values.
            cache = copy.deepcopy(self._cache)
            cache.batch_repeat_interleave(len(prompts))
        return self._logits(rows, seen, cache)

    def _logits(self, rows: Sequence[list[int]], seen: Sequence[list[int]], cache: Any) -> "torch.Tensor":
        """Run the model on tokens after those in a cache; `seen` has a 0 for every place that is no token."""
        import torch

        device = self._model.device
        more: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            more["past_key_values"] = cache
        if "position_ids" in self._takes:
            places = [[max(count - 1, 0) for count in accumulate(row)][-len(rows[0]) :] for row in seen]
            more["position_ids"] = torch.tensor(places, device=device)
        if "logits_to_keep" in self._takes:
            # Those of all places would take a vocabulary for each token of a prompt.
            more["logits_to_keep"] = 1
        with torch.inference_mode():
            answer = self._model(
                input_ids=torch.tensor(rows, device=device), attention_mask=torch.tensor(seen, device=device), **more
            )
        logits: torch.Tensor = answer.logits[:, -1]
        return logits
