"""What Slurm's queue says of a sweep's jobs, on clusters that keep no accounts of finished ones."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

_SECONDS_BETWEEN = 60

_ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
        *("RECONFIG_FAIL", "REVOKED", "TIMEOUT"),
    }
)
"""States of jobs that do not run again. The queue has more than accounts have, such as CONFIGURING and SUSPENDED, and
submitit would take those for ended ones."""


class QueueWatcher(SlurmInfoWatcher):  # type: ignore[misc]
    """Asks `squeue` where submitit asks `sacct`: a job that is no longer listed has ended."""

    def _make_command(self) -> list[str] | None:
        waiting = self._registered - self._finished
        return ["squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i|%T"] if waiting else None

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """Return the state of each job that is waited for, by its id: one of those of ended jobs, or RUNNING."""
        text = string.decode() if isinstance(string, bytes) else string
        listed = dict(line.strip().split("|", 1) for line in text.splitlines() if "|" in line)
        states = {job: listed.get(job, "COMPLETED") for job in self._registered - self._finished}
        return {job: {"State": state if state in _ENDED else "RUNNING"} for job, state in states.items()}


@contextmanager
def queue_watched() -> Iterator[None]:
    """Let submitit learn from the queue which jobs have ended, where there is Slurm without accounting.

    It would wait forever for a job that was killed.
    """
    if shutil.which("squeue") is None or _has_accounting():
        yield
        return
    watcher = SlurmJob.watcher
    SlurmJob.watcher = QueueWatcher(delay_s=_SECONDS_BETWEEN)
    try:
        yield
    finally:
        SlurmJob.watcher = watcher


def _has_accounting() -> bool:
    try:
        return subprocess.run(["sacct", "--noheader", "--jobs=1"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
