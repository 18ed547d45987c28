"""Models that OpenVINO can run: GGUF files, and folders in its own format."""

import hashlib
import json
from pathlib import Path

from valueflow.llm.engines.chat_template import reason
from valueflow.llm.engines.packaged import PACKAGED, gguf_file
from valueflow.llm.engines.weights import find_model, model_identity
from valueflow.run import InputError

_OWN_FORMAT = "openvino_model.xml"


def find_openvino_model(name: str, revision: str | None) -> Path:
    """Return the GGUF file of a model, or its folder in OpenVINO's format; one of a hub is fetched.

    Raises
    ------
    InputError
        There is no such model, or it is in another format.
    """
    if name in PACKAGED:
        return gguf_file(name)
    if _is_gguf(name):
        return Path(name)
    found = Path(find_model(name))
    folder = found if found.is_dir() else _fetched(name, revision)
    if not (folder / _OWN_FORMAT).is_file():
        raise InputError(
            f"model '{name}' is not in OpenVINO's format (there is no {_OWN_FORMAT}); give a GGUF file or one of "
            "huggingface.co/OpenVINO, or use llm=transformers"
        )
    return folder


def openvino_identity(name: str, revision: str | None) -> dict[str, object]:
    """Return what identifies a model's weights, without loading or fetching any."""
    if not _is_gguf(name):
        return model_identity(name, revision)
    file = Path(name)
    state = file.stat()
    marks = hashlib.sha256(f"{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()[:16]
    return {"model": str(file.resolve()), "revision": marks}


def _is_gguf(name: str) -> bool:
    return name.endswith(".gguf") and Path(name).is_file()


def longest_prompt(source: Path, asked: int | None, name: str) -> int | None:
    """Return the most tokens of prompt and answer, None where nobody knows a limit.

    Raises
    ------
    InputError
        More are asked for than the model takes.
    """
    most = _gguf_context(source) if source.is_file() else _folder_context(source)
    if asked is not None and most is not None and asked > most:
        raise InputError(f"llm.max_length={asked}: model '{name}' takes at most {most} tokens")
    return asked or most


def _gguf_context(file: Path) -> int | None:
    from gguf import GGUFReader

    fields = GGUFReader(file).fields
    architecture = fields["general.architecture"].contents()
    context = fields.get(f"{architecture}.context_length")
    return None if context is None else int(context.contents())


def _folder_context(folder: Path) -> int | None:
    file = folder / "config.json"
    return json.loads(file.read_text(encoding="utf-8")).get("max_position_embeddings") if file.is_file() else None


def _fetched(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision))
    except Exception as error:  # no connection, no such model, a license that was not accepted: each of its own type
        raise InputError(
            f"model '{name}' could not be fetched ({reason(error)}); give a folder or a GGUF file"
        ) from error
