"""What is made once and kept in the cache: by one process while others wait, whole or not at all."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from valueflow.run import InputError

_log = logging.getLogger(__name__)


def unpacked_once(target: Path, make: Callable[[Path], None], *, what: str, room: int) -> Path:
    """Return a file or folder of the cache, made first if it is not there.

    Parameters
    ----------
    target
        Where it is kept; its folder is created.
    make
        Makes it at the path it is given, which does not exist; what it leaves there takes the place of `target`
        once it has returned.
    what
        How messages name it, such as `model 'smollm2'`.
    room
        Bytes that making it takes on the disk.

    Raises
    ------
    InputError
        The folder cannot be written to, or its disk has too little room; nothing is left then.
    """
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{target.name}.lock")):
            if not target.exists():
                _make(target, make, what, room)
    except OSError as error:
        raise InputError(
            f"{what} cannot be unpacked into {target.parent}: {error}; "
            f"set VALUEFLOW_CACHE to a folder with {_gigabytes(room)} of room"
        ) from error
    return target


def _make(target: Path, make: Callable[[Path], None], what: str, room: int) -> None:
    unfinished = target.with_name(f".{target.name}-unfinished")
    # A process that was killed may have left one, and nobody else writes to it now.
    _remove(unfinished)
    free = shutil.disk_usage(target.parent).free
    if free < room:
        raise InputError(
            f"{what}: unpacking it needs {_gigabytes(room)} of room, and the disk of {target.parent} has "
            f"{_gigabytes(free)}; set VALUEFLOW_CACHE to a folder with more"
        )
    _log.info("unpacking %s into %s; this happens once", what, target)
    try:
        make(unfinished)
        unfinished.rename(target)
    finally:
        _remove(unfinished)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
