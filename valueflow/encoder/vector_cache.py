"""Vectors cached on disk, so that the anchors of a VIDB are embedded once and not in every run."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from valueflow.run import cache_folder, replacing

Vectors = npt.NDArray[np.float32]

_MAX_FILES = 512
"""The least recently used are deleted first."""


class VectorCache:
    """Batches of vectors by the texts they belong to and `model`, which identifies the model that made them."""

    def __init__(self, model: str) -> None:
        self._model = model

    def get(self, texts: Sequence[str], make: Callable[[], Vectors]) -> Vectors:
        """Return the (N, D) vectors of exactly these texts in this order, computed only if they are not cached.

        Processes that want the same vectors at once wait for the one that makes them. A cache that cannot be written
        to is no error.
        """
        path = self._path(texts)
        vectors = _read(path, len(texts))
        if vectors is not None:
            return vectors
        with _alone(path):
            vectors = _read(path, len(texts))
            if vectors is None:
                vectors = make()
                _write(path, vectors)
        return vectors

    def _path(self, texts: Sequence[str]) -> Path:
        digest = hashlib.sha256(self._model.encode())
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            # The length goes first: no two lists of texts run together to the same bytes.
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        return cache_folder("vectors") / f"{digest.hexdigest()}.npy"


def _read(path: Path, n: int) -> Vectors | None:
    try:
        vectors: Vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or truncated by a full disk
        return None
    with suppress(OSError):
        path.touch()
    return vectors if vectors.dtype == np.float32 and len(vectors) == n else None


def _write(path: Path, vectors: Vectors) -> None:
    with suppress(OSError):
        with replacing(path) as temporary:
            np.save(temporary, vectors, allow_pickle=False)
        files = sorted(path.parent.glob("*.npy"), key=lambda file: file.stat().st_mtime)
        for file in files[:-_MAX_FILES]:
            file.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
