"""What a job of a sweep costs beyond its judging: sixty jobs of the real app in one process.

Runs `python evaluate.py experiment=pvq` (twelve values at five intensities) with the embedding judge on the demo data.
From the whole time it takes what the jobs say they spent judging, and what one job started alone spends on starting;
composing, loading, scoring, writing and the end of the sweep are left. The peer, in the same run, is that one job: what
a loop over processes would pay sixty times.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from record import record

JOBS = 60
BAR_SECONDS = 0.3
APP = Path(__file__).resolve().parents[1] / "evaluate.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sweep.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        alone = _run("value=power", "intensity=2", f"hydra.run.dir={folder}/alone")
        sweep = _run("experiment=pvq", f"hydra.sweep.dir={folder}/sweep")
        judging_alone = _judging(Path(folder) / "alone")
        judging = sum(_judging(Path(folder) / "sweep" / str(job)) for job in range(JOBS))
    starting = alone.seconds - judging_alone
    overhead = (sweep.seconds - judging - starting) / JOBS
    loads = sweep.log.count("loaded encoder")
    ratio = alone.seconds * JOBS / sweep.seconds
    print(f"{JOBS} jobs in {sweep.seconds:.1f} s; one job alone {alone.seconds:.1f} s, {ratio:.0f}x")
    print(f"encoder loaded {loads} time(s)   bar 1")
    print(f"a job beyond its judging: {overhead:.3f} s   bar {BAR_SECONDS} s")
    record(
        options.out,
        {
            "jobs": JOBS,
            "sweep_seconds": sweep.seconds,
            "alone_seconds": alone.seconds,
            "ratio_to_a_process_a_job": ratio,
            "judging_seconds": judging,
            "overhead_seconds_a_job": overhead,
            "encoder_loads": loads,
            "bars": {"overhead_seconds_a_job": BAR_SECONDS, "encoder_loads": 1},
        },
    )
    return 0 if overhead < BAR_SECONDS and loads == 1 else 1


@dataclass(frozen=True)
class _Run:
    seconds: float
    log: str


def _judging(folder: Path) -> float:
    return float(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["timings"]["judge"])


def _run(*overrides: str) -> _Run:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(APP), *overrides, "progress=false"], capture_output=True, text=True, check=True
    )
    return _Run(time.perf_counter() - start, done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(main())
