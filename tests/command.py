"""Apps as a person runs them: processes of their own, what they leave, and how they refuse."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

Finished = subprocess.CompletedProcess[str]


def environment(cache: Path, **more: str) -> dict[str, str]:
    kept = {key: entry for key, entry in os.environ.items() if not key.startswith(("WANDB_", "HYDRA_", "OPENAI_"))}
    return {**kept, "VALUEFLOW_CACHE": str(cache), **more}


def succeeded(done: Finished) -> Finished:
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def refused(done: Finished, work: Path, *parts: str) -> None:
    """One line, exit code 2, nothing left behind."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("error: "), done.stderr
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert part in lines[0]
    assert list(work.iterdir()) == []


def summary_in(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return content
