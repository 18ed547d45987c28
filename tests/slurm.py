"""A Slurm of its own for a test: Debian's daemons on this machine, with one node, in a temporary folder."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "sinfo", "scontrol")

# Without munge: nothing but this test's programs reaches the daemons. More cores than there are let jobs run at once. A
# job that is to end is killed soon.
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2
ReturnToService=1
JobRequeue=1
KillWait=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP
"""


def why_not() -> str | None:
    """Return why there can be no Slurm here; None: there can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"Slurm is not installed (no {', '.join(missing)}): apt-get install slurm-wlm" if missing else None


@contextmanager
def running_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start Slurm's daemons, wait until the node takes jobs, and stop all at the end.

    Yields
    ------
    dict
        What the environment of commands needs, so that they talk to it.

    Raises
    ------
    RuntimeError
        The node takes no jobs within a minute; with what the daemons logged.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    settings = folder / "slurm.conf"
    controller_port, node_port = _free_ports(2)
    settings.write_text(
        SETTINGS.format(
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            folder=folder,
            controller_port=controller_port,
            node_port=node_port,
        )
    )
    more = {"SLURM_CONF": str(settings), "PATH": f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"}
    env = {**os.environ, **more}
    daemons = [
        subprocess.Popen(
            [shutil.which(name, path=more["PATH"]) or name, "-D"],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in ("slurmctld", "slurmd")
    ]
    try:
        _wait_until_idle(env, folder)
        yield more
    finally:
        subprocess.run(["scancel", "--user", getpass.getuser()], env=env, capture_output=True, timeout=60)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@contextmanager
def requeue_once(env: dict[str, str], when: Callable[[], bool]) -> Iterator[None]:
    """Preempt the job that runs, as soon as `when` says so, and let it start again at once.

    Raises
    ------
    RuntimeError
        The moment did not come, or no job ran then.
    """
    with ThreadPoolExecutor(1) as thread:
        requeued = thread.submit(_requeue, {**os.environ, **env}, when)
        yield
        requeued.result()


def _requeue(env: dict[str, str], when: Callable[[], bool]) -> None:
    def told(*command: str) -> str:
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    end = time.monotonic() + 300
    while not when():
        if time.monotonic() > end:
            raise RuntimeError("nothing was requeued within 300 s")
        time.sleep(0.02)
    job = told("squeue", "--me", "--noheader", "--states=running", "--format=%i")
    told("scontrol", "requeue", job)
    # Slurm lets two minutes pass before it starts a requeued job.
    while told("squeue", "--me", "--noheader", "--format=%T") != "PENDING":
        time.sleep(0.2)
    told("scontrol", "update", f"jobid={job}", "starttime=now")


def _free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_until_idle(env: dict[str, str], folder: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=env, capture_output=True, text=True, timeout=60)
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.3)
    logs = "\n".join(file.read_text()[-3000:] for file in sorted(folder.glob("*.log")))
    raise RuntimeError(f"Slurm's node takes no jobs: {done.stdout}{done.stderr}\n{logs}")
