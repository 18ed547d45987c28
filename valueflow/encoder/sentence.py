"""Loading a SentenceTransformer once per process, and caching its vectors."""

import logging
import math
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from valueflow.encoder.packaged import PACKAGED, packaged_folder
from valueflow.encoder.vector_cache import VectorCache
from valueflow.run import InputError, Recent, nearest, without_library_bars

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MEMORY = 2**29
"""Bytes of vectors and their texts that an encoder keeps at most: 512 MiB, some 270,000 sentences at 384 dimensions, or
120,000 at 1,024."""

_MIN_ON_DISK = 100
"""Texts that are embedded in one go before their vectors are worth a file."""

PROBE = "She kept her promise, although nobody would ever have known."
"""By its embedding an encoder is recognized: weights that differ show in it, whatever their name."""

_log = logging.getLogger(__name__)


class SentenceEncoder:
    """A sentence encoder with its vectors cached, in memory and, unless `on_disk` is false, large batches on disk.

    Parameters
    ----------
    name
        By which the vectors on disk are told apart, with what the model makes of `PROBE`.
    model
        What embeds.
    on_disk
        Whether batches of 100 texts or more go to disk.
    memory
        Bytes that vectors and texts in memory take at most; those that were not used for longest are dropped. As long
        as its texts fit, a job that comes back to them, as for another value, embeds each once.
    """

    def __init__(self, name: str, model: "SentenceTransformer", *, on_disk: bool = True, memory: int = MEMORY) -> None:
        self.name = name
        self._model = model
        self._recent: Recent[str, npt.NDArray[np.float32]] = Recent(memory)
        probe = np.round(self._embed([PROBE], batch_size=1), 4) + 0.0
        self._on_disk = VectorCache(f"{name} {probe.tobytes().hex()}") if on_disk else None

    @cached_property
    def without_disk(self) -> "SentenceEncoder":
        """The same model, whose vectors are cached in memory alone: for more texts than a cache should hold."""
        return SentenceEncoder(self.name, self._model, on_disk=False)

    def encode(self, texts: Sequence[str], *, batch_size: int = 64) -> npt.NDArray[np.float32]:
        """Embed texts.

        Parameters
        ----------
        texts
            N texts of any length; the tokenizer truncates what exceeds the model's window.
        batch_size
            Texts the model sees at once. Batches are sorted by length, so that little is padding.

        Returns
        -------
        (N, D) array
            Vectors of length 1.
        """
        found = {text: self._recent.get(text) for text in texts}
        new = [text for text, vector in found.items() if vector is None]
        if new:
            # Sorted, so that batches and with them the last bits do not depend on the order of the rows.
            new.sort()
            if self._on_disk is not None and len(new) >= _MIN_ON_DISK:
                # With those in memory, so that what a process embedded before makes no other file.
                new = sorted(found)
                vectors = self._on_disk.get(new, lambda: self._embed(new, batch_size))
            else:
                vectors = self._embed(new, batch_size)
            found |= zip(new, vectors, strict=True)
            self._keep(new, vectors)
        return np.stack([found[text] for text in texts])  # type: ignore[misc]

    def _keep(self, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        for text, vector in zip(texts, vectors, strict=True):
            # A copy: a row of the batch would keep all of it in memory, whatever else of it is dropped.
            own = vector.copy()
            self._recent.add(text, own, sys.getsizeof(text) + sys.getsizeof(own))

    def _embed(self, texts: list[str], batch_size: int) -> npt.NDArray[np.float32]:
        vectors = self._model.encode(
            texts, batch_size=batch_size, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def shortened(self, texts: Sequence[str], *, room_for: str) -> list[str]:
        """Truncate texts, between tokens, so that each fits into the model's window with `room_for` appended."""
        window, tokenizer = self._model.max_seq_length, self._model.tokenizer
        if window is None or not math.isfinite(window):
            return list(texts)
        if not getattr(tokenizer, "is_fast", False):
            # Such a tokenizer does not say where its tokens lie; two characters per token are within any window.
            return [text[: 2 * max(int(window) - len(room_for), 1)] for text in texts]
        room = int(window) - len(tokenizer(room_for)["input_ids"])
        # No token is shorter than a character, so what has fewer characters than there is room for tokens fits.
        long = [place for place, text in enumerate(texts) if len(text) > room]
        result = list(texts)
        if long:
            tokens = tokenizer(
                [texts[place] for place in long],
                truncation=True,
                max_length=room,
                add_special_tokens=False,
                return_offsets_mapping=True,
            )
            for place, offsets in zip(long, tokens["offset_mapping"], strict=True):
                result[place] = texts[place][: offsets[-1][1]] if offsets else ""
        return result


@lru_cache(maxsize=2)
def load_encoder(name: str) -> SentenceEncoder:
    """Load an encoder as `load_model` does, or return the one loaded before in this process."""
    return SentenceEncoder(name, load_model(name))


def model_source(name: str) -> str:
    """Return where a model is loaded from, without loading it: a packaged one's folder, or the name itself.

    Raises
    ------
    InputError
        A package is not installed or damaged, or what can only be a folder is none.
    """
    packaged = packaged_folder(name)
    if packaged is not None:
        return str(packaged)
    # A name on the hub is `name` or `owner/name`.
    is_folder = name.startswith((".", "/")) or "\\" in name or name.count("/") > 1
    if is_folder and not Path(name).is_dir():
        raise InputError(f"encoder '{name}': there is no such folder")
    return name


def load_model(
    name: str, *, device: str | None = None, dtype: str | None = None, model_kwargs: Mapping[str, Any] | None = None
) -> "SentenceTransformer":
    """Load a SentenceTransformer; each call returns a new object.

    Parameters
    ----------
    name
        `minilm` or `mpnet` (from packages, no network), a folder, or any model name on the hub.
    device
        Where to, such as `cuda:1`; None: a GPU where there is one, else the CPU.
    dtype
        Of weights and arithmetic, such as `bfloat16`; None: as the weights are stored.
    model_kwargs
        Further arguments for the transformer, such as `attn_implementation`.

    Raises
    ------
    InputError
        There is no such model.
    """
    source = model_source(name)
    # Imported here: it takes seconds, and a run that needs no encoder never waits for it.
    from sentence_transformers import SentenceTransformer

    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)  # it announces each load
    try:
        with without_library_bars():
            model = SentenceTransformer(
                source, device=device, model_kwargs={**(model_kwargs or {}), **({"dtype": dtype} if dtype else {})}
            )
    except Exception as error:  # anything from a hub's HTTP error to a broken folder
        if "trust_remote_code" in str(error):
            raise InputError(
                f"encoder '{name}' consists of code of its own, and code of a model is never run; give one of an "
                "architecture that transformers has"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"encoder '{name}' could not be loaded ({reason}); give a folder, a name on the hub, or a packaged one: "
            f"{nearest(name, PACKAGED)}"
        ) from error
    if dtype is not None:
        import torch

        model.to(getattr(torch, dtype))  # layers after the transformer, too
    _log.info("loaded encoder %s", name)
    return model
