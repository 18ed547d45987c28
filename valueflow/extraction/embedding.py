"""A SentenceTransformer on the devices that a user names, as one function from texts to vectors."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from valueflow.encoder import PROBE, load_model
from valueflow.extraction.reading import Chunk
from valueflow.run import InputError, nearest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float32]

_BATCHES_A_CALL = 16
"""Batches a model gets at once where it works alone: between calls the progress bar moves."""


@dataclass(frozen=True)
class Embedder:
    """Texts to vectors.

    Attributes
    ----------
    dimension
        Length D of a vector.
    devices
        Where it works, one entry a process.
    window
        Tokens of a text that the model sees; None where it has no bound.
    """

    dimension: int
    devices: tuple[str, ...]
    window: int | None
    _encode: Callable[[list[str]], Vectors]
    _texts_a_call: int | None

    def embed(self, chunk: Chunk, advance: Callable[[int], None]) -> Vectors:
        """Embed texts, those of like length together.

        Parameters
        ----------
        chunk
            N texts; what exceeds the model's window is cut off by its tokenizer.
        advance
            Called with how many more are done.

        Returns
        -------
        (N, D) float32 array
        """
        texts = chunk.texts
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        order = np.argsort([-len(text) for text in texts], kind="stable")
        step = self._texts_a_call or len(texts)
        for start in range(0, len(texts), step):
            places = order[start : start + step]
            vectors[places] = self._encode([texts[place] for place in places])
            advance(len(places))
        return vectors


@dataclass(frozen=True)
class Encoding:
    """How a model makes vectors, wherever it stands.

    Attributes
    ----------
    batch_size
        Texts the model sees at once.
    normalize
        Whether to give vectors length 1; in single precision, whatever the model computes in.
    dtype
        Of weights and arithmetic of a model that is loaded by name; None: as they are stored.
    prompt_name
        Which of the model's own prompts goes before every text; None: the model's default, mostly none.
    """

    batch_size: int
    normalize: bool
    dtype: str | None = None
    prompt_name: str | None = None


@contextmanager
def embedder(
    model: "str | SentenceTransformer", encoding: Encoding, *, devices: Sequence[str] | None
) -> Iterator[Embedder]:
    """Bring a model to where it shall work; processes of its own end with the block.

    Parameters
    ----------
    model
        What `load_model` takes, or a model that is loaded already; that one stands afterwards where it stood before.
    encoding
        How it makes vectors.
    devices
        As `cuda:0`; several are a process each, by the pool of sentence-transformers. None: where the model is, or a
        GPU where there is one, else the CPU.

    Raises
    ------
    InputError
        There is no such model, no such device, or the model has no such prompt.
    """
    if devices is not None:
        _check_devices(devices)
    several = devices is not None and len(devices) > 1
    device = devices[0] if devices and not several else None
    # A pool copies the model to its processes from the CPU.
    loaded: Any = (
        load_model(model, device="cpu" if several else device, dtype=encoding.dtype)
        if isinstance(model, str)
        else model
    )
    prompt_name = encoding.prompt_name
    if prompt_name is not None:
        prompts = getattr(loaded, "prompts", None) or {}
        # The library gives a model without prompts empty ones, under usual names.
        prompts = prompts if any(prompts.values()) else {}
        if prompt_name not in prompts:
            raise InputError(
                f"prompt_name={prompt_name}: the model has no such prompt; {nearest(prompt_name, prompts)}"
            )
    before = getattr(loaded, "device", None)
    where: dict[str, Any] = {} if device is None else {"device": device}
    prompt = {} if prompt_name is None else {"prompt_name": prompt_name}
    pool = None
    try:
        if several:
            with _starting_quietly():
                pool = loaded.start_multi_process_pool(list(devices or ()))
            where = {"pool": pool}

        def encode(texts: list[str]) -> Vectors:
            vectors = loaded.encode(
                texts, batch_size=encoding.batch_size, convert_to_numpy=True, show_progress_bar=False, **where, **prompt
            )
            singles: Vectors = np.asarray(vectors, dtype=np.float32)
            if encoding.normalize:
                with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is counted later
                    singles = singles / np.maximum(np.linalg.norm(singles, axis=1, keepdims=True), 1e-12)
            return singles

        window = getattr(loaded, "max_seq_length", None)
        yield Embedder(
            dimension=encode([PROBE]).shape[1],
            devices=tuple(devices or (str(before),)),
            window=int(window) if window is not None and np.isfinite(window) else None,
            _encode=encode,
            _texts_a_call=_BATCHES_A_CALL * encoding.batch_size if not several else None,
        )
    finally:
        if pool is not None:
            loaded.stop_multi_process_pool(pool)
        # The pool leaves the model on the CPU, a device that was named leaves it there.
        if not isinstance(model, str) and where and before is not None:
            loaded.to(before)


def _check_devices(devices: Sequence[str]) -> None:
    import torch

    for name in devices:
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise InputError(f"devices: '{name}' is no device; give cpu, cuda:0 or the like") from error
        found = torch.cuda.device_count()
        if device.type == "cuda" and (device.index or 0) >= found:
            raise InputError(f"devices: there is no '{name}'; this machine has {found} GPUs that PyTorch can use")


@contextmanager
def _starting_quietly() -> Iterator[None]:
    """Let processes that are started meanwhile say nothing of how they end; who started them ends them.

    They ignore Ctrl-C, which would have each of them print a traceback. They are terminated at work, so locks that
    progress bars made in them are left to Python's resource tracker, which would warn of each although it frees them.
    """
    warnings = os.environ.get("PYTHONWARNINGS")
    own = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = f"{warnings},{own}" if warnings else own
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    try:
        yield
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
        if warnings is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = warnings
