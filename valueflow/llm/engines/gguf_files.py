"""GGUF files, as llama.cpp keeps models, turned into folders as transformers and vLLM keep them."""

import hashlib
import importlib.util
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from valueflow.llm.engines.chat_template import reason
from valueflow.packages import unpacked_once
from valueflow.run import InputError, Progress, cache_folder, progress_bar, without_library_bars

if TYPE_CHECKING:
    import gguf

_log = logging.getLogger(__name__)

_MEGABYTE = 2**20

_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def unpacked_gguf(file: Path) -> Path:
    """Return the folder of a GGUF file's model, unpacked into the cache where the same file never was before.

    Files are told apart by their content, wherever they lie. Weights are kept in the file's precision; quantized ones
    become bfloat16.

    Raises
    ------
    InputError
        It is no GGUF file that can be read, its model is of a kind that transformers does not know, or the cache
        cannot hold it.
    """
    what = f"model '{file}'"
    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise InputError(f"{what} is not a GGUF file; give a folder, a GGUF file or a name on the hub")
        folder = cache_folder("models") / f"{file.stem[:80]}-{_sha256(file, what)[:16]}"
        if folder.is_dir():
            return folder
        tensors = opened(file, what).tensors
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror or error}") from error
    dtype = _dtype(tensors)
    room = sum(int(tensor.n_elements) for tensor in tensors) * _BYTES[dtype]
    return unpacked_once(folder, lambda unfinished: convert(file, unfinished, dtype, what), what=what, room=room)


def convert(file: Path, folder: Path, dtype: str, what: str) -> None:
    """Write the model of a GGUF file as transformers keeps models: weights, tokenizer, chat template.

    Parameters
    ----------
    file
        The GGUF file.
    folder
        Where to; made if it is not there.
    dtype
        Of the weights that are written.
    what
        How messages name the model.

    Raises
    ------
    InputError
        The file is damaged or holds only a part of a model, or transformers does not know such models.
    """
    reader = opened(file, what)
    _check_positions(reader, what)
    bar = _counted(f"{what}: unpacking its weights", len(reader.tensors))
    with without_library_bars(), bar, TemporaryDirectory() as alone:
        # By itself: transformers would also read settings that lie beside it.
        linked = Path(alone) / "model.gguf"
        linked.symlink_to(file.resolve())
        try:
            _convert(linked, folder, dtype, _field(reader, "tokenizer.ggml.pre"), what)
        except Exception as error:  # whatever the reading of a damaged file, or of an unknown model, comes upon
            # A full disk has a number; what transformers raises as such an error of its own accord has none.
            if isinstance(error, InputError) or (isinstance(error, OSError) and error.errno is not None):
                raise
            raise InputError(f"{what} cannot be unpacked from its GGUF file: {reason(error)}") from error
    # Weights are written as readable by their owner only; a cache may be shared.
    for weights in folder.glob("*.safetensors"):
        weights.chmod((folder / "config.json").stat().st_mode)


def unpacked_tokenizer(file: Path, name: str, what: str) -> Path:
    """Return the folder of a GGUF file's tokenizer and settings, for engines that read the weights themselves.

    It is made once, which takes some seconds, and lies in the cache folder under the given name.

    Raises
    ------
    InputError
        The file is damaged, transformers does not know such models, or the cache cannot hold it.
    """

    def make(unfinished: Path) -> None:
        reader = opened(file, what)
        _check_positions(reader, what)
        try:
            parts = _tokenizer_and_settings(file, _field(reader, "tokenizer.ggml.pre"), what)
        except Exception as error:  # whatever the reading of a damaged file, or of an unknown model, comes upon
            raise InputError(f"{what} has no tokenizer that can be read: {reason(error)}") from error
        for part in parts:
            part.save_pretrained(unfinished)

    folder = cache_folder("models") / f"{name}-tokenizer"
    return folder if folder.is_dir() else unpacked_once(folder, make, what=what, room=50_000_000)


def require_reader(what: str) -> None:
    """Refuse what needs the library that reads GGUF files, where it is not installed."""
    if importlib.util.find_spec("gguf") is None:
        raise InputError(f"{what}: the library that reads its weights is not installed; pip install gguf")


def opened(file: Path, what: str) -> "gguf.GGUFReader":
    """Open a GGUF file: its fields and where its tensors lie; no weights are read.

    Raises
    ------
    InputError
        The library for it is not installed, or the file is damaged.
    """
    require_reader(what)
    from gguf import GGUFReader

    try:
        return GGUFReader(file)
    except OSError:
        raise
    except Exception as error:  # what a damaged length or an unknown type leads to
        raise InputError(f"{what} is damaged or of a newer kind than is known here: {reason(error)}") from error


