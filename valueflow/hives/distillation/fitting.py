"""A student trained on a teacher's utilities, by the machinery of the other stages: steps, checkpoints, resuming."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from valueflow.encoder import PROBE
from valueflow.hives.distillation.objective import DistillationObjective
from valueflow.hives.distillation.pairs import Pairs
from valueflow.hives.distillation.settings import DistillSettings
from valueflow.hives.distillation.steps import DistillationSteps, HeldOutPairs, TextBatches, flat
from valueflow.hives.training import Fit, HivesModule, fingerprint, make_steps, steps_of
from valueflow.judge import UtilityHead


def fit_student(
    encoder: SentenceTransformer,
    texts: npt.NDArray[np.object_],
    stances: Sequence[tuple[str, str]],
    learned: Pairs,
    watched: Pairs | None,
    settings: DistillSettings,
    *,
    folder: Path,
    resume: bool = False,
    curves: Any = None,
    before: Callable[[pl.Trainer], None] | None = None,
) -> tuple[UtilityHead, Fit]:
    """Train an encoder in place, with a head.

    Parameters
    ----------
    encoder
        What is trained, or only read where `stage.freeze_encoder` is set.
    texts, stances
        (N,) texts and V pairs of what is embedded of a value, that the pairs' numbers mean.
    learned, watched
        What is learned, and what decides which weights are the best (None: the last are kept); utilities in standard
        deviations.
    settings
        As checked.
    folder, resume, curves, before
        As in `valueflow.hives.training.fit`.

    Returns
    -------
    head, fit
        The head, without a card, and the course of the training.

    Raises
    ------
    InputError
        The machine does not have what the settings ask for, or a checkpoint is of another training.
    """
    encoder.requires_grad_(not settings.stage.freeze_encoder)
    objective = DistillationObjective(encoder.get_embedding_dimension())
    numbers, pairs = learned.renumbered()
    batches = TextBatches(len(numbers), settings.stage.batch_size, settings.seed)
    steps = steps_of(settings, len(batches))
    held_out, held_out_texts = None, None
    held_numbers, held_pairs = np.empty(0, dtype=np.int64), pairs[np.empty(0, dtype=np.int64)]
    if watched is not None:
        held_numbers, held_pairs = watched.renumbered()
        held_out_texts = [*texts[held_numbers], *flat(stances)]
        held_out = HeldOutPairs(len(held_numbers), len(stances), held_pairs, lambda: head_of(objective))
    mark = fingerprint(
        settings,
        [*texts[numbers], *flat(stances), *texts[held_numbers]],
        [part for own in (pairs, held_pairs) for part in (own.text, own.value, own.utility)],
    )
    module = HivesModule(
        encoder,
        objective,
        settings.optimizer,
        steps=steps,
        objective_learning_rate=settings.stage.head_learning_rate,
        held_out=held_out,
        gradient_caching=settings.gradient_caching and not settings.stage.freeze_encoder,
        seed=settings.seed,
        fingerprint=mark,
    )
    fit = make_steps(
        module,
        settings,
        steps=steps,
        mark=mark,
        training=lambda share: DistillationSteps(
            texts[numbers], stances, pairs, batches, encoder.preprocess, chunk_size=settings.chunk_size, **share
        ),
        held_out=held_out_texts,
        decisive=None if held_out is None else held_out.decisive,
        folder=folder,
        resume=resume,
        curves=curves,
        before=before,
    )
    encoder.requires_grad_(True)
    probe = encoder.encode([PROBE], normalize_embeddings=True, show_progress_bar=False)[0]
    return head_of(objective, np.asarray(probe, dtype=np.float64)), fit


def head_of(objective: DistillationObjective, probe: npt.NDArray[np.float64] | None = None) -> UtilityHead:
    """Return the head as it is by now, with the encoder's probe where it is to be kept."""
    matrix, slope, offset = (
        part.detach().double().cpu().numpy() for part in (objective.matrix, objective.slope, objective.offset)
    )
    return UtilityHead(
        matrix=objective.scale * matrix,
        slope=objective.scale * slope,
        offset=float(offset),
        probe=np.zeros(len(slope)) if probe is None else probe,
        learned=np.empty(0, dtype=np.uint64),
        card={},
    )
