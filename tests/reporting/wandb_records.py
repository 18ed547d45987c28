"""Offline runs of Weights & Biases, read back from what they will upload."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class OfflineRun:
    """What a run's log holds, and in which order its kinds of records came."""

    run: Any = None
    order: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    stats: int = 0


def read_runs(folder: Path) -> list[OfflineRun]:
    """Read the runs of which a folder holds the logs."""
    return [read_run(path) for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))]


def read_run(path: Path) -> OfflineRun:
    found = OfflineRun()
    for record in records(path):
        kind = record.WhichOneof("record_type")
        found.order.append(kind)
        if kind == "run":
            found.run = record.run
            found.config |= entries(record.run.config.update)
        elif kind == "config":
            found.config |= entries(record.config.update)
        elif kind == "summary":
            found.summary |= entries(record.summary.update)
        elif kind == "history":
            found.history.append(entries(record.history.item))
        elif kind == "artifact":
            found.artifacts[record.artifact.name] = record.artifact
        elif kind == "metric":
            found.metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "stats":
            found.stats += 1
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def entries(items: Any) -> dict[str, Any]:
    """Return keys, dotted where they are nested, with what stands under them."""
    return {
        ".".join([item.key, *item.nested_key] if item.key else item.nested_key): json.loads(item.value_json)
        for item in items
    }


def records(path: Path) -> list[Any]:
    """Read wandb's transaction log: LevelDB's log format under a header of seven bytes, protobuf inside."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    found, message, place = [], b"", 7
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        if kind == 0:
            break
        message += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            found.append(Record.FromString(message))
            message = b""
    return found
