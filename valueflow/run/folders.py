"""Folders of runs: their order, the files in them, and how one that could not even begin is taken away again."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from valueflow.run.errors import InputError, nearest, shorten
from valueflow.run.summary import ERROR_FILE, SUMMARY_FILE, SWEEP_RECORD, read_record, sweep_of

_log = logging.getLogger(__name__)


def by_number(name: str) -> tuple[int, str]:
    """Sort names of files and folders by this: the jobs of a sweep by their numbers, after all other names."""
    return (int(name), "") if name.isdecimal() else (-1, name)


def is_hidden(name: str) -> bool:
    """Return whether a shell's `*` would pass over a name, as over `._NAME`, which macOS leaves beside files."""
    return name.startswith(".")


def files_named(folder: Path, *names: str) -> list[Path]:
    """Find the files of some names in a folder, at any depth but for hidden folders, sorted by job.

    Where several sweeps have run in the same folder, the jobs of all but the last are passed over, with a warning.

    Raises
    ------
    InputError
        A folder may not be read.
    """
    found = []
    sweeps: dict[str, object] = {}
    n_earlier = 0
    for inside, folders, files in os.walk(folder, onerror=_refuse):
        sweep = sweeps.get(os.path.dirname(inside))
        if SWEEP_RECORD in files:
            sweep = (read_record(Path(inside, SWEEP_RECORD)) or {}).get("id")
        elif sweep is not None and {SUMMARY_FILE, ERROR_FILE} & {*files}:
            tag = sweep_of(Path(inside))
            if tag is not None and tag["id"] != sweep:
                folders.clear()
                n_earlier += 1
                continue
        sweeps[inside] = sweep
        folders[:] = [inner for inner in folders if not is_hidden(inner)]
        found += [Path(inside, name) for name in names if name in files]
    if n_earlier:
        _log.warning("%s holds %d jobs of an earlier sweep; left out", folder, n_earlier)
    return sorted(found, key=lambda file: [by_number(part) for part in file.relative_to(folder).parts])


def check_folder(folder: str, key: str, right: str) -> None:
    """Stop where a folder that a user names is not there.

    Parameters
    ----------
    folder
        As given.
    key
        The setting that it is given by.
    right
        What would be right, such as `folders of finished runs`.

    Raises
    ------
    InputError
        It is a file, or does not exist; names the nearest folder beside it.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{key}: {shorten(folder, 200)} {_what_else(path)}; give {right}")


def _what_else(path: Path) -> str:
    if path.exists():
        return f"is a file, did you mean its folder {path.parent}?"
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    names = sorted(entry.name for entry in beside if entry.is_dir())
    return f"does not exist; {nearest(path.name, names[:40])}" if names else "does not exist"


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error


class RunFolder(Callback):  # type: ignore[misc]
    """Hydra callback that remembers which folder a run or a sweep is about to make.

    Hydra writes its records before the app's function sees a setting, so a run that ends in an
    input error would otherwise leave a folder with nothing but those.
    """

    _made: ClassVar[list[Path]] = []

    @classmethod
    def reset(cls) -> None:
        """Forget the run before."""
        RunFolder._made = []

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the folder of a single run, if it is new."""
        self._remember(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the folder of a sweep."""
        self._remember(Path(config.hydra.sweep.dir))

    @classmethod
    def _remember(cls, folder: Path) -> None:
        folder = folder.absolute()
        RunFolder._made = [path for path in (folder, *folder.parents) if not path.exists()]

    @classmethod
    def discard(cls) -> None:
        """Remove the folder made since, and the folders above it that it leaves empty."""
        for number, path in enumerate(cls._made):
            if number == 0:
                # Whatever else is there belongs to another run that uses the same folder.
                if all(_is_bookkeeping(file) for file in path.rglob("*") if file.is_file()):
                    shutil.rmtree(path, ignore_errors=True)
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _is_bookkeeping(file: Path) -> bool:
    return file.parent.name == ".hydra" or file.suffix == ".log" or file.name in ("multirun.yaml", SWEEP_RECORD)
