"""An encoder divided among processes, for backbones that are too large to be trained on one GPU."""

from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from valueflow.hives.training.checkpoints import read_checkpoint


class ShardingStrategy(ModelParallelStrategy):
    """Fully sharded data parallelism: a process has a share of every weight, gradient and moment of AdamW.

    The weights of a layer are gathered while it computes and freed after it. Checkpoints are those of one process, so
    a training can go on in another number of processes, sharded or not.

    References
    ----------
    Zhao, Y. et al. (2023). PyTorch FSDP: experiences on scaling fully sharded data parallel. PVLDB 16(12).
    arXiv:2304.11277. What is used is PyTorch's second version of it, `torch.distributed.fsdp.fully_shard`.
    """

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)

    def sharded(self, encoder: SentenceTransformer) -> SentenceTransformer:
        """Return a copy of an encoder, divided among all processes; the encoder itself stays whole, on the CPU."""
        encoder.cpu()  # measuring it may have moved it to the GPU
        # Sharding moves the parameters it is given; these are new ones, which share the memory of the encoder's.
        copies: dict[int, Any] = {
            id(own): nn.Parameter(own.detach(), own.requires_grad) for own in encoder.parameters()
        }
        copies |= {id(own): own.detach() for own in encoder.buffers()}
        copy = deepcopy(encoder, copies)
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        layers = _layers(copy)
        for module in (*layers, copy):
            fully_shard(module, mesh=mesh, mp_policy=self._policy())
        for layer in layers:
            # When gradient caching embeds a chunk again, within the backward pass, PyTorch leaves layers gathered.
            layer.register_forward_hook(lambda module, *_: cast(FSDPModule, module).reshard())
        return copy

    def _policy(self) -> MixedPrecisionPolicy:
        if self.precision_plugin.precision != "bf16-mixed":
            return MixedPrecisionPolicy()
        # Autocast would turn weights into bfloat16 after they are gathered, and keep those of all layers until the
        # backward pass.
        return MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the state that the optimizer would have in one process; the main process alone gets all of it."""
        content = optimizer.state_dict()
        state = {}
        for number, own in content["state"].items():
            gathered = {name: whole(part) for name, part in own.items()}  # by all processes
            if self.is_global_zero:
                state[number] = {name: part.cpu() for name, part in gathered.items()}
        return {**content, "state": state}

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """Take weights and the optimizer's state from a checkpoint of any number of processes, and return all of it."""
        checkpoint: dict[str, Any] = read_checkpoint(checkpoint_path)
        assert self.model is not None
        set_model_state_dict(self.model, checkpoint["state_dict"], options=StateDictOptions(full_state_dict=True))
        for optimizer, content in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(_sharded_state(content, optimizer))
        return checkpoint


def take_weights(encoder: SentenceTransformer, sharded: nn.Module) -> None:
    """Copy the weights of a sharded encoder to a whole one in the main process; all processes must call it."""
    weights = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if weights:
        encoder.load_state_dict(weights)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor whose shares are gathered from all processes; one that is not shared as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _layers(encoder: nn.Module) -> list[nn.Module]:
    """Return the encoder's layers: the list of modules that has the most parameters."""
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    return list(max(lists, key=lambda own: sum(part.numel() for part in own.parameters()), default=[]))


def _sharded_state(content: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {
        number: {name: _sharded_as(parameters[number], part) for name, part in own.items()}
        for number, own in content["state"].items()
    }
    return {**content, "state": state}


def _sharded_as(parameter: DTensor, part: Tensor) -> Tensor:
    if not part.ndim:  # the number of steps
        return part
    return distribute_tensor(part, parameter.device_mesh, parameter.placements)
