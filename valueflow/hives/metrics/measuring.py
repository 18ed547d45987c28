"""An encoder measured on labeled texts."""

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data import (
    TrainingTable,
    held_out_of_training,
    is_held_out,
    load_table,
    without_texts_of,
)
from valueflow.hives.metrics.held_out import held_out_metrics
from valueflow.hives.metrics.published import published_metrics
from valueflow.hives.outcome import MeasuredEncoder
from valueflow.hives.settings import TrainSettings
from valueflow.run import InputError, Run

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_TEXTS_AT_ONCE = 64

_log = logging.getLogger(__name__)


def measure_encoder(settings: TrainSettings, run: Run) -> MeasuredEncoder:
    """Measure an encoder on `data.test` or, where that is not given, on the held-out texts of `data.train`."""
    given = settings.data
    with run.stage("load"):
        sources = given.test or given.train or []
        table = whole = load_table(sources, given.theory)
        if given.test is None:
            held = is_held_out(table.texts, given.held_out, settings.seed)
            if not held.any():
                raise InputError(f"data.held_out={given.held_out}: no text is held out; give data.test=FILE")
            table = whole.take(held)
        training = None
        if settings.metrics == "published":
            training = _training_texts(settings, table, whole if given.test is None else None)
        from valueflow.hives.training import load_backbone

        encoder = load_backbone(settings.backbone, settings.model)
    with run.stage("measure"):
        metrics = embedding_metrics(
            encoder,
            table,
            seed=settings.seed,
            on_gpu=settings.trainer.may_use_gpu,
            published=settings.metrics == "published",
            training=training,
        )
    summary = {
        "task": "test",
        "model": settings.model or settings.backbone.model,
        "data": {"sources": sources, "texts": len(table)}
        | ({"training": len(training)} if training is not None else {}),
        "after": metrics,
        "settings": settings.model_dump(mode="json"),
    }
    return MeasuredEncoder(metrics=_as_table(metrics), summary=summary)


def embedding_metrics(
    model: "SentenceTransformer",
    table: TrainingTable,
    *,
    seed: int,
    on_gpu: bool = False,
    published: bool = False,
    training: TrainingTable | None = None,
) -> dict[str, Any]:
    """Embed texts, on a GPU if there is one and it may be used, and return all metrics as `held_out_metrics` does.

    With `published` there is one entry more of this name, as `published_metrics` returns it; `training` holds the texts
    that are trained on, for this entry alone.
    """
    vectors = _embedded(model, table, on_gpu=on_gpu)
    metrics = held_out_metrics(vectors, table.labels, seed=seed)
    if published:
        known = (_embedded(model, training, on_gpu=on_gpu), training.labels) if training is not None else None
        metrics["published"] = published_metrics(vectors, table.labels, known, seed=seed)
    return metrics


def _embedded(model: "SentenceTransformer", table: TrainingTable, *, on_gpu: bool) -> npt.NDArray[np.float32]:
    """Return the (N, D) embeddings of the texts of a table, each text embedded once."""
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
    return np.asarray(vectors[[places[text] for text in table.texts]])


def _training_texts(
    settings: TrainSettings, table: TrainingTable, offered: TrainingTable | None
) -> TrainingTable | None:
    """Return the texts that a training with these settings learns from, none of which is measured.

    `offered` is what `data.train` holds, None: it is not read yet.
    """
    given = settings.data
    if given.train is None:
        _log.warning("metrics=published: data.train is not set, so there are no training texts to find the nearest of")
        return None
    if offered is None:
        offered = load_table(given.train, given.theory)
    offered = offered.take(~held_out_of_training(offered, given, settings.seed))
    watched = [table, *([load_table(given.validation, given.theory)] if given.validation else [])]
    training = without_texts_of(offered, watched)
    if not len(training):
        raise InputError(
            "metrics=published: every text of data.train is measured, so none is left to find the nearest of; "
            "give data.test=FILE with other texts, or leave data.train out"
        )
    if len(training) < len(offered):
        seen = f"{len(offered) - len(training):,}"
        _log.warning("%s training texts are among the measured texts too; no text is compared with them", seen)
    return training


def _as_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """Lay metrics out, with their standard errors: one row for all texts, and one per theory."""
    blocks = [("", metrics)] + ([("published_", metrics["published"])] if "published" in metrics else [])

    def row(*place: str) -> dict[str, float | None]:
        figures: dict[str, float | None] = {}
        for prefix, block in blocks:
            own, errors = block, block["standard_errors"]
            for key in place:
                own, errors = own[key], errors[key]
            figures |= {f"{prefix}{name}": value for name, value in own.items()}
            figures |= {f"{prefix}{name}_se": value for name, value in errors.items()}
        return figures

    rows = [{"theory": "all", **row("overall")}]
    rows += [{"theory": theory, **row("theories", theory)} for theory in metrics["theories"]]
    return pd.DataFrame(rows)
