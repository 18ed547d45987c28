"""Artifacts: the files of a run that later runs take, and where the files that a run takes come from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valueflow.run import SUMMARY_FILE, SWEEP_RECORD, read_record

ARTIFACT_TYPES = {
    "responses.csv": "responses",
    "scores.csv": "scores",
    "rankings.csv": "rankings",
    "text_scores.csv": "text-scores",
    "calibration.json": "calibration",
    "vidb": "vidb",
    "categorized.csv": "training-table",
    "training.csv": "training-table",
    "model": "model",
    "profiles": "profiles",
}
"""Type by name of the file or folder in a run's folder."""

_OF_SWEEPS = ("responses.csv", "scores.csv")
"""What later runs read of all jobs of a sweep at once."""

_READ_OF_FOLDERS = {"responses": "responses.csv", "folders": "scores.csv", "vidb": "vidb", "profiles": "profiles"}
"""By key: what a run reads where a setting names the folder of another run."""


@dataclass(frozen=True)
class RunFiles:
    """Files of a run, or of the jobs of a sweep, that are one artifact.

    Attributes
    ----------
    name
        Its type and the id of the run that made it, so that the run that takes it finds it again.
    type
        Such as `scores`.
    files
        Files and folders by their names within the artifact.
    """

    name: str
    type: str
    files: Mapping[str, Path]


def files_of_run(folder: Path, run_id: str) -> list[RunFiles]:
    """Return the artifacts that a finished run leaves."""
    return [_files(run_id, {name: folder / name}) for name in ARTIFACT_TYPES if (folder / name).exists()]


def files_of_sweep(jobs: Mapping[str, Path], run_id: str) -> list[RunFiles]:
    """Return the artifacts that the jobs of a sweep, folders by name, leave together."""
    found = []
    for name in _OF_SWEEPS:
        files = {f"{job}/{name}": folder / name for job, folder in jobs.items() if (folder / name).is_file()}
        if files:
            found.append(_files(run_id, files))
    return found


def files_taken(config: Mapping[str, Any], logger: str) -> list[RunFiles]:
    """Return the artifacts of earlier runs that a run takes.

    Parameters
    ----------
    config
        Settings of the run; their texts, at any depth, may name files or folders of runs and sweeps.
    logger
        Which logger; only runs that it has recorded count, and say so in `summary.json` or `sweep.json`.
    """
    found = {files.name: files for key, path in _paths(config) for files in _made_by(key, path, logger)}
    return list(found.values())


def _made_by(key: str, path: Path, logger: str) -> Iterator[RunFiles]:
    name = path.name if path.name in ARTIFACT_TYPES else _READ_OF_FOLDERS.get(key)
    folder = path.parent if path.name in ARTIFACT_TYPES else path
    if name is None:
        return
    run = (read_record(folder / SUMMARY_FILE) or {}).get("loggers", {}).get(logger)
    if run is not None and (folder / name).exists():
        yield _files(run["run"], {name: folder / name})
    sweep = (read_record(folder / SWEEP_RECORD) or {}).get("loggers", {}).get(logger)
    if sweep is not None:
        jobs = {job: folder / job for job in sweep.get("jobs", [])}
        yield from (files for files in files_of_sweep(jobs, sweep["run"]) if files.type == ARTIFACT_TYPES[name])


def _files(run_id: str, files: Mapping[str, Path]) -> RunFiles:
    kind = ARTIFACT_TYPES[Path(next(iter(files))).name]
    return RunFiles(f"{kind}-{run_id}", kind, files)


def _paths(node: Any, key: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that settings name, each with the key under which it stands."""
    if isinstance(node, Mapping):
        for name, entry in node.items():
            yield from _paths(entry, str(name))
    elif isinstance(node, list | tuple):
        for entry in node:
            yield from _paths(entry, key)
    elif isinstance(node, str) and node and _exists(node):
        yield key, Path(node)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False
