"""Which jobs a sweep has launched, whatever launcher runs them and wherever their folders are."""

import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from valueflow.run.errors import InputError
from valueflow.run.outputs import write_json
from valueflow.run.summary import ERROR_FILE, SUMMARY_FILE, SWEEP_RECORD, read_record, sweep_of


@dataclass
class SweepJob:
    """A job that a sweep has launched.

    Attributes
    ----------
    number
        Its place in the sweep, from 0.
    overrides
        What was set for it, without Hydra's own keys.
    folder
        Where it wrote; None until it is known.
    """

    number: int
    overrides: tuple[str, ...]
    folder: Path | None = None


@dataclass
class Sweep:
    """A sweep with the jobs launched so far.

    Attributes
    ----------
    folder
        Of the sweep.
    id
        Tells its jobs from those of another sweep in the same folder; a resumed sweep keeps the id.
    jobs
        In the order of their numbers.
    command
        Name of the command.
    logger
        The composed group `logger`; None: there is none.
    searches
        Whether a search of settings follows what the jobs return; then their figures stay what they returned.
    """

    folder: Path
    id: str
    jobs: list[SweepJob] = field(default_factory=list)
    command: str = ""
    logger: dict[str, Any] | None = None
    searches: bool = False

    def find_folders(self) -> None:
        """Look up the folders of jobs that the launcher did not return: those that left a record."""
        missing = {job.number: job for job in self.jobs if job.folder is None}
        if not missing:
            return
        for name in (SUMMARY_FILE, ERROR_FILE):
            for file in sorted(self.folder.rglob(name)):
                tag = sweep_of(file.parent)
                if tag is not None and tag["id"] == self.id and tag["job"] in missing:
                    missing[tag["job"]].folder = file.parent


def is_searching(config: DictConfig) -> bool:
    """Return whether a sweeper follows what jobs return; Hydra's plain one does not."""
    return not str(config.hydra.sweeper.get("_target_")).endswith(".BasicSweeper")


@contextmanager
def recorded_launches() -> Iterator[list[Sweep]]:
    """Record what Hydra launches while the block runs.

    Hydra's callbacks run where the jobs do, which may be in other processes, and do not learn of jobs that never began.
    So the launcher itself is wrapped.

    Yields
    ------
    list of Sweep
        Empty until a job has been launched; then the sweep.
    """
    plugins = Plugins.instance()
    make = plugins.instantiate_launcher
    sweeps: list[Sweep] = []

    def make_recording(hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> Launcher:
        launcher = make(hydra_context, task_function, config)
        return _Recording(launcher, config, sweeps, searches=is_searching(config))

    plugins.instantiate_launcher = make_recording
    try:
        yield sweeps
    finally:
        del plugins.instantiate_launcher


class _Recording(Launcher):  # type: ignore[misc]
    """A launcher that notes which jobs it is given and where they wrote."""

    def __init__(self, launcher: Launcher, config: DictConfig, sweeps: list[Sweep], *, searches: bool) -> None:
        self._launcher, self._config, self._sweeps = launcher, config, sweeps
        self._folder = Path(config.hydra.sweep.dir)
        self._searches = searches

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if not self._sweeps:
            self._sweeps.append(_begin(self._config, resumes=_resumes(job_overrides)))
            self._sweeps[0].searches = self._searches
        jobs = [
            SweepJob(number, tuple(filter_overrides(overrides)))
            for number, overrides in enumerate(job_overrides, start=initial_job_idx)
        ]
        self._sweeps[0].jobs += jobs
        with _waiting_for_all():
            returned: Sequence[JobReturn] = self._launcher.launch(job_overrides, initial_job_idx)
        for job, result in zip(jobs, returned, strict=False):
            if result.hydra_cfg is not None:
                job.folder = self._within(Path(result.hydra_cfg.hydra.runtime.output_dir))
            if self._searches and result.status == JobStatus.COMPLETED and result.return_value is None:
                # The sweeper's own bound on failed trials counts it.
                result.status = JobStatus.FAILED
                result.return_value = InputError(f"job {job.number} has no figure that the search can follow")
        return returned

    def _within(self, folder: Path) -> Path:
        """Return a job's folder as the sweep's is given, absolute or not."""
        sweep = Path(os.path.abspath(self._folder))
        return self._folder / folder.relative_to(sweep) if folder.is_relative_to(sweep) else folder


@contextmanager
def _waiting_for_all() -> Iterator[None]:
    """Let a launcher of submitit wait for all jobs where one was lost: the end of the sweep names it.

    It would stop at the first worker that was killed, while others still work.
    """
    if "hydra_plugins.hydra_submitit_launcher" not in sys.modules:
        yield
        return
    from submitit import Job
    from submitit.core.utils import FailedJobError, UncompletedJobError

    wait = Job.results

    def results(job: Any) -> list[Any]:
        try:
            return list(wait(job))
        except (UncompletedJobError, FailedJobError):
            return [JobReturn(status=JobStatus.COMPLETED)]

    # Imported here: it loads submitit, an extra.
    from valueflow.run.slurm_queue import queue_watched

    Job.results = results
    try:
        with queue_watched():
            yield
    finally:
        Job.results = wait


def _resumes(job_overrides: Sequence[Sequence[str]]) -> bool:
    return any(override.lower().lstrip("+") == "resume=true" for overrides in job_overrides for override in overrides)


def _begin(config: DictConfig, *, resumes: bool) -> Sweep:
    """Give the sweep its id, where its jobs and later readers of the folder find it."""
    folder = Path(config.hydra.sweep.dir)
    record = read_record(folder / SWEEP_RECORD) or {}
    logger: Any = OmegaConf.to_container(config.logger, resolve=True) if "logger" in config else None
    sweep = Sweep(
        folder,
        str(record["id"]) if resumes and "id" in record else uuid.uuid4().hex,
        command=config.hydra.job.config_name,
        logger=logger,
    )
    # What the end of an earlier sweep wrote stays listed, so that the end of this one can replace it.
    write_json({**record, "id": sweep.id}, folder / SWEEP_RECORD)
    return sweep


def job_tag() -> dict[str, Any] | None:
    """Return what a running job's records say of the sweep it is part of; None where there is no record of one."""
    hydra = HydraConfig.get()
    record = read_record(Path(hydra.runtime.cwd) / hydra.sweep.dir / SWEEP_RECORD)
    return None if record is None else {"id": record.get("id"), "job": int(hydra.job.num)}


def adopt(folder: Path) -> None:
    """Make the finished job in a folder, which a resumed sweep keeps, one of the sweep that runs now."""
    tag, record = job_tag(), read_record(folder / SUMMARY_FILE)
    if record is not None and record.get("sweep") != tag:
        write_json({**record, "sweep": tag}, folder / SUMMARY_FILE)
