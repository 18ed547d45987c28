"""`logger=wandb`: a Weights & Biases run per job, from before the work to its end, and one per sweep."""

import hashlib
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.reporting.artifacts import RunFiles, files_of_run, files_of_sweep, files_taken
from valueflow.reporting.runs import MAIN_FIGURES, flat_figures, group_of, logged_config, redacted, run_tags
from valueflow.reporting.wandb_media import histograms, page, pictures, sweep_charts, sweep_tables, tables
from valueflow.run import InputError, Outcome, RunInfo, RunLogger, RunRecord, SweepInfo, flattened, plain

if TYPE_CHECKING:
    import wandb

NAME = "wandb"


_CURVES = ("train/*", "held_out/*", "learning_rate", "gradient_norm")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WandbLogger(RunLogger):
    """Makes one Weights & Biases run per job, and one for the sweep with what its jobs tell together.

    Attributes
    ----------
    project, entity
        Where the runs go.
    mode
        `online`, `offline` or `disabled`; None leaves it to WANDB_MODE.
    workspace
        Whether a sweep lays out a dashboard for the project (extra `workspace`).
    """

    project: str = "valueflow"
    entity: str | None = None
    mode: str | None = None
    workspace: bool = False

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

        if self.workspace and find_spec("wandb_workspaces") is None:
            raise InputError(
                "logger.workspace=true: the package wandb-workspaces is not installed; "
                "pip install 'valueflow[workspace]'"
            )

    def start(self, run: RunInfo) -> RunRecord:
        """Begin the run, and say which artifacts of earlier runs it takes."""
        taken = files_taken(run.config, NAME)
        handle = self._begin(
            run.folder,
            name=redacted(run.name),
            group=group_of(run.sweep_folder) if run.sweep_folder else None,
            job_type=run.command,
            tags=run_tags(run),
            config={**logged_config(run), **({"inputs": [files.name for files in taken]} if taken else {})},
        )
        for files in taken:
            _take(handle, files)
        return _Record(handle, run)

    def end_sweep(self, sweep: SweepInfo) -> Mapping[str, Any]:
        """Make the run of a sweep."""
        group = group_of(sweep.folder)
        handle = self._begin(
            sweep.folder,
            name=group,
            group=group,
            job_type="sweep",
            tags=[sweep.command],
            config={"command": sweep.command},
        )
        handle.log({**sweep_tables(sweep), **sweep_charts(sweep), **pictures(sweep.folder), **page(sweep)})
        counts = {"jobs": len(sweep.finished) + len(sweep.failed), "failed": len(sweep.failed)}
        handle.summary.update({**counts, "finished": len(sweep.finished)})
        jobs = {job.name: folder for folder, job in sweep.finished.items()}
        for files in files_of_sweep(jobs, handle.id):
            handle.log_artifact(_artifact(files))
        handle.finish(exit_code=sweep.exit_code)
        if self.workspace and sweep.finished:
            self._lay_out(sweep, handle)
        return {NAME: {**_place(handle), "jobs": list(jobs)}}

    def _lay_out(self, sweep: SweepInfo, handle: "wandb.Run") -> None:
        if handle.offline or handle.disabled:
            _log.warning("logger.workspace=true needs a server; offline nothing is laid out")
            return
        from valueflow.reporting.wandb_workspace import laid_out

        _log.info("workspace: %s", laid_out(sweep, entity=handle.entity, project=handle.project).save().url)

    def _begin(self, folder: Path, **described: Any) -> "wandb.Run":
        import wandb

        how = wandb.Settings(
            silent=True,
            # What is shown may hold whatever servers and texts hold.
            console="off",
            save_code=False,
            # The command line is part of what W&B notes of the machine.
            x_disable_meta=redacted(sys.argv) != sys.argv,
        )
        # An agent of a W&B sweep has chosen the run's id. Else it is the folder's: a training that is resumed there
        # goes on with its curves.
        if "WANDB_SWEEP_ID" not in os.environ:
            described |= {"id": _run_id(folder), "resume": "allow"}
        described |= {"project": self.project, "entity": self.entity, "mode": self.mode}
        try:
            return wandb.init(dir=folder, settings=how, reinit="finish_previous", **described)
        except wandb.Error as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"logger=wandb cannot begin a run: {reason}; logger.mode=offline needs no server"
            ) from error


