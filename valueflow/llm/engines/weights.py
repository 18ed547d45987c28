"""Where a model's weights lie, and what identifies them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from valueflow.llm.engines.gguf_files import unpacked_gguf
from valueflow.llm.engines.packaged import PACKAGED, model_folder, packaged_version
from valueflow.run import InputError, nearest


def find_model(name: str) -> str:
    """Return what a library loads a model by: its folder, or its name on the hub.

    Packaged models and GGUF files are unpacked into the cache first, where they are not there yet.

    Raises
    ------
    InputError
        The name can only be a file's or folder's, and there is none, or it cannot be read.
    """
    packaged = model_folder(name)
    if packaged is not None:
        return str(packaged)
    file = named_gguf(name)
    if file is not None:
        return str(unpacked_gguf(file))
    # Names on the hub are `owner/model`, without dots before them.
    if not Path(name).is_dir() and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise InputError(
            f"model '{name}': there is no such folder, and it is no name on the hub (owner/model); "
            f"packaged models: {nearest(name, PACKAGED)}"
        )
    return name


def model_identity(name: str, revision: str | None) -> dict[str, object]:
    """Return what identifies a model's weights, without loading or unpacking any.

    Raises
    ------
    InputError
        The name is that of a GGUF file, and there is none.
    """
    if name in PACKAGED:
        return {"model": name, "revision": packaged_version(name)}
    path = Path(name)
    if named_gguf(name) is not None:
        return {"model": str(path.resolve()), "revision": _fingerprint([path])}
    if path.is_dir():
        return {"model": str(path.resolve()), "revision": _fingerprint(sorted(path.iterdir()))}
    return {"model": name, "revision": revision}


def named_gguf(name: str) -> Path | None:
    """Return the GGUF file that a name is, None where it is the name of something else.

    Raises
    ------
    InputError
        The name is that of a GGUF file, and there is none.
    """
    path = Path(name)
    if not name.lower().endswith(".gguf") or path.is_dir():
        return None
    if not path.is_file():
        raise InputError(f"model '{name}': there is no such GGUF file")
    return path


def _fingerprint(files: Iterable[Path]) -> str:
    """Digest names, sizes and times of files; weights are too large to be read for it."""
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            state = file.stat()
            digest.update(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