def _convert(file: Path, folder: Path, dtype: str, rule: object, what: str) -> None:
    from transformers import AutoModelForCausalLM, GgufConfig

    tokenizer, _, generation = _tokenizer_and_settings(file, rule, what)
    model, found = AutoModelForCausalLM.from_pretrained(
        str(file.parent),
        gguf_file=file.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=dtype,
        output_loading_info=True,
        trust_remote_code=False,
    )
    # What is not in the file would be random numbers.
    if found["missing_keys"]:
        first, *others = sorted(found["missing_keys"])
        raise InputError(
            f"{what}: its GGUF file lacks {first}{f' and {len(others)} other weights' if others else ''}; a model that "
            "was split into several files must be joined first (gguf-split --merge)"
        )
    model.generation_config = generation
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer_and_settings(file: Path, rule: object, what: str) -> tuple[Any, Any, Any]:
    """Read tokenizer, configuration and generation settings."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    beside = str(file.parent)
    tokenizer = AutoTokenizer.from_pretrained(beside, gguf_file=file.name, trust_remote_code=False)
    _split_as_trained(tokenizer, rule, what)
    config = AutoConfig.from_pretrained(beside, gguf_file=file.name, trust_remote_code=False)
    tokenizer.model_max_length = getattr(config, "max_position_embeddings", tokenizer.model_max_length)
    ids = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    if rule == "qwen2" and ids["pad_token_id"] is not None:
        # Qwen's own settings: an answer ends at the end of a turn or at <|endoftext|>, which also pads.
        ids["eos_token_id"] = [ids["eos_token_id"], ids["pad_token_id"]]
    return tokenizer, config, GenerationConfig(**ids)


def _split_as_trained(tokenizer: Any, rule: object, what: str) -> None:
    """Make a tokenizer split words by the rule that the file names, where transformers does not see to it."""
    from tokenizers import normalizers, pre_tokenizers

    backend = tokenizer.backend_tokenizer
    if rule == "smollm":
        # Digits one by one: without it, spaces before a number become other tokens than those of the training.
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
        )
    elif rule == "qwen2":
        # Accents that are characters of their own are joined to their letters first; the rest transformers knows.
        backend.normalizer = normalizers.NFC()
    elif rule not in (None, "default", "gpt-2") and isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        _log.warning("%s splits words by the rule '%s', unknown here: some may become other tokens", what, rule)


def _check_positions(reader: "gguf.GGUFReader", what: str) -> None:
    """Refuse a model whose positions are scaled: transformers does not read that, and its answers would be others."""
    architecture = _field(reader, "general.architecture")
    scaling = _field(reader, f"{architecture}.rope.scaling.type")
    is_scaled = scaling not in (None, "none") and architecture != "gpt-oss"
    if is_scaled or any(tensor.name == "rope_freqs.weight" for tensor in reader.tensors):
        raise InputError(
            f"{what} scales its rotary positions, which cannot be read from a GGUF file here; give the model's folder "
            "or its name on the hub instead"
        )


def _field(reader: "gguf.GGUFReader", name: str) -> object:
    field = reader.get_field(name)
    return None if field is None else field.contents()


def _dtype(tensors: "list[gguf.ReaderTensor]") -> str:
    kinds = {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) > 1}
    if kinds <= {"F32"}:
        return "float32"
    return "float16" if kinds <= {"F16", "F32"} else "bfloat16"


def _sha256(file: Path, what: str) -> str:
    digest = hashlib.sha256()
    total = -(-file.stat().st_size // _MEGABYTE)
    with file.open("rb") as stream, progress_bar(f"{what}: reading", total, "MB") as advance:
        while chunk := stream.read(_MEGABYTE):
            digest.update(chunk)
            advance(1, 0)
    return digest.hexdigest()


@contextmanager
def _counted(title: str, total: int) -> Iterator[None]:
    """Show how many tensors transformers has read, and not the bar of its own that no setting turns off."""
    with progress_bar(title, total, "tensors") as advance, redirect_stderr(_CountOfTensors(advance)):
        yield


class _CountOfTensors(io.StringIO):
    """Reads the text of the progress bar that transformers draws: it reports its progress nowhere else."""

    def __init__(self, advance: Progress) -> None:
        super().__init__()
        self._advance = advance
        self._done = 0

    def write(self, text: str) -> int:
        told = re.search(r"(\d+)/\d+ \[", text)
        if told is not None:
            self._advance(max(int(told[1]) - self._done, 0), 0)
            self._done = int(told[1])
        return len(text)
