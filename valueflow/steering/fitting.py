"""Vectors of a value from its anchors: read by the model once, kept in the cache by all that decides them."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from valueflow.llm import ChatModel, Conversation, residual_stream
from valueflow.run import InputError, cache_folder
from valueflow.steering.directions import DirectionMethod, agreement_of_halves, directions
from valueflow.steering.value_vectors import FORMAT, ValueVectors, load_vectors
from valueflow.vidb import Anchors

CACHE = "steering_vectors"


@dataclass(frozen=True)
class Recipe:
    """How vectors are made.

    Attributes
    ----------
    method
        See `direction`.
    anchors_from
        Texts from this intensity on support the value, those of its negative or below oppose it.
    max_anchors
        Most texts of each side, the strongest.
    question
        What the texts are read as answers to.
    """

    method: DirectionMethod
    anchors_from: float
    max_anchors: int
    question: str


def fitted_vectors(model: ChatModel, anchors: Anchors, recipe: Recipe, *, what: str, progress: bool) -> ValueVectors:
    """Return the vectors of a value, from the cache where the same ones were made before.

    Parameters
    ----------
    model
        Whose residual stream is read; its engine is started only if something is to be read.
    anchors
        Of the value.
    recipe
        How they are made.
    what
        How messages name what needs them.
    progress
        Whether to show a bar.

    Raises
    ------
    InputError
        A side has no anchors, the model cannot be read, or it tells the sides not apart.
    """
    opposing = np.flatnonzero(anchors.intensities <= -recipe.anchors_from)[: recipe.max_anchors]
    supporting = np.flatnonzero(anchors.intensities >= recipe.anchors_from)[-recipe.max_anchors :]
    for side, chosen, sign in (("supporting", supporting, ""), ("opposing", opposing, "-")):
        if not len(chosen):
            raise InputError(
                f"{what}: '{anchors.value}' has no {side} anchors ({sign}{recipe.anchors_from:g} or "
                f"{'above' if side == 'supporting' else 'below'}); its {len(anchors)} anchors lie between "
                f"{anchors.intensities[0]:g} and {anchors.intensities[-1]:g}; lower steering.anchors_from or add some"
            )
    texts = anchors.texts[np.concatenate([supporting, opposing])].tolist()
    card = {
        "format": FORMAT,
        "model": model.identity()["model"],
        "llm": model.identity(),
        "theory": anchors.theory,
        "value": anchors.value,
        "method": recipe.method,
        "question": recipe.question,
        "supporting": len(supporting),
        "opposing": len(opposing),
        "anchors_sha256": hashlib.sha256(_as_bytes([texts[: len(supporting)], texts[len(supporting) :]])).hexdigest(),
    }
    file = cache_folder(CACHE) / f"{hashlib.sha256(_as_bytes(card)).hexdigest()}.safetensors"
    if file.is_file() and file.with_suffix(".json").is_file():
        return load_vectors(file)
    found = _made(model, texts, len(supporting), recipe, card, what, progress)
    try:
        found.save(file)
    except OSError as error:
        raise InputError(f"{file.parent} cannot be written ({error}); set VALUEFLOW_CACHE to another folder") from error
    return found


def _made(
    model: ChatModel,
    texts: list[str],
    n_supporting: int,
    recipe: Recipe,
    card: dict[str, object],
    what: str,
    progress: bool,
) -> ValueVectors:
    stream = residual_stream(model, what)
    opening: Conversation = [{"role": "user", "content": recipe.question}]
    readings = stream.read(opening, texts, progress=progress)
    above, below = readings.means[:n_supporting], readings.means[n_supporting:]
    try:
        vectors = directions(above, below, recipe.method)
    except ValueError as error:
        raise InputError(f"{what}: {card['theory']}/{card['value']}: {error}; give other anchors") from error
    return ValueVectors(
        vectors.astype(np.float32),
        readings.norms,
        card
        | {
            "layers": stream.layers,
            "width": stream.width,
            "halves_cosine": _plain(agreement_of_halves(above, below, recipe.method)),
            "truncated": readings.truncated,
        },
    )


def _plain(figures: npt.NDArray[np.float64]) -> list[float | None]:
    return [float(figure) if np.isfinite(figure) else None for figure in figures]


def _as_bytes(described: object) -> bytes:
    return json.dumps(described, sort_keys=True, ensure_ascii=True).encode()
