"""Vectors that `steering=activation` leaves: a file per value with a vector per layer of a model, and a card."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.geometry.files import Arrays, read_arrays
from valueflow.run import InputError, read_record, shorten
from valueflow.theory import Theory

_OF_LAYERS = "vectors"
"""The tensor with a vector per layer."""

_log = logging.getLogger(__name__)


def vectors_of_layer(folder: str, theory: Theory, depth: float) -> Arrays:
    """Read the vector of each value after one layer of a model.

    Parameters
    ----------
    folder
        Holds `VALUE.safetensors` and `VALUE.json`, at any depth: what a run or a sweep of `steer.py` has left.
    theory
        Whose values are read; files of other theories are passed over.
    depth
        Which layer: 0 is the first, 1 the last of L; round(depth * (L - 1)).

    Returns
    -------
    mapping
        One vector per value, (D,), by the name on its card.

    Raises
    ------
    InputError
        There are no such files, one cannot be read, they are of several models, or two of one value differ.
    """
    cards = {file: card for file in sorted(Path(folder).rglob("*.safetensors")) if (card := _card(file)) is not None}
    own = {file: card for file, card in cards.items() if theory.is_named(str(card["theory"]))}
    if not own:
        others = sorted({str(card["theory"]) for card in cards.values()})
        raise InputError(
            f"vectors: the folder {folder} holds no VALUE.safetensors with its card VALUE.json of theory "
            f"'{theory.name}', as steering=activation writes"
            + (f"; it has vectors of {', '.join(others)}" if others else "")
        )
    if len(own) < len(cards):
        _log.info("vectors: %d of %d files in %s are of other theories", len(cards) - len(own), len(cards), folder)
    models = sorted({str(card["model"]) for card in own.values()})
    if len(models) > 1:
        raise InputError(
            f"vectors: the folder {folder} holds vectors of {len(models)} models: {shorten(', '.join(models), 200)}; "
            "give a folder with those of one"
        )
    found: dict[str, npt.NDArray[Any]] = {}
    for file, card in own.items():
        value = str(card["value"])
        vector = _after_layer(file, depth)
        if value in found and not np.array_equal(found[value], vector):
            raise InputError(
                f"vectors: {file}: the folder {folder} holds other vectors of '{value}', too; give a folder with one "
                "kind, such as that of one run"
            )
        found[value] = vector
    return found


def _card(file: Path) -> Mapping[str, Any] | None:
    """Return what a file's card says; None where it has none, such as a file of a model's weights."""
    card = read_record(file.with_suffix(".json"))
    return card if card is not None and {"theory", "value", "model"} <= card.keys() else None


def _after_layer(file: Path, depth: float) -> npt.NDArray[Any]:
    arrays = read_arrays(str(file))
    layers = arrays.get(_OF_LAYERS)
    if layers is None or layers.ndim != 2 or not len(layers):
        held = ", ".join(f"'{name}' {array.shape}" for name, array in arrays.items())
        raise InputError(f"vectors: {file} holds no tensor '{_OF_LAYERS}' of layers x width; it has {held or 'none'}")
    vector: npt.NDArray[Any] = layers[round(depth * (len(layers) - 1))]
    return vector
