"""Writing to the cache of completions: eight processes at once, to a PostgreSQL server and, the peer, to SQLite's file.

Each process adds completions of its own and, every fifth, one that all of them have an answer to, whose first answer
must stay. One process is killed on its way. Each notes what `put` has returned for; in the end all of that must be
there, as it was told. Once a completion goes in by itself, as answers come from a server, and once many do together, as
from a GPU.

Both keep their files in one folder of one disk and flush each commit to it.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

from postgres_server import running_postgres, why_no_server
from record import cannot_run, record

from valueflow.llm import Completion
from valueflow.llm.cache import open_cache

SHARED = 5
"""Every fifth request is one of all processes."""


@dataclass(frozen=True)
class Measure:
    """What was found of one cache. `writes` are those that `put` returned for; `lost` are missing or changed ones."""

    kind: str
    batch: int
    writes: int
    seconds: float
    entries: int
    killed_after: int
    shared: int
    lost: int

    @property
    def rate(self) -> float:
        """Writes a second, of all processes together."""
        return self.writes / self.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--writes", type=int, default=5000, help="of each process [5000]")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64], help="completions added at once [1 64]")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/cache_writes.json"))
    parser.add_argument("--writer", nargs=4, metavar=("NUMBER", "BATCH", "NOTES", "GO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer:
        number, batch, notes, go = options.writer
        write(int(number), int(batch), Path(notes), Path(go), options.writes)
        return 0
    reason = why_no_server() or (None if find_spec("psycopg") else "psycopg is not installed (extra postgres)")
    if reason:
        return cannot_run(reason)
    measures: list[Measure] = []
    with running_postgres() as server, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        for batch in options.batches:
            places = {
                "SQLite": {"VALUEFLOW_CACHE": f"{folder}/{batch}", "VALUEFLOW_CACHE_URL": ""},
                "PostgreSQL": {"VALUEFLOW_CACHE_URL": server.url(schema=server.new_schema(f"batch{batch}"))},
            }
            for kind, place in places.items():
                measures.append(measured(kind, place, batch, Path(folder), options.processes, options.writes))
                show(measures[-1])
            print(f"  PostgreSQL's rate is {measures[-1].rate / measures[-2].rate:.2f} times SQLite's")
    record(
        options.out,
        {"processes": options.processes, "measures": [asdict(one) | {"rate": one.rate} for one in measures]},
    )
    return int(any(one.lost for one in measures))


def show(found: Measure) -> None:
    print(
        f"{found.kind:<12}{found.batch:>3} at a time: {found.writes:>7,} writes in {found.seconds:6.1f} s, "
        f"{found.rate:>8,.0f} a second; {found.entries:,} entries, {found.shared:,} answers shared, one process killed "
        f"after {found.killed_after:,}; lost: {found.lost}"
    )


def measured(kind: str, place: Mapping[str, str], batch: int, folder: Path, processes: int, writes: int) -> Measure:
    """Have processes write, kill one after a third of its writes, and compare what is there with their notes."""
    go = folder / f"{kind}-{batch}-go"
    command = [sys.executable, __file__, f"--writes={writes}", "--writer"]
    notes = [folder / f"{kind}-{batch}-{number}.txt" for number in range(processes)]
    with patch.dict(os.environ, place):
        writers = [subprocess.Popen([*command, str(number), str(batch), path, go]) for number, path in enumerate(notes)]
        while not all(path.exists() for path in notes):
            if any(writer.poll() is not None for writer in writers):
                raise SystemExit("a process ended before it began")
            time.sleep(0.02)
        go.touch()
        start = go.stat().st_mtime
        while writers[0].poll() is None and len(noted(notes[0])) < writes // 3:
            time.sleep(0.02)
        writers[0].send_signal(signal.SIGKILL)
        codes = [writer.wait() for writer in writers]
        seconds = max(path.stat().st_mtime for path in notes) - start
        if codes[0] != -signal.SIGKILL or any(codes[1:]):
            raise SystemExit(f"processes ended with {codes}")
        told = [noted(path) for path in notes]
        lost = 0
        with open_cache(read_only=True) as cache:
            for of_one in told:
                kept = cache.get(list(of_one))
                lost += sum(key not in kept or kept[key].text.split(" ")[0] != by for key, by in of_one.items())
            entries = sum(model.entries for model in cache.statistics())
    shared = {key for of_one in told for key in of_one if key.startswith("shared")}
    return Measure(kind, batch, sum(map(len, told)), seconds, entries, len(told[0]), len(shared), lost)


def noted(path: Path) -> dict[str, str]:
    """Return what a process has noted: for each key, which process's answer stays."""
    whole, _, _ = path.read_text().rpartition("\n")
    return dict(line.split(" ") for line in whole.splitlines())


def write(number: int, batch: int, notes: Path, go: Path, writes: int) -> None:
    """Write as one of the processes, once a file says go, and note after each `put` whose answers stay."""
    draws = random.Random(number)
    cache = open_cache()
    cache.get(["connect"])
    with notes.open("a") as stream:
        while not go.exists():
            time.sleep(0.005)
        for first in range(0, writes, batch):
            places = range(first, min(first + batch, writes))
            # About what a judge's answer with its probabilities takes.
            answers = {
                f"{'shared' if place % SHARED == 0 else number}-{place}": Completion(
                    f"{number} {draws.randbytes(draws.randrange(50, 250)).hex()}", number, place
                )
                for place in places
            }
            earlier = cache.put(list(answers.items()), "model")
            lines = (f"{key} {earlier.get(key, mine).text.split(' ')[0]}\n" for key, mine in answers.items())
            stream.write("".join(lines))
            stream.flush()
    cache.close()


if __name__ == "__main__":
    sys.exit(main())