class _Record(RunRecord):
    """A run of Weights & Biases."""

    def __init__(self, handle: "wandb.Run", run: RunInfo) -> None:
        self._handle, self._run = handle, run
        self._told: tuple[str, int, int] | None = None

    def curves(self) -> Any:
        """Return a Lightning logger for the curves of a training."""
        from lightning.pytorch.loggers import WandbLogger as LightningLogger

        self._handle.define_metric("trainer/global_step")
        for curves in _CURVES:
            self._handle.define_metric(curves, step_metric="trainer/global_step")
        return LightningLogger(experiment=self._handle, save_dir=self._run.folder, log_model=False)

    def progress(self, unit: str, done: int, failed: int, total: int) -> None:
        """Show progress, at each percent of the work."""
        told = (unit, total, 100 * done // total if total else 0)
        if told != self._told:
            self._told = told
            share = done / total if total else 0.0
            self._handle.log({f"progress/{unit}": done, "progress/failed": failed, "progress/share": share})

    def finish(self, outcome: Outcome) -> Mapping[str, Any]:
        """Add tables, histograms, pictures, figures and artifacts."""
        folder = self._run.folder
        content = {**tables(outcome), **histograms(outcome), **pictures(folder, outcome.outputs())}
        figures = flat_figures(outcome.summary)
        # Beside the summary: W&B's sweeps and charts go by what is logged.
        content |= {name: figures[name] for name in MAIN_FIGURES if name in figures}
        if content:
            self._handle.log(content)
        self._handle.summary.update(redacted(plain(flattened(outcome.summary))))
        for files in files_of_run(folder, self._handle.id):
            self._handle.log_artifact(_artifact(files))
        self._handle.finish(exit_code=0)
        return {NAME: _place(self._handle)}

    def fail(self, fault: str, exit_code: int) -> None:
        """End the run as failed."""
        self._handle.summary.update({"error": redacted(fault)})
        self._handle.finish(exit_code=exit_code)


def _run_id(folder: Path) -> str:
    return hashlib.blake2b(str(folder.absolute()).encode(), digest_size=8).hexdigest()


def _place(handle: "wandb.Run") -> dict[str, Any]:
    place = {"run": handle.id, "project": handle.project, "entity": handle.entity}
    return {key: entry for key, entry in place.items() if entry}


def _artifact(files: RunFiles) -> "wandb.Artifact":
    import wandb

    artifact = wandb.Artifact(files.name, type=files.type)
    for name, path in files.files.items():
        # Tables are copied: the end of a sweep may write those of its jobs again. A model stays as it is, and is large.
        if path.is_dir():
            artifact.add_dir(str(path), name=name, skip_cache=True, policy="immutable")
        else:
            artifact.add_file(str(path), name=name)
    return artifact


def _take(handle: "wandb.Run", files: RunFiles) -> None:
    """Link the run to the one that made files: an artifact of the same name and content is the same artifact.

    A server that does not keep the artifact costs the link, which is said, and not the run.
    """
    import wandb

    if handle.offline:
        # `use_artifact` refuses to work offline, though the record that it makes can be uploaded later as any other.
        handle._log_artifact(_artifact(files), is_user_created=True, use_after_commit=True)
    elif not handle.disabled:
        try:
            handle.use_artifact(_artifact(files))
        except (wandb.Error, ValueError) as error:
            _log.warning("W&B has not linked the run to artifact %s: %s", files.name, " ".join(str(error).split()))
