"""Texts, a teacher and an encoder in; an encoder that judges as its teacher does, and how far it does, out."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data import (
    TEST,
    TRAINING,
    VALIDATION,
    Keys,
    keys_in,
    near_duplicates,
    parts_of,
    trained_keys,
    write_keys,
)
from valueflow.hives.distillation.agreement import LEAST_TEXTS, Agreement, agreement
from valueflow.hives.distillation.asking import ask
from valueflow.hives.distillation.card import folder_card, head_card, texts_digest
from valueflow.hives.distillation.outcome import DistilledEncoder
from valueflow.hives.distillation.pairs import LEAST_ANSWERS, FloatArray, Pairs, Standards, draw_pairs
from valueflow.hives.distillation.settings import DistillSettings
from valueflow.hives.distillation.texts import LearnedValue, load_texts, values_of
from valueflow.judge import EmbeddingJudge, UtilityHead, text_keys
from valueflow.llm import release
from valueflow.run import InputError, Progress, Run, progress_bar
from valueflow.vidb import DEMO, Vidb, load_vidb

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from sentence_transformers import SentenceTransformer

_log = logging.getLogger(__name__)

LOSS = "squared error"
"""What `DistillationObjective` minimizes, for the summary."""

_TEXTS_AT_ONCE = 64


def distill_judge(settings: DistillSettings, run: Run) -> DistilledEncoder:
    """Ask a teacher, train an encoder with a head on its answers, and export both.

    Parameters
    ----------
    settings
        As checked.
    run
        Its folder is where the export, the curve and the checkpoints go.

    Raises
    ------
    InputError
        Something given cannot be used; one line says what, where, and what would be right.
    """
    folder = run.required_folder("trained models")
    run.start_writing()
    timings = run.timings
    with timings.stage("load"):
        values = values_of(settings.data.theory)
        sources = settings.data.texts if settings.data.texts is not None else [DEMO]
        loaded = load_texts(sources, values)
        vidb = load_vidb(settings.stage.vidb)
        if loaded.other_values:
            _log.warning(
                "data.texts: %s of %s rows name a theory or value that is not asked about; the names are passed over, "
                "the texts are not",
                *(f"{loaded.other_values:,}", f"{loaded.rows:,}"),
            )
        asked = draw_pairs(loaded, settings.stage.values_per_text, settings.seed)
    texts, stances = loaded.texts, [value.stances for value in values]
    with timings.stage("teacher"), _asking(settings, "asking the teacher", len(asked)) as progress:
        taught = ask(settings.teacher, asked, texts, values, vidb, progress)
    # A language model and a training need not fit into memory together.
    release()
    learned, watched, held, left_out = _split(taught.pairs, texts, values, settings)
    # Imported here: what is above finds most mistakes before torch has loaded.
    from valueflow.hives.distillation.fitting import fit_student
    from valueflow.hives.training import MODEL_FOLDER, export_model, finish, load_backbone

    with timings.stage("load"):
        encoder = load_backbone(settings.backbone, settings.model)
    untrained: list[FloatArray] = []

    def measure_before(trainer: "pl.Trainer") -> None:
        if trainer.is_global_zero and held is not None:
            with timings.stage("measure"):
                untrained.append(_untrained(settings, held, texts, values, vidb))

    with timings.stage("train"):
        head, result = fit_student(
            encoder,
            texts,
            stances,
            learned,
            watched,
            settings,
            folder=folder,
            resume=run.resume,
            curves=run.curves,
            before=measure_before,
        )
    measured = None
    if held is not None and result.is_main:
        with timings.stage("measure"):
            student = _said(head, encoder, held, texts, stances, on_gpu=settings.trainer.may_use_gpu)
            numbers, numbered = held.renumbered()
            measured = agreement(
                np.stack([untrained[0], student]),
                held.utility,
                # Near-duplicates are one text: drawn together, they count once in the intervals.
                near_duplicates(texts[numbers].tolist())[numbered.text],
                held.value,
                n_values=len(values),
                seed=settings.seed,
            )
    parts = {"training": learned, "validation": watched, "held_out": held}
    counts = {name: 0 if part is None else len(np.unique(part.text)) for name, part in parts.items()}
    summary = {
        "task": "distill",
        "stage": settings.stage.name,
        "loss": LOSS,
        "model": settings.start,
        "teacher": settings.teacher.describe(),  # type: ignore[attr-defined]
        "data": {
            "sources": sources,
            "rows": loaded.rows,
            "texts": len(loaded),
            **counts,
            "values": len(values),
            "pairs": len(taught.pairs),
            "pairs_trained": len(learned),
            # Not what is watched and measured, but answers on values that are not learned, or held out in vain.
            "pairs_left_out": len(taught.pairs) - sum(len(part) for part in parts.values() if part is not None),
            "rows_of_other_values": loaded.other_values,
            "failures": dict(taught.failures),
            "values_left_out": left_out,
        },
        "judging": dict(taught.report),
        "steps": result.steps,
        "best_step": result.best_step,
        "resumed_from": result.resumed_from,
        "stopped_early": result.stopped_early,
        "correlation": None if measured is None else _means(measured),
        "meaning": _meaning(measured),
        "settings": settings.model_dump(mode="json", exclude={"teacher", "llm"}),
    }
    model = folder / MODEL_FOLDER
    if result.is_main:
        for line in summary["meaning"]:
            _log.warning("%s", line)
        with timings.stage("export"):
            known = texts[np.unique(learned.text)]
            card = head_card(summary, values, texts_digest(known))
            head = replace(head, learned=np.sort(text_keys(known)), card=card)
            keys = np.concatenate([keys_in([settings.model]), trained_keys(known)])

            def add(where: Path, head: UtilityHead = head, keys: Keys = keys) -> None:
                head.write(where)
                write_keys(keys, where)

            export_model(encoder, model, folder_card(summary), add=add)
            if settings.push_to_hub is not None:
                _log.warning(
                    "push_to_hub=%s: judge.encoder reads the head from a folder alone; download the repository and "
                    "give its folder, since the name stands for the encoder without its head",
                    settings.push_to_hub,
                )
            summary |= finish(encoder, settings.push_to_hub, model)
    summary["export"] = str(model)
    return DistilledEncoder(
        model=model,
        curve=result.curve,
        agreement=None if measured is None else _by_value(measured, values),
        summary=summary,
        is_main=result.is_main,
    )


def _asking(settings: DistillSettings, title: str, pairs: int) -> AbstractContextManager[Progress]:
    return progress_bar(title, pairs, "answers", enabled=settings.progress)


def _split(
    pairs: Pairs, texts: npt.NDArray[np.object_], values: Sequence[LearnedValue], settings: DistillSettings
) -> tuple[Pairs, Pairs | None, Pairs | None, list[str]]:
    """Split the teacher's answers by text, and put them into standard deviations of their value.

    Returns what is learned, what decides which weights are kept (validation), what is measured once, at the end (test),
    the latter two None where there is too little; and the values on which the teacher tells no texts apart.
    """
    share = settings.data.held_out
    part = parts_of(texts, share, settings.seed)[pairs.text]
    mine = pairs[part == TRAINING]
    if not len(mine):
        raise InputError("data.texts: no text is left to learn from; give more texts, or hold out less (data.held_out)")
    standards = Standards.of(mine, len(values))
    learned = standards.of_pairs(mine)
    if not len(learned):
        raise InputError(
            f"teacher: on no value does it give {LEAST_ANSWERS} texts utilities that differ, so there is nothing to "
            "learn; give more texts (data.texts), or another teacher"
        )
    left_out = [values[number].name for number in np.unique(pairs.value) if not np.isfinite(standards.sd[number])]
    if left_out:
        _log.warning(
            "%s of %s values are not learned: the teacher gave fewer than %s answers, or all the same (%s)",
            *(
                len(left_out),
                len(values),
                LEAST_ANSWERS,
                ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else ""),
            ),
        )
    validation, test = (standards.of_pairs(pairs[part == name]) for name in (VALIDATION, TEST))
    if min(len(validation), len(test)) < LEAST_TEXTS:
        if share:
            _log.warning("data.held_out=%s: too few texts are held out to measure anything", share)
        return learned, None, None, left_out
    return learned, validation, test, left_out


def _untrained(
    settings: DistillSettings,
    held: Pairs,
    texts: npt.NDArray[np.object_],
    values: Sequence[LearnedValue],
    vidb: Vidb,
) -> FloatArray:
    """Return what the embedding judge says with the encoder as it is before: the utilities (P,) of held-out pairs."""
    judge = EmbeddingJudge(encoder=settings.start, seed=settings.seed)
    with _asking(settings, "the untrained encoder", len(held)) as progress:
        return ask(judge, held, texts, values, vidb, progress).pairs.utility


def _said(
    head: UtilityHead,
    encoder: "SentenceTransformer",
    pairs: Pairs,
    texts: npt.NDArray[np.object_],
    stances: Sequence[tuple[str, str]],
    *,
    on_gpu: bool,
) -> FloatArray:
    """Return the student's utilities (P,) of pairs."""
    import torch

    from valueflow.hives.distillation.steps import flat, utilities_of

    numbers, renumbered = pairs.renumbered()
    vectors = encoder.encode(
        [*texts[numbers], *flat(stances)],
        batch_size=_TEXTS_AT_ONCE,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=False,
        device="cuda" if on_gpu and torch.cuda.is_available() else "cpu",
    )
    return utilities_of(head, vectors, len(numbers), renumbered)


