"""An encoder measured on labeled texts, alone or beside others."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data import (
    TEST,
    TRAINED_ON,
    VALIDATION,
    TrainingTable,
    keys_in,
    load_given,
    load_splits,
    near_duplicates,
    without_texts_of,
    without_trained_on,
)
from valueflow.hives.metrics.bootstrap import spread
from valueflow.hives.metrics.counted import Figures
from valueflow.hives.metrics.held_out import held_out_samples
from valueflow.hives.metrics.published import published_metrics
from valueflow.hives.metrics.similarity import FloatArray
from valueflow.hives.outcome import EncoderMap, MeasuredEncoder
from valueflow.hives.settings import TrainSettings
from valueflow.run import InputError, Run, progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_TEXTS_AT_ONCE = 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Measurement:
    """Metrics of an encoder as of `held_out_samples`, their values in samples of the texts, and the embeddings."""

    metrics: dict[str, Any]
    samples: dict[str, FloatArray]
    vectors: npt.NDArray[np.float32]

    def difference_errors(self, other: "Measurement") -> Figures:
        """Return the standard errors of the differences from another encoder's metrics on the same texts.

        They are those of paired differences: in each sample both encoders have the same texts.
        """
        return {name: spread(values - other.samples[name]) for name, values in self.samples.items()}


def measure_encoder(settings: TrainSettings, run: Run) -> MeasuredEncoder:
    """Measure an encoder, and those it is compared with, on a part of the texts (`measure`; by default the test)."""
    given = settings.data
    with run.stage("load"):
        part, offered, training = _measured_texts(settings)
        names = [*(settings.baseline or []), settings.model]
        table = without_trained_on(offered, keys_in(names))
        trained_on = len(offered) - len(table)
        _check_new(table, trained_on, part)
    measurements = []
    for name in names:
        from valueflow.hives.training import load_backbone

        with run.stage("load"):
            encoder = load_backbone(settings.backbone, name)
        with run.stage("measure"):
            measurements.append(measure_embeddings(encoder, table, settings, training=training))
    own = measurements[-1]
    shown = [name or settings.backbone.model for name in names]
    summary = {
        "task": "test",
        "model": shown[-1],
        "data": {
            "sources": (given.test if part == TEST else given.validation) or given.train or [],
            "texts": len(table),
            "measured": part,
        }
        | ({"left_out": {f"{part} {TRAINED_ON}": trained_on}} if trained_on else {})
        | ({"training": len(training)} if training is not None else {}),
        "after": own.metrics,
        "baselines": [
            {
                "model": name,
                "metrics": measured.metrics,
                "difference_standard_errors": own.difference_errors(measured),
            }
            for name, measured in zip(shown[:-1], measurements[:-1], strict=True)
        ],
        "settings": settings.model_dump(mode="json"),
    }
    maps = [EncoderMap(name, measured.vectors) for name, measured in zip(shown, measurements, strict=True)]
    return MeasuredEncoder(metrics=_as_table(own.metrics), labels=table.labels, maps=maps, summary=summary)


def measure_embeddings(
    model: "SentenceTransformer",
    table: TrainingTable,
    settings: TrainSettings,
    *,
    training: TrainingTable | None = None,
) -> Measurement:
    """Embed texts, on a GPU if there is one and it may be used, and measure them as `held_out_samples` does.

    With `metrics=published` the metrics have one entry more of this name, as `published_metrics` returns it; `training`
    holds the texts that are trained on, for this entry alone.
    """
    on_gpu, seed = settings.trainer.may_use_gpu, settings.seed
    vectors = _embedded(model, table, on_gpu=on_gpu)
    texts = near_duplicates(table.texts.tolist())
    how: dict[str, Any] = {"texts": texts, "replicates": settings.replicates, "seed": seed}
    with progress_bar("measuring", len(table), "texts", enabled=settings.progress) as progress:
        metrics, samples = held_out_samples(vectors, table.labels, **how, progress=progress)
    if settings.metrics == "published":
        known = (_embedded(model, training, on_gpu=on_gpu), training.labels) if training is not None else None
        metrics["published"] = published_metrics(vectors, table.labels, known, seed=seed)
    return Measurement(metrics, samples, vectors)


def _measured_texts(settings: TrainSettings) -> tuple[str, TrainingTable, TrainingTable | None]:
    """Return which part is measured, its texts, and those trained on where the published metrics need them."""
    given, part = settings.data, settings.measure or TEST
    needs_training = settings.metrics == "published"
    sources = given.test if part == TEST else given.validation
    # Which validation texts stand in the test, data.train decides too where the test is held out of it.
    if sources and not (given.train and (needs_training or part == VALIDATION)):
        if needs_training:
            _log.warning(
                "metrics=published: data.train is not set, so there are no training texts to find the nearest of"
            )
        return part, _not_empty(load_given(given, part), settings, part), None
    if not given.train:
        raise InputError(f"task=test measure={part}: data.{part} is not set; give data.{part}=FILE or data.train=FILE")
    splits = load_splits(given, settings.seed)
    table = _not_empty(splits.part(part), settings, part)
    if not needs_training:
        return part, table, None
    training = without_texts_of(splits.training, [table])
    if not len(training):
        raise InputError(
            "metrics=published: every text of data.train is measured, so none is left to find the nearest of; "
            f"give data.{part}=FILE with other texts, or leave data.train out"
        )
    return part, table, training


def _not_empty(table: TrainingTable | None, settings: TrainSettings, part: str) -> TrainingTable:
    """Return a table that has texts; stop where there is none."""
    if table is not None and len(table):
        return table
    given = settings.data.test if part == TEST else settings.data.validation
    reason = (
        f"data.{part}: all its texts stand in the test too, or nearly"
        if given
        else f"data.held_out={settings.data.held_out}: no text is held out"
    )
    raise InputError(f"{reason}; give data.{part}=FILE{' with other texts' if given else ''}")


def _check_new(table: TrainingTable, trained_on: int, part: str) -> None:
    """Say how many texts a measured encoder was trained on, and stop where there are no others."""
    if not trained_on:
        return
    if not len(table):
        raise InputError(
            f"measure={part}: a measured encoder was trained on every text; give other texts (data.{part}), "
            "or the seed and data.held_out of the training"
        )
    _log.warning("%s %s %s; they are left out", f"{trained_on:,}", part, TRAINED_ON)


def _embedded(model: "SentenceTransformer", table: TrainingTable, *, on_gpu: bool) -> npt.NDArray[np.float32]:
    """Return the (N, D) embeddings of the texts of a table, each text embedded once."""
    import torch

    texts = sorted(set(table.texts))
    vectors = model.encode(
        texts,
        batch_size=_TEXTS_AT_ONCE,
        convert_to_numpy=True,
        show_progress_bar=False,
        device="cuda" if on_gpu and torch.cuda.is_available() and _fits_gpu(model) else "cpu",
    )
    places = {text: place for place, text in enumerate(texts)}
    return np.asarray(vectors[[places[text] for text in table.texts]])


def _fits_gpu(model: "SentenceTransformer") -> bool:
    """Return whether the GPU has room for a model that may have been trained on several."""
    import torch

    torch.cuda.empty_cache()
    room, _ = torch.cuda.mem_get_info()
    fits: bool = sum(parameter.nbytes for parameter in model.parameters()) <= room
    if not fits:
        _log.warning("the weights do not fit the GPU's free memory: texts are embedded on the CPU, which takes longer")
    return fits


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
