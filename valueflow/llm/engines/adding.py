"""Adding vectors to the residual stream of transformers' models: a hook after each decoder layer that is asked for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from valueflow.llm.additions import Addition
from valueflow.run import InputError

if TYPE_CHECKING:
    import torch


def decoder_layers(model: Any) -> Any:
    """Return the decoder layers of a causal language model, in order.

    Raises
    ------
    InputError
        It is built otherwise.
    """
    import torch

    n = model.config.get_text_config().num_hidden_layers
    for module in model.get_decoder().modules():
        # The outermost list of so many: what is inside a layer comes after it.
        if isinstance(module, torch.nn.ModuleList) and len(module) == n:
            return module
    raise InputError(
        f"model of type '{model.config.model_type}' has no list of {n} decoder layers: its residual stream cannot be "
        "reached; steer it by prompts"
    )


@contextmanager
def adding(model: Any, additions: Sequence[Sequence[Addition]], attention: "torch.Tensor") -> Iterator[None]:
    """Add vectors to the residual stream in the forward passes of one generation, and stop whatever happens.

    Parameters
    ----------
    model
        A causal language model of transformers.
    additions
        Of each of B rows; rows without any are left as they are.
    attention
        (B, width) the prompts' attention mask, 0 where a row is padding. Padding is left as it is.

    Raises
    ------
    InputError
        There is no such layer, or a vector is not as wide as the residual stream.
    """
    by_layer: dict[int, list[tuple[int, Addition]]] = {}
    for row, of_row in enumerate(additions):
        for one in of_row:
            by_layer.setdefault(one.layer, []).append((row, one))
    if not by_layer:
        yield
        return
    layers, width = decoder_layers(model), model.config.get_text_config().hidden_size
    for layer, placed in by_layer.items():
        _check(layer, [one for _, one in placed], len(layers), width)
    handles: list[Any] = []
    try:
        for layer, placed in by_layer.items():
            handles.append(layers[layer].register_forward_hook(_Adder(placed, attention, width)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check(layer: int, additions: Sequence[Addition], n_layers: int, width: int) -> None:
    if not 0 <= layer < n_layers:
        raise InputError(f"layer {layer}: the model has {n_layers} layers, 0 to {n_layers - 1}")
    wrong = next((one.vector.shape for one in additions if one.vector.shape != (width,)), None)
    if wrong is not None:
        raise InputError(f"a vector of shape {wrong} cannot be added to a residual stream of {width} numbers")


class _Adder:
    """A hook after one decoder layer, for the passes of one generation: first the prompts, then token by token."""

    def __init__(self, placed: Sequence[tuple[int, Addition]], attention: "torch.Tensor", width: int) -> None:
        import torch

        everywhere, generated = np.zeros((2, len(attention), 1, width), dtype=np.float32)
        for row, one in placed:
            sums = everywhere if one.tokens == "all" else generated
            sums[row, 0] += np.float32(one.strength) * one.vector
        self._everywhere = torch.from_numpy(everywhere).to(attention.device)
        self._on_answer = torch.from_numpy(everywhere + generated).to(attention.device)
        self._is_token = attention[:, :, None].to(torch.float32)
        self._seen = 0

    def __call__(self, _module: Any, _inputs: Any, output: Any) -> Any:
        import torch

        hidden = output[0] if isinstance(output, tuple) else output
        start, self._seen = self._seen, self._seen + hidden.shape[1]
        width = self._is_token.shape[1]
        if start >= width:
            added = self._on_answer
        else:
            added = self._is_token[:, start : self._seen] * self._everywhere
            if self._seen >= width:
                last = width - 1 - start
                added = torch.cat([added[:, :last], self._on_answer.expand(-1, added.shape[1] - last, -1)], dim=1)
        # In 32 bits, so that a stream of 16 is rounded once.
        steered = (hidden.float() + added).to(hidden.dtype)
        return (steered, *output[1:]) if isinstance(output, tuple) else steered
