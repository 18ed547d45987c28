"""Run by a test, in one process or several: makes one step of stage 2 and writes its loss and gradients.

python -m tests.hives.one_step ENCODER TABLE DEVICES OUT
"""

import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from torch.utils.data import DataLoader

from valueflow.hives import TrainSettings
from valueflow.hives.data import load_table
from valueflow.hives.training import (
    HivesModule,
    TrainingSteps,
    build_batches,
    build_objective,
    build_trainer,
    load_backbone,
)
from valueflow.run import compose_settings


class Gradients(pl.Callback):
    """Keeps loss and gradients of a step."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        named = pl_module.named_parameters()
        self.kept = {name: part.grad.numpy().copy() for name, part in named if part.grad is not None}

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self.kept["loss"] = trainer.callback_metrics["train/loss"].numpy()
        self.kept["gradient_norm"] = trainer.callback_metrics["gradient_norm"].numpy()


def main(encoder_folder: str, table_file: str, devices: str, out: str) -> None:
    settings = TrainSettings.checked(
        compose_settings(
            "train",
            {"stage": "inter", "trainer": "cpu" if devices == "1" else "ddp", "backbone": "any"}
            | {"backbone.model": encoder_folder, "trainer.accelerator": "cpu", "trainer.devices": int(devices)}
            | {"trainer.precision": "32-true", "data.train": table_file, "progress": False, "chunk_size": 5}
            # What comes of it, 33 texts, does not divide by two processes.
            | {"stage.batch_size": 34, "stage.anchors_per_batch": 3, "stage.positives_per_anchor": 2}
            | {"stage.members_per_id": 2, "trainer.gradient_clip": None},
        )
    )
    table = load_table([table_file])
    encoder = load_backbone(settings.backbone)
    module = HivesModule(encoder, build_objective(settings), settings.optimizer, steps=1)
    gradients = Gradients()
    trainer = build_trainer(
        settings.trainer,
        max_steps=1,
        callbacks=[gradients],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    share = {"rank": trainer.global_rank, "world_size": trainer.world_size}
    batches = build_batches(settings, table)
    data = TrainingSteps(table, batches, encoder.preprocess, chunk_size=5, **share)
    trainer.fit(module, DataLoader(data, batch_size=None, sampler=range(1)))
    if trainer.is_global_zero:
        np.savez(Path(out), world_size=trainer.world_size, batch=len(batches.batch(0, 0)), **gradients.kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
