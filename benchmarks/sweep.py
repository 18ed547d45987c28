"""What a job of a sweep costs beyond its judging: sixty jobs of the real app in one process.

Runs `python evaluate.py experiment=pvq` (twelve values at five intensities) with the embedding judge on the demo data,
and takes the time between the first job's end and the last one's, less what the jobs say they spent judging. The peer,
in the same run, is one job started alone: what a loop over processes would pay sixty times.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
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
        alone = _run("value=power", "intensity=2", f"hydra.run.dir={folder}/alone").seconds
        sweep = _run("experiment=pvq", f"hydra.sweep.dir={folder}/sweep")
        summaries = [
            json.loads((Path(folder) / "sweep" / str(job) / "summary.json").read_text()) for job in range(JOBS)
        ]
        ends = [(Path(folder) / "sweep" / str(job) / "summary.json").stat().st_mtime for job in range(JOBS)]
    judging = sum(summary["timings"]["judge"] for summary in summaries[1:])
    overhead = (ends[-1] - ends[0] - judging) / (JOBS - 1)
    loads = sweep.log.count("loaded encoder")
    print(f"{JOBS} jobs in {sweep.seconds:.1f} s; one job alone {alone:.1f} s, {alone * JOBS / sweep.seconds:.0f}x")
    print(f"encoder loaded {loads} time(s)   bar 1")
    print(f"a job beyond its judging: {overhead:.3f} s   bar {BAR_SECONDS} s")
    record(
        options.out,
        {
            "jobs": JOBS,
            "sweep_seconds": sweep.seconds,
            "alone_seconds": alone,
            "ratio_to_a_process_a_job": alone * JOBS / sweep.seconds,
            "judging_seconds": judging,
            "overhead_seconds_a_job": overhead,
            "encoder_loads": loads,
            "bars": {"overhead_seconds_a_job": BAR_SECONDS, "encoder_loads": 1},
        },
    )
    return 0 if overhead < BAR_SECONDS and loads == 1 else 1


class _Run:
    def __init__(self, seconds: float, log: str) -> None:
        self.seconds, self.log = seconds, log


def _run(*overrides: str) -> _Run:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(APP), *overrides, "progress=false"], capture_output=True, text=True, check=True
    )
    return _Run(time.perf_counter() - start, done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(main())
