"""Trainings whose weights are divided between processes (FSDP), for encoders above what one GPU holds."""

from functools import partial
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.strategies import FSDPStrategy, Strategy
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import lambda_auto_wrap_policy
from transformers.modeling_layers import GradientCheckpointingLayer

SHARDED = "fsdp"
"""The strategy's name in settings."""


class _Sharded(FSDPStrategy):
    """Lightning's strategy. It refuses CPUs, on which torch can do it and tests do, unless it is a class of its own."""


def strategy_of(name: str) -> Strategy | str:
    """Return what Lightning takes for a strategy's name; `fsdp` divides each layer of a transformer by itself."""
    if name != SHARDED:
        return name
    layers = partial(lambda_auto_wrap_policy, lambda_fn=_is_layer)
    return _Sharded(auto_wrap_policy=layers, state_dict_type="full")


def load_whole(module: pl.LightningModule, trainer: pl.Trainer) -> None:
    """Load what a trainer's processes hold in parts into a whole module, in the first of them; all must call it."""
    weights = trainer.strategy.lightning_module_state_dict()
    if trainer.is_global_zero:
        module.load_state_dict(weights)


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, GradientCheckpointingLayer)


def is_sharded(model: Any) -> bool:
    """Return whether the model of a trainer is divided between processes."""
    return isinstance(model, FullyShardedDataParallel)


def whole_name(name: str) -> str:
    """Return the name that a parameter had before its module was divided."""
    return name.replace("_fsdp_wrapped_module.", "")
