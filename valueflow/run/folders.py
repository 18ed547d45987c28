"""The output folder of a run that could not even begin is taken away again."""

import shutil
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class RunFolder(Callback):  # type: ignore[misc]
    """Hydra callback that remembers which folder a run is about to make.

    Hydra writes its records before the app's function sees a setting, so a run that ends in an
    input error would otherwise leave a folder with nothing but those.
    """

    _folder: ClassVar[Path | None] = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the folder of a single run, if it is new."""
        self._remember(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the folder of a sweep, if it is new."""
        self._remember(Path(config.hydra.sweep.dir))

    @classmethod
    def _remember(cls, folder: Path) -> None:
        cls._folder = None if folder.exists() else folder.absolute()

    @classmethod
    def discard(cls) -> None:
        """Remove the folder made since, and the folders above it that it leaves empty."""
        if cls._folder is None:
            return
        shutil.rmtree(cls._folder, ignore_errors=True)
        # Hydra's own layout is <base>/<date>/<time>: no more than two folders above can be the run's.
        for parent in list(cls._folder.parents)[:2]:
            if parent == Path.cwd() or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()
