"""Models that OpenVINO can run: GGUF files, and folders in its own format."""

from dataclasses import dataclass
from pathlib import Path

from valueflow.llm.engines.chat_template import reason
from valueflow.llm.engines.gguf_files import unpacked_tokenizer
from valueflow.llm.engines.packaged import PACKAGED, gguf_file
from valueflow.llm.engines.weights import find_model, model_identity, named_gguf
from valueflow.run import InputError

_OWN_FORMAT = "openvino_model.xml"


@dataclass(frozen=True)
class OpenvinoFiles:
    """Where a model lies.

    Attributes
    ----------
    weights
        A GGUF file, or a folder in OpenVINO's format.
    tokenizer
        The folder of tokenizer, chat template and configuration, as transformers reads them.
    """

    weights: Path
    tokenizer: Path


def openvino_files(name: str, revision: str | None) -> OpenvinoFiles:
    """Find a model; the tokenizer of a GGUF file is unpacked into the cache, and a model of a hub is fetched.

    Raises
    ------
    InputError
        There is no such model, it cannot be read, or it is in another format.
    """
    weights = gguf_file(name) if name in PACKAGED else named_gguf(name)
    if weights is not None:
        identity = model_identity(name, revision)
        in_cache = f"{Path(str(identity['model'])).stem[:80]}-{identity['revision']}"
        return OpenvinoFiles(weights, unpacked_tokenizer(weights, in_cache, f"model '{name}'"))
    found = Path(find_model(name))
    folder = found if found.is_dir() else _fetched(name, revision)
    if not (folder / _OWN_FORMAT).is_file():
        raise InputError(
            f"model '{name}' is not in OpenVINO's format (it has no {_OWN_FORMAT}); give a GGUF file, a packaged model "
            "or one that was exported for OpenVINO, or use llm=transformers"
        )
    return OpenvinoFiles(folder, folder)


def _fetched(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision))
    except Exception as error:  # no connection, no such model, a license not accepted: each of its own type
        raise InputError(
            f"model '{name}' could not be fetched ({reason(error)}); give a folder, a GGUF file or a packaged model: "
            f"{', '.join(PACKAGED)}"
        ) from error
