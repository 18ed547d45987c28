"""Lightning's trainer, as the settings describe it."""

from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException

from valueflow.hives.settings import FSDP, TrainerSettings
from valueflow.hives.training.sharding import ShardingStrategy
from valueflow.run import InputError


def build_trainer(settings: TrainerSettings, **more: Any) -> pl.Trainer:
    """Return Lightning's trainer.

    Raises
    ------
    InputError
        This machine does not have what the settings ask for.
    """
    try:
        trainer = pl.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            strategy=ShardingStrategy() if settings.strategy == FSDP else settings.strategy,
            precision=settings.precision,
            gradient_clip_val=settings.gradient_clip,
            use_distributed_sampler=False,  # `TrainingSteps` splits batches between processes
            num_sanity_val_steps=0,
            enable_model_summary=False,
            **more,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"trainer: {reason} (accelerator={settings.accelerator}, devices={settings.devices}, "
            f"strategy={settings.strategy}); on a machine without a GPU give trainer=cpu"
        ) from error
    if settings.strategy == FSDP and trainer.world_size == 1:
        raise InputError(
            f"trainer: strategy={FSDP} divides the encoder among several devices, and there is one "
            f"(accelerator={settings.accelerator}, devices={settings.devices}); give trainer=gpu or trainer=cpu"
        )
    return trainer
