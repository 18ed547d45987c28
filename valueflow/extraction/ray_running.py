"""Ray for the time of a run: started on this machine, or connected to where it runs already."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from valueflow.run import InputError

_log = logging.getLogger(__name__)

_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_worker_niceness": "0"}
"""Nothing is reported to Ray's makers, its core prints no warnings between a run's lines, and actors that are started
on this machine wait for no other work, as this process does not; by default they would, with niceness 15."""


@contextmanager
def ray_running(address: str | None, actors: int) -> Iterator[None]:
    """Connect to Ray, or start it on this machine; what was started or connected to ends with the block.

    Ray that runs in this process already is used as it is, and goes on.

    Raises
    ------
    InputError
        There is no cluster at the address.
    """
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        import ray

        if ray.is_initialized():
            yield
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            # Actors are as many as were asked for, on however few cores.
            cores = max(os.cpu_count() or 1, actors)
            options |= {"address": "local", "num_cpus": cores, "include_dashboard": False}
        else:
            options |= {"address": address}
        try:
            with _printing_nothing():  # the core would print that it prints nothing
                ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError) as error:  # such as a cluster of another version
            if address is None:
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"engine.address={address}: there is no cluster of Ray to connect to ({reason})"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()
    finally:
        for name, entry in before.items():
            if entry is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = entry


def check_gpus(gpus: float, *, is_cluster: bool) -> None:
    """Say that no machine has as many GPUs as an actor takes, for which Ray waits without a word.

    Parameters
    ----------
    gpus
        That each actor takes.
    is_cluster
        Whether machines may be added; then it is a warning.

    Raises
    ------
    InputError
        This machine has fewer.
    """
    import ray

    most = max((node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    if most < gpus:
        lacking = f"engine.gpus={gpus:g}: Ray finds {most:g} GPUs"
        if not is_cluster:
            raise InputError(f"{lacking} on this machine; give at most as many, or 0 for the CPU")
        _log.warning("%s at most on any machine of the cluster now; the run waits until one has them", lacking)


@contextmanager
def _printing_nothing() -> Iterator[None]:
    """Keep what C++ prints off the error stream meanwhile; errors are raised all the same."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
