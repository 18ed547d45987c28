"""What the framework costs in training, and what padding to the batch alone saves.

A training of MiniLM on the ValueEval arguments by `fit`, against a bare PyTorch loop that is fed the same tensors: the
same chunks, loss, clipping, optimizer and schedule, without Lightning, checkpoints, logging or tokenizing. And against
the same bare loop with every text padded to 256 tokens. All three in one process, in turns.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from record import cannot_run, record
from sentence_transformers import SentenceTransformer
from transformers import get_scheduler

from valueflow.hives import TrainSettings
from valueflow.hives.data import TrainingTable, load_table
from valueflow.hives.training import (
    Chunks,
    HivesModule,
    TrainingBatch,
    TrainingSteps,
    build_batches,
    build_objective,
    fit,
    load_backbone,
)
from valueflow.run import compose_settings

ARGUMENTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "valueeval23_arguments_train.tsv"
BAR_OVERHEAD, BAR_PADDING = 0.90, 4.0
_LOG_EVERY = 10


class _Clock(DummyLogger):
    """A logger that keeps the time of each call: Lightning logs every 10 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        self.at.append(time.perf_counter())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed, in tens, a turn")
    parser.add_argument("--turns", type=int, default=2, help="turns of the framework and of the bare loop")
    parser.add_argument("--padded-steps", type=int, default=3, help="steps with every text padded to 256 tokens")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training.json"))
    options = parser.parse_args()
    if not ARGUMENTS.is_file():
        return cannot_run(f"{ARGUMENTS} is not here; its texts may not be copied into the project")
    table = load_table([str(ARGUMENTS)])
    settings = TrainSettings.checked(
        compose_settings(
            "train",
            {"backbone": "minilm", "trainer": "cpu", "progress": False, "validate_every": 10_000}
            | {"max_steps": options.steps + _LOG_EVERY, "data.train": str(ARGUMENTS)},
        )
    )
    ours, bare = [], []
    for _ in range(options.turns):
        ours.append(_ours(settings, table))
        bare.append(_bare(settings, table, range(options.steps), padded=False))
    padded = _bare(settings, table, range(options.padded_steps), padded=True)
    rates = {name: float(np.median(turns)) for name, turns in (("ours", ours), ("bare", bare))} | {"padded": padded}
    overhead, saved = rates["ours"] / rates["bare"], rates["ours"] / rates["padded"]
    for name, rate in rates.items():
        print(f"{name:<10}{rate:8.1f} texts/s")
    print(f"the framework reaches {overhead:.1%} of a bare loop on the same tensors (bar {BAR_OVERHEAD:.0%})")
    print(f"and is {saved:.1f} times as fast as with every text padded to 256 tokens (bar {BAR_PADDING:.0f})")
    record(
        options.out,
        {"texts_per_second": rates, "turns": {"ours": ours, "bare": bare}} | {"of_bare": overhead, "of_padded": saved},
    )
    return 0 if overhead >= BAR_OVERHEAD and saved >= BAR_PADDING else 1


def _ours(settings: TrainSettings, table: TrainingTable) -> float:
    """Return texts a second, from the first logged step to the last."""
    encoder = load_backbone(settings.backbone)
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        fit(encoder, table, None, settings, folder=Path(folder), curves=clock)
    batches = build_batches(settings, table)
    steps = (settings.max_steps or 0) - _LOG_EVERY
    texts = sum(len(batches.batch(0, number).rows) for number in range(_LOG_EVERY, _LOG_EVERY + steps))
    return texts / (clock.at[-1] - clock.at[0])


def _bare(settings: TrainSettings, table: TrainingTable, steps: range, *, padded: bool) -> float:
    """Return texts a second of a loop with nothing but the arithmetic."""
    encoder = load_backbone(settings.backbone)
    data = TrainingSteps(table, build_batches(settings, table), encoder.preprocess, chunk_size=settings.chunk_size)
    inputs = [data[step] for step in (0, *steps)]
    if padded:
        inputs = [_padded(batch, encoder) for batch in inputs]
    objective = build_objective(settings)
    # Its embedding is a plain function of encoder and chunks, and its optimizer of the settings.
    module = HivesModule(encoder, objective, settings.optimizer, steps=len(inputs))
    optimizer = module.configure_optimizers()["optimizer"]
    schedule = get_scheduler("cosine", optimizer, num_warmup_steps=0, num_training_steps=len(inputs))
    encoder.train()
    start = 0.0
    for number, batch in enumerate(inputs):
        if number == 1:  # the first warms up
            start = time.perf_counter()
        optimizer.zero_grad()
        objective(module.embed(batch.chunks), batch.labels)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return sum(len(batch.labels) for batch in inputs[1:]) / (time.perf_counter() - start)


def _padded(batch: TrainingBatch, encoder: SentenceTransformer, length: int = 256) -> TrainingBatch:
    """Return a batch with every text padded to one length."""
    features = []
    for chunk in batch.chunks.features:
        texts = encoder.tokenizer.batch_decode(chunk["input_ids"], skip_special_tokens=True)
        tokens = encoder.tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        features.append({**chunk, **tokens})
    return TrainingBatch(Chunks(features, batch.chunks.places), batch.labels, batch.step)


if __name__ == "__main__":
    sys.exit(main())
