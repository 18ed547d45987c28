"""What every benchmark leaves behind: its figures as JSON, with the versions and the machine they were measured on."""

import os
from collections.abc import Mapping
from pathlib import Path

from valueflow.run import versions, write_json


def record(path: Path, figures: Mapping[str, object]) -> None:
    """Write figures, versions and number of cores."""
    write_json({**figures, "versions": versions(), "cores": os.cpu_count()}, path)
    print(f"written to {path}")


def cannot_run(reason: str) -> int:
    """Say why a benchmark is skipped; that is no failure."""
    print(f"skipped: {reason}")
    return 0
