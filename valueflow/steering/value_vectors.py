"""Vectors of a value as files that other programs read: safetensors with a card beside them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from valueflow.run import InputError, nearest, replacing, write_json

FORMAT = 1
"""Of the files; a card of another format is refused."""

_NEEDED = ("format", "model", "theory", "value", "layers", "width")


@dataclass(frozen=True, eq=False)
class ValueVectors:
    """The direction of a value after each of a model's L layers.

    Attributes
    ----------
    vectors
        (L, D) directions of length 1.
    norms
        (L,) mean Euclidean norm of the residual stream after each layer, over the tokens of the texts.
    card
        Of which model and value, made how and from which texts; what stands in the JSON file.
    """

    vectors: npt.NDArray[np.float32]
    norms: npt.NDArray[np.float64]
    card: Mapping[str, Any]

    def save(self, file: Path) -> None:
        """Write `NAME.safetensors` with the tensors `vectors` and `norms`, and then its card, `NAME.json`."""
        from safetensors.numpy import save_file

        with replacing(file) as temporary:
            # The names alone would not say to other programs what they are.
            save_file({"vectors": self.vectors, "norms": self.norms}, temporary, {"card": json.dumps(self.card)})
        write_json(self.card, file.with_suffix(".json"))


def load_vectors(file: Path) -> ValueVectors:
    """Read vectors and their card.

    Raises
    ------
    InputError
        A file is missing, damaged, or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    card_file = file.with_suffix(".json")
    try:
        card = json.loads(card_file.read_text(encoding="utf-8"))
        tensors = load_file(file)
    except FileNotFoundError as error:
        raise InputError(f"vectors: {file} and {card_file.name} must both be there: {error}") from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise InputError(f"vectors: {file} cannot be read: {error}") from error
    missing = [key for key in _NEEDED if not isinstance(card, dict) or key not in card]
    if missing:
        raise InputError(f"vectors: {card_file}: '{missing[0]}' is missing; it is no card of vectors")
    if card["format"] != FORMAT:
        raise InputError(f"vectors: {card_file}: format {card['format']}, this version reads {FORMAT}; make them anew")
    shape = (card["layers"], card["width"])
    for name, wanted in (("vectors", shape), ("norms", shape[:1])):
        found = tensors[name].shape if name in tensors else None
        if found != wanted or not np.isfinite(tensors[name]).all():
            raise InputError(f"vectors: {file}: tensor '{name}' has shape {found}, the card says {wanted}, all finite")
    return ValueVectors(tensors["vectors"].astype(np.float32), tensors["norms"].astype(np.float64), card)


def file_of(folder: Path, value: str) -> Path:
    """Return where the vectors of a value lie in a folder, whatever characters its name has."""
    return folder / (re.sub(r"[^A-Za-z0-9_-]+", "_", value) + ".safetensors")


def given_vectors(source: str, theory: str, value: str) -> ValueVectors:
    """Read the vectors of a value from a file or a folder of files.

    Raises
    ------
    InputError
        There are none, they cannot be read, or they are another value's.
    """
    path = Path(source)
    if not path.exists():
        raise InputError(f"steering.vectors={source} does not exist; give a file of vectors, or a folder of such files")
    file = file_of(path, value) if path.is_dir() else path
    if not file.is_file():
        known = sorted(other.stem for other in path.glob("*.safetensors"))
        raise InputError(f"steering.vectors: {source} has no vectors of '{value}'; {nearest(value, known)}")
    found = load_vectors(file)
    if (found.card["theory"], found.card["value"]) != (theory, value):
        raise InputError(
            f"steering.vectors: {file} holds vectors of {found.card['theory']}/{found.card['value']}, not of "
            f"{theory}/{value}"
        )
    return found
