"""Vectors kept on disk, so that the anchors of a VIDB are embedded once and not in every run."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_dir

from valueflow.run.outputs import replacing

_MOST_FILES = 512
"""Files kept at most; the ones unused for longest go first."""


def cache_folder() -> Path:
    """Return where vectors are kept: VALUEFLOW_CACHE, or the system's folder for caches."""
    return Path(os.environ.get("VALUEFLOW_CACHE") or user_cache_dir("valueflow")) / "vectors"


class VectorCache:
    """Batches of vectors by the texts they belong to and the model that made them.

    Parameters
    ----------
    model
        What identifies the model; another model's vectors are never given out.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    def load(self, texts: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """Return the (N, D) vectors of exactly these texts in this order, or None."""
        path = self._path(texts)
        try:
            vectors: npt.NDArray[np.float32] = np.load(path, allow_pickle=False)
        except (OSError, ValueError):  # not there, or cut short by a full disk
            return None
        path.touch()
        return vectors if vectors.dtype == np.float32 and len(vectors) == len(texts) else None

    def save(self, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Keep vectors; a cache that cannot be written to is no error."""
        try:
            with replacing(self._path(texts)) as temporary:
                np.save(temporary, vectors, allow_pickle=False)
            files = sorted(cache_folder().glob("*.npy"), key=lambda file: file.stat().st_mtime)
            for file in files[:-_MOST_FILES]:
                file.unlink(missing_ok=True)
        except OSError:
            return

    def _path(self, texts: Sequence[str]) -> Path:
        digest = hashlib.sha256(self._model.encode())
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            # The length goes first: no two lists of texts run together to the same bytes.
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        return cache_folder() / f"{digest.hexdigest()}.npy"
