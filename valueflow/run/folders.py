"""Folders of runs: their order, the files in them, and how one that could not even begin is taken away again."""

import os
import shutil
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from valueflow.run.errors import InputError


def by_number(name: str) -> tuple[int, str]:
    """Sort names of files and folders by this: the jobs of a sweep by their numbers, after all other names."""
    return (int(name), "") if name.isdecimal() else (-1, name)


def files_named(folder: Path, name: str) -> list[Path]:
    """Find the files of a name in a folder, at any depth but for hidden folders, sorted by job.

    Raises
    ------
    InputError
        A folder may not be read.
    """
    found = []
    for inside, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [inner for inner in folders if not inner.startswith(".")]
        if name in files:
            found.append(Path(inside, name))
    return sorted(found, key=lambda file: [by_number(part) for part in file.relative_to(folder).parts])


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error


class RunFolder(Callback):  # type: ignore[misc]
    """Hydra callback that remembers which folder a run is about to make, and whether it is a sweep's.

    Hydra writes its records before the app's function sees a setting, so a run that ends in an
    input error would otherwise leave a folder with nothing but those.
    """

    _made: ClassVar[list[Path]] = []
    sweep: ClassVar[Path | None] = None
    """Folder of the sweep that was started since `reset`; None for a single run."""

    @classmethod
    def reset(cls) -> None:
        """Forget the run before."""
        RunFolder._made, RunFolder.sweep = [], None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the folder of a single run, if it is new."""
        self._remember(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the folder of a sweep."""
        RunFolder.sweep = Path(config.hydra.sweep.dir)
        self._remember(RunFolder.sweep)

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
    return file.parent.name == ".hydra" or file.suffix == ".log" or file.name == "multirun.yaml"
