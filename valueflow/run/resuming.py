"""Which jobs are finished, and which folder an interrupted command left."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from valueflow.run.summary import LEFT_UNDONE, SUMMARY_FILE, read_record

NOT_IN_FINGERPRINT = ("progress", "cache")
"""Keys that change what a run shows or costs, not its result; at any depth of the settings."""

_NOT_COMPARED = ("-", "hydra", "resume=", "report=", "logger", *(f"{key}=" for key in NOT_IN_FINGERPRINT))


def result_settings(node: Any) -> Any:
    """Return the settings that decide a run's result."""
    if isinstance(node, Mapping):
        return {key: result_settings(entry) for key, entry in node.items() if key not in NOT_IN_FINGERPRINT}
    return [result_settings(entry) for entry in node] if isinstance(node, list) else node


def is_finished(folder: Path, fingerprint: str) -> bool:
    """Return whether a folder holds the finished job of this fingerprint, with nothing left to be done."""
    recorded = read_record(folder / SUMMARY_FILE)
    return recorded is not None and recorded.get("fingerprint") == fingerprint and LEFT_UNDONE not in recorded


def was_requeued() -> bool:
    """Return whether Slurm has started this job before: it was preempted, or ran out of time, and goes on."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") not in ("", "0")


def continue_earlier(arguments: list[str], command: str, trains: Callable[[], bool]) -> None:
    """With resume=true, point Hydra at the newest folder that the same overrides made.

    The folder is named on the command line itself (`hydra.sweep.dir=...`), so that jobs that a launcher runs in other
    processes get it too. Where the user names a folder, that one is used.

    Parameters
    ----------
    arguments
        Of the command line; changed in place.
    command
        Name of the command.
    trains
        Returns whether runs of the command are trainings, which can be resumed singly, not as sweeps alone.
    """
    if "resume=true" not in [argument.lower() for argument in arguments]:
        return
    if any(argument.startswith(("hydra.sweep.dir=", "hydra.run.dir=")) for argument in arguments):
        return
    is_sweep = bool({"-m", "--multirun"} & set(arguments))
    may_be_sweep = is_sweep or any(
        choice in argument for choice in ("experiment=", "hparams_search=") for argument in arguments
    )
    may_be_run = not is_sweep and trains()
    wanted = _compared(arguments[1:])
    found = _earlier_run(wanted, command) if may_be_run else None
    found = found or (_earlier_sweep(wanted) if may_be_sweep else None)
    if found:
        arguments.insert(1, found)
    elif may_be_sweep or may_be_run:
        kind = "sweep" if may_be_sweep else "run"
        print(f"nothing to resume: no earlier {kind} has these overrides", file=sys.stderr)


def _earlier_sweep(wanted: list[str]) -> str | None:
    for file in sorted(Path("multirun").glob("*/*/multirun.yaml"), reverse=True):
        if _compared(OmegaConf.load(file).hydra.overrides.task) == wanted:
            return f"hydra.sweep.dir={file.parent}"
    return None


def _earlier_run(wanted: list[str], command: str) -> str | None:
    for file in sorted(Path("outputs").glob("*/*/.hydra/overrides.yaml"), reverse=True):
        is_ours = OmegaConf.load(file.with_name("hydra.yaml")).hydra.job.name == command
        if is_ours and _compared(OmegaConf.load(file)) == wanted:
            return f"hydra.run.dir={file.parents[1]}"
    return None


def _compared(arguments: Iterable[str]) -> list[str]:
    """Return the overrides that make a sweep what it is, sorted."""
    return sorted(argument for argument in arguments if "=" in argument and not argument.startswith(_NOT_COMPARED))
