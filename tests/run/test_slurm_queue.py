"""What is learned from Slurm's queue of jobs that are waited for."""

from unittest.mock import patch

import pytest

pytest.importorskip("submitit", reason="submitit is not installed (extra submitit)")

from valueflow.run.slurm_queue import QueueWatcher

# Of the manual of squeue, by whether a job in it may still run.
WAITED_FOR = "PENDING RUNNING CONFIGURING COMPLETING SUSPENDED STOPPED SIGNALING RESIZING STAGE_OUT PREEMPTED REQUEUED"
WAITED_FOR += " REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT"
ENDED = "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY TIMEOUT REVOKED"


def is_done(listed: str) -> bool:
    """Return whether job 7_0 counts as ended where `squeue` prints this."""
    with patch("subprocess.check_output", return_value=listed.encode()):
        return bool(QueueWatcher().is_done("7_0", mode="force"))


@pytest.mark.parametrize("state", WAITED_FOR.split())
def test_a_job_that_may_still_run_is_waited_for(state: str) -> None:
    assert not is_done(f"7_1|COMPLETED\n7_0|{state}\n")


@pytest.mark.parametrize("state", ENDED.split())
def test_a_job_that_has_ended_is_not(state: str) -> None:
    assert is_done(f"7_1|RUNNING\n7_0|{state}\n")


@pytest.mark.parametrize("listed", ["", "7_1|RUNNING\n"])
def test_a_job_that_is_no_longer_listed_has_ended(listed: str) -> None:
    assert is_done(listed)
