"""Where finished runs are recorded besides their folder: the config group `logger`."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from valueflow.run import InputError, Outcome, flattened, write_csv

RUNS_FILE = "runs.csv"


@dataclass(frozen=True)
class CsvLogger:
    """Adds one row per run to `runs.csv`, in the sweep's folder or, for a single run, in its own."""

    def log(
        self, outcome: Outcome, *, config: Mapping[str, Any], name: str, folder: Path, sweep_folder: Path | None
    ) -> None:
        """Record a run; jobs of a sweep that run at once wait for each other."""
        del config
        path = (sweep_folder or folder) / RUNS_FILE
        row = pd.DataFrame([{"name": name, "group": _group(sweep_folder), **flattened(outcome.summary)}])
        with FileLock(path.with_name(f".{RUNS_FILE}.lock")):
            if path.exists():
                # Runs may differ in their figures; a row keeps its own columns whatever came before.
                row = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False), row], ignore_index=True)
            write_csv(row, path)

    def curves(self, *, config: Mapping[str, Any], name: str, folder: Path, sweep_folder: Path | None) -> None:
        """Return no logger: a training leaves its curve in its folder."""
        del config, name, folder, sweep_folder


@dataclass(frozen=True)
class WandbLogger:
    """Makes one Weights & Biases run per job: scores as a table, summary figures, the settings.

    Attributes
    ----------
    project, entity
        Where the run goes.
    mode
        `online`, `offline` or `disabled`; None leaves it to WANDB_MODE.
    """

    project: str = "valueflow"
    entity: str | None = None
    mode: str | None = None

    def __post_init__(self) -> None:
        # Checked before anything is judged: a run that cannot be logged should not be paid for first.
        mode = self.mode or os.environ.get("WANDB_MODE") or "online"
        # An older word that Weights & Biases still takes.
        mode = "offline" if mode == "dryrun" else mode
        if mode not in ("online", "offline", "disabled"):
            raise InputError(f"logger.mode='{mode}' is none of online, offline, disabled")
        if mode == "online":
            import wandb

            if not wandb.login(prompt=False, verify=False):
                raise InputError(
                    "logger=wandb finds no key; set WANDB_API_KEY, run `wandb login`, or set logger.mode=offline"
                )

    def log(
        self, outcome: Outcome, *, config: Mapping[str, Any], name: str, folder: Path, sweep_folder: Path | None
    ) -> None:
        """Record a run; one that shows a training's curves already is finished."""
        import wandb

        settings = self._settings(config, name, folder, sweep_folder)
        settings["config"] |= {"theory": _theory_name(outcome)}
        shown = wandb.run is not None and wandb.run.id == settings["id"]
        with wandb.run if shown and wandb.run else wandb.init(**settings, reinit="finish_previous") as run:
            run.log({title: wandb.Table(dataframe=table) for title, table in outcome.tables().items()})
            run.summary.update(flattened(outcome.summary))

    def curves(self, *, config: Mapping[str, Any], name: str, folder: Path, sweep_folder: Path | None) -> Any:
        """Return a Lightning logger for the curves of a training."""
        from lightning.pytorch.loggers import WandbLogger as LightningLogger

        settings = self._settings(config, name, folder, sweep_folder)
        return LightningLogger(save_dir=settings.pop("dir"), log_model=False, **settings)

    def _settings(
        self, config: Mapping[str, Any], name: str, folder: Path, sweep_folder: Path | None
    ) -> dict[str, Any]:
        import wandb

        return {
            # Of its folder: a training that is resumed there goes on with its curves.
            "id": hashlib.blake2b(str(folder.absolute()).encode(), digest_size=8).hexdigest(),
            "resume": "allow",
            "project": self.project,
            "entity": self.entity,
            "mode": self.mode,
            "group": _group(sweep_folder) or None,
            "name": name,
            # The hierarchy is the same in every run of a theory; its name, which `log` adds, says it.
            "config": {key: entry for key, entry in config.items() if key != "theory"},
            "dir": folder,
            "settings": wandb.Settings(silent=True),
        }


def _group(sweep_folder: Path | None) -> str:
    """Name a sweep by date and time, as its folder is: two days' sweeps of one hour stay apart."""
    return "_".join(sweep_folder.absolute().parts[-2:]) if sweep_folder else ""


def _theory_name(outcome: Outcome) -> object:
    return outcome.summary.get("theory")
