"""Where a model's weights lie, and what identifies them."""

import hashlib
from pathlib import Path

from valueflow.llm.engines.packaged import PACKAGED, model_folder, packaged_version
from valueflow.run import InputError, nearest


def find_model(name: str) -> str:
    """Return what a library loads a model by: its folder, or its name on the hub.

    Raises
    ------
    InputError
        The name can only be a folder's, and there is none.
    """
    packaged = model_folder(name)
    if packaged is not None:
        return str(packaged)
    # Names on the hub are `owner/model`, without dots before them.
    if not Path(name).is_dir() and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise InputError(
            f"model '{name}': there is no such folder, and it is no name on the hub (owner/model); "
            f"packaged models: {nearest(name, PACKAGED)}"
        )
    return name


def model_identity(name: str, revision: str | None) -> dict[str, object]:
    """Return what identifies a model's weights, without loading or unpacking any."""
    if name in PACKAGED:
        return {"model": name, "revision": packaged_version(name)}
    folder = Path(name)
    if folder.is_dir():
        return {"model": str(folder.resolve()), "revision": _fingerprint(folder)}
    return {"model": name, "revision": revision}


def _fingerprint(folder: Path) -> str:
    """Digest names, sizes and times of a folder's files; weights are too large to be read for it."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file():
            state = file.stat()
            digest.update(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
