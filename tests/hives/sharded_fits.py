"""Run by a test in one of several processes: trains as told, and writes down what can be compared.

python -m tests.hives.sharded_fits ENCODER TABLE FOLDER FIT [FIT ...], each FIT a name of `FITS`
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning.pytorch as pl
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import get_total_norm

from valueflow.hives import TrainSettings
from valueflow.hives.data import VALIDATION, load_table, parts_of
from valueflow.hives.training import HivesModule, LossCurve, export_model, fit, load_backbone
from valueflow.hives.training.sharding import whole
from valueflow.run import compose_settings

STEPS = 4
CLIP = 0.5
BREAK_AFTER = 3

FITS: dict[str, dict[str, Any]] = {
    "one": {"trainer": "cpu"},
    "one_unmeasured": {"trainer": "cpu"},
    "one_breaks": {"trainer": "cpu"},
    "one_resumes": {"trainer": "cpu"},
    "ddp": {"trainer": "ddp"},
    "fsdp": {"trainer": "fsdp"},
    "fsdp_unmeasured": {"trainer": "fsdp", "gradient_caching": True},
    "fsdp_resumes": {"trainer": "fsdp"},
    "fsdp_breaks": {"trainer": "fsdp"},
}


class BrokenError(Exception):
    """An interruption between two steps."""


class Watch:
    """Notes the norm of the gradient at each step, before and after clipping, and how many layers stay gathered."""

    def __init__(self, *, breaks: bool) -> None:
        self.norms: list[float] = []
        self.clipped: list[float] = []
        self.most_gathered = 0
        self._breaks = breaks

    @contextmanager
    def watching(self) -> Iterator[None]:
        clip, end = HivesModule.configure_gradient_clipping, LossCurve.on_train_batch_end

        def clipped(module: HivesModule, *args: Any, **kwargs: Any) -> None:
            clip(module, *args, **kwargs)
            gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
            self.clipped.append(float(whole(get_total_norm(gradients))))

        def ended(curve: LossCurve, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
            end(curve, trainer, *args, **kwargs)
            self.norms.append(float(trainer.callback_metrics["gradient_norm"]))
            if self._breaks and trainer.global_step == BREAK_AFTER:
                raise BrokenError

        with (
            patch.object(HivesModule, "configure_gradient_clipping", clipped),
            patch.object(LossCurve, "on_train_batch_end", ended),
            # Of all modules: gradient caching leaves a chunk that is embedded again once the encoder is through.
            register_module_forward_hook(self._note),
        ):
            yield

    def _note(self, module: nn.Module, *_: Any) -> None:
        if isinstance(module, SentenceTransformer):
            layers = [part for part in module.modules() if isinstance(part, FSDPModule) and part is not module]
            gathered = [not isinstance(next(layer.parameters()), DTensor) for layer in layers]
            self.most_gathered = max(self.most_gathered, sum(gathered))


def make(name: str, encoder_folder: str, table_file: str, folder: Path, devices: int) -> None:
    """Train in `folder/name`, and leave there the norms (`watched.json`), the curve and the export."""
    settings = TrainSettings.checked(
        compose_settings(
            "train",
            {"backbone": "any", "backbone.model": encoder_folder, "data.train": table_file, "progress": False}
            | {"trainer.accelerator": "cpu", "trainer.devices": devices, "trainer.precision": "32-true"}
            | {"trainer.workers": 0, "trainer.gradient_clip": CLIP, "optimizer.learning_rate": 1e-3}
            | {"stage.batch_size": 23, "stage.anchors_per_batch": 4, "stage.positives_per_anchor": 2, "chunk_size": 5}
            | {"max_steps": STEPS, "validate_every": 2, **FITS[name]},
        )
    )
    table = load_table([table_file])
    held = parts_of(table.texts, 0.3, 1) == VALIDATION
    validation = None if name.endswith("unmeasured") else table.take(held)
    encoder = load_backbone(settings.backbone)
    watch = Watch(breaks=name.endswith("breaks"))
    own = folder / name
    resumes = name.endswith("resumes")
    try:
        with watch.watching():
            result = fit(encoder, table.take(~held), validation, settings, folder=own, resume=resumes)
    except BrokenError:
        return
    if result.is_main:
        noted = {"norms": watch.norms, "clipped": watch.clipped, "most_gathered": watch.most_gathered}
        (own / "watched.json").write_text(json.dumps(noted | {"resumed_from": result.resumed_from}))
        export_model(encoder, own / "model", "")


if __name__ == "__main__":
    for fit_name in sys.argv[4:]:
        make(fit_name, sys.argv[1], sys.argv[2], Path(sys.argv[3]), devices=2)
