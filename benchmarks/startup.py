"""How long a user waits for help: `--help` of every app, as a fresh process.

The peer, in the same run, is the smallest app that Hydra can make: one YAML without groups, whose help is Hydra's own.
Apps and peer take turns, and the median of the rounds counts, so a machine that is busy for a moment changes little.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import record

BAR_SECONDS = 1.5
ROOT = Path(__file__).resolve().parents[1]
APPS = [
    "evaluate.py",
    "steer.py",
    "compare.py",
    "report.py",
    "extract.py",
    "train.py",
    "categorize.py",
    "build_vidb.py",
]
PEER = """import hydra

@hydra.main(version_base="1.3", config_path=".", config_name="smallest")
def app(config):
    pass

app()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="times that each app is asked [7]")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/startup.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder) / "smallest.py"
        peer.write_text(PEER, encoding="utf-8")
        peer.with_suffix(".yaml").write_text("seed: 42\n", encoding="utf-8")
        scripts = {"smallest": peer} | {app: ROOT / app for app in APPS}
        rounds = [{name: _seconds(script) for name, script in scripts.items()} for _ in range(options.rounds)]
    seconds = {name: statistics.median(times[name] for times in rounds) for name in scripts}
    smallest = seconds.pop("smallest")
    print(f"the smallest app of Hydra's: {smallest:.2f} s")
    for app, median in seconds.items():
        print(f"{app:14} --help  {median:.2f} s   bar {BAR_SECONDS} s   {median / smallest:.1f} times the smallest")
    record(
        options.out,
        {
            "rounds": options.rounds,
            "smallest_seconds": smallest,
            "help_seconds": seconds,
            "ratio_to_smallest": {app: median / smallest for app, median in seconds.items()},
            "bars": {"help_seconds": BAR_SECONDS},
        },
    )
    return 0 if max(seconds.values()) < BAR_SECONDS else 1


def _seconds(script: Path) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, str(script), "--help"], capture_output=True, check=True, cwd=script.parent)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
