"""An encoder measured on labeled texts."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from valueflow.hives.data import TrainingTable, is_held_out, load_table
from valueflow.hives.metrics.held_out import held_out_metrics
from valueflow.hives.outcome import MeasuredEncoder
from valueflow.hives.settings import TrainSettings
from valueflow.run import InputError, Run

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_TEXTS_AT_ONCE = 64


def measure_encoder(settings: TrainSettings, run: Run) -> MeasuredEncoder:
    """Measure an encoder on `data.test` or, where that is not given, on the held-out texts of `data.train`."""
    given = settings.data
    with run.stage("load"):
        sources = given.test or given.train or []
        table = load_table(sources)
        if given.test is None:
            held = is_held_out(table.texts, given.held_out, settings.seed)
            if not held.any():
                raise InputError(f"data.held_out={given.held_out}: no text is held out; give data.test=FILE")
            table = table.take(held)
        from valueflow.hives.training import load_backbone

        encoder = load_backbone(settings.backbone, settings.model)
    with run.stage("measure"):
        metrics = embedding_metrics(encoder, table, seed=settings.seed, on_gpu=settings.trainer.may_use_gpu)
    rows = [{"theory": "all", **metrics["overall"]}]
    rows += [{"theory": name, **own} for name, own in metrics["theories"].items()]
    summary = {
        "task": "test",
        "model": settings.model or settings.backbone.model,
        "data": {"sources": sources, "texts": len(table)},
        "after": metrics,
        "settings": settings.model_dump(mode="json"),
    }
    return MeasuredEncoder(metrics=pd.DataFrame(rows), summary=summary)


def embedding_metrics(
    model: "SentenceTransformer", table: TrainingTable, *, seed: int, on_gpu: bool = False
) -> dict[str, Any]:
    """Embed texts, on a GPU if there is one and it may be used, and return all metrics as `held_out_metrics` does."""
    import torch

    texts = sorted(set(table.texts))
    vectors = model.encode(
        texts,
        batch_size=_TEXTS_AT_ONCE,
        convert_to_numpy=True,
        show_progress_bar=False,
        device="cuda" if on_gpu and torch.cuda.is_available() else "cpu",
    )
    places = {text: place for place, text in enumerate(texts)}
    return held_out_metrics(vectors[[places[text] for text in table.texts]], table.labels, seed=seed)