def _means(measured: Agreement) -> dict[str, dict[str, float]]:
    """Return the mean correlations over values, and what training has gained, with intervals."""
    rows = {
        "untrained": (measured.mean[0], measured.mean_interval[:, 0]),
        "student": (measured.mean[1], measured.mean_interval[:, 1]),
        "gain": (measured.gain[1], measured.gain_interval[:, 1]),
    }
    return {
        name: {"mean": float(mean), "low": float(ends[0]), "high": float(ends[1])}
        for name, (mean, ends) in rows.items()
    }


def _by_value(measured: Agreement, values: Sequence[LearnedValue]) -> pd.DataFrame:
    """Return one row per value: held-out texts, and each one's correlation with the teacher."""
    table = {
        "theory": [value.theory.name for value in values],
        "value": [value.value for value in values],
        "texts": measured.texts,
    }
    for place, name in enumerate(("untrained", "student")):
        low, high = measured.interval[:, place]
        table |= {name: measured.correlation[place], f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(table)


def _meaning(measured: Agreement | None) -> list[str]:
    """Say where the result means nothing."""
    if measured is None:
        return ["too little is held out: how far the student says what its teacher says is not known"]
    if not np.isfinite(measured.mean[1]):
        return [
            f"no value has {LEAST_TEXTS} held-out texts that both tell apart, so how far the student says what its "
            "teacher says is not known; give more texts, or ask about more values (stage.values_per_text)"
        ]
    if not measured.mean_interval[0, 1] > 0:
        return ["the student is not shown to follow its teacher on held-out texts; do not judge with it"]
    if not measured.gain_interval[0, 1] > 0:
        return [
            "the student is not shown to follow its teacher better than the untrained encoder, fitted on anchors, does"
        ]
    return []
