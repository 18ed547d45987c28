"""A distilled head: what a judge would say of a text on a value, from the embeddings of the text and of both stances.

It lies in the folder of the encoder that it was trained with (`train.py stage=distill`): arrays as safetensors, and a
card in JSON that says whose answers were learned, from which texts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import InputError, replacing, row_keys, write_json

HEAD_FILE, CARD_FILE = "utility_head.safetensors", "utility_head.json"

_LEAST_COSINE = 0.99
"""Between the probe's embeddings; arithmetic in half precision stays above it, other weights do not."""

_KEY_SEED = 0

_FORMAT = 2
"""Of the arrays and what they are multiplied with: heads of format 1 took the embedding of a definition."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class UtilityHead:
    """u(t, s, o) = t'(A (s - o) + a) + c for embeddings of length 1: of a text, and of a value's two `stance_texts`.

    Attributes
    ----------
    matrix, slope, offset
        A (D, D), a (D,) and c.
    probe
        (D,) embedding of `valueflow.encoder.PROBE`, by which the encoder is recognized that the head was trained with.
    learned
        (M,) keys of the texts it was trained on, as `text_keys` returns them, ascending.
    card
        What is said of it: teacher, texts, versions.
    """

    matrix: FloatArray
    slope: FloatArray
    offset: float
    probe: FloatArray
    learned: npt.NDArray[np.uint64]
    card: Mapping[str, Any]

    def utilities(self, texts: npt.ArrayLike, supports: npt.ArrayLike, opposes: npt.ArrayLike) -> FloatArray:
        """Return the utilities (N, V) of N texts on V values, from embeddings (N, D), (V, D) and (V, D)."""
        stances = np.asarray(supports, dtype=np.float64) - np.asarray(opposes, dtype=np.float64)
        directions = stances @ self.matrix.T + self.slope
        return np.asarray(np.asarray(texts, dtype=np.float64) @ directions.T + self.offset)

    def has_learned(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return for each text (N,) whether it was trained on it."""
        return np.isin(text_keys(texts), self.learned)

    def write(self, folder: Path) -> None:
        """Write arrays and card into the folder of the encoder."""
        from safetensors.numpy import save_file

        arrays: dict[str, npt.NDArray[Any]] = {
            "matrix": np.ascontiguousarray(self.matrix, dtype=np.float32),
            "slope": np.ascontiguousarray(self.slope, dtype=np.float32),
            "offset": np.array([self.offset], dtype=np.float32),
            "probe": np.ascontiguousarray(self.probe, dtype=np.float32),
            "learned": np.ascontiguousarray(self.learned),
        }
        with replacing(folder / HEAD_FILE) as temporary:
            save_file(arrays, temporary)
        write_json({"format": _FORMAT, **self.card}, folder / CARD_FILE)

    def check_encoder(self, probe: npt.ArrayLike, name: str) -> None:
        """Stop where an encoder embeds the probe (D,) otherwise than the one that the head was trained with.

        Raises
        ------
        InputError
            The encoder has other weights, or vectors of another size.
        """
        vector = np.asarray(probe, dtype=np.float64)
        same = vector.shape == self.probe.shape and vector @ self.probe >= _LEAST_COSINE * np.linalg.norm(self.probe)
        if not same:
            raise InputError(
                f"judge.encoder={name}: its {HEAD_FILE} was trained with another encoder; take the whole folder that "
                "train.py stage=distill left, or judge.head=anchors to use the encoder alone"
            )


def text_keys(texts: Sequence[str] | npt.NDArray[np.object_]) -> npt.NDArray[np.uint64]:
    """Return 64-bit keys (N,) by which texts are recognized."""
    return row_keys(pd.DataFrame({"text": np.array([*texts, None], dtype=object)[:-1]}), _KEY_SEED)


def has_head(encoder: str) -> bool:
    """Return whether an encoder is a folder with a distilled head; a name, packaged or on the hub, has none."""
    return (Path(encoder) / HEAD_FILE).is_file()


def read_head(encoder: str) -> UtilityHead:
    """Read the distilled head in an encoder's folder.

    Raises
    ------
    InputError
        There is none, or it is damaged.
    """
    if not has_head(encoder):
        raise InputError(
            f"judge.encoder={encoder} has no distilled head (no folder with a {HEAD_FILE}); give one that train.py "
            "stage=distill left, or judge.head=anchors"
        )
    folder = Path(encoder)
    try:
        from safetensors.numpy import load_file

        arrays = load_file(folder / HEAD_FILE)
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except Exception as error:  # safetensors and the file system have a dozen kinds
        raise _damaged(encoder, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    size = len(arrays.get("slope", ()))
    shapes = {"matrix": (size, size), "slope": (size,), "offset": (1,), "probe": (size,)}
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape or not size:
            raise _damaged(encoder, f"'{name}' is missing or of another shape")
        if not np.isfinite(arrays[name]).all():
            raise _damaged(encoder, f"'{name}' has numbers that are not finite")
    learned = arrays.get("learned", np.empty(0))
    if learned.dtype != np.uint64 or not isinstance(card, dict):
        raise _damaged(encoder, "it lacks the keys of its texts, or its card is no object")
    if card.pop("format", None) != _FORMAT:
        raise _damaged(encoder, "it is of another version of ValueFlow")
    matrix, slope, probe = (arrays[name].astype(np.float64) for name in ("matrix", "slope", "probe"))
    return UtilityHead(matrix, slope, float(arrays["offset"][0]), probe, learned, card)


def head_digest(encoder: str) -> str:
    """Return a digest of the head in an encoder's folder, by which retrained ones are told apart."""
    return sha256((Path(encoder) / HEAD_FILE).read_bytes()).hexdigest()[:16]


def _damaged(encoder: str, reason: str) -> InputError:
    return InputError(
        f"judge.encoder={encoder}: its {HEAD_FILE} or {CARD_FILE} cannot be used ({reason}); run train.py "
        "stage=distill again, or give judge.head=anchors"
    )
