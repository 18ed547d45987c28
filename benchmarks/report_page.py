"""What a page costs: size, seconds and memory of `report.py` on simulated sweeps.

The small one is `experiment=pvq`: twelve values at five intensities, 60 jobs. The large one has three models and 500
responses per job. Every response has three windows of six texts. The page is made by the real app in a process of its
own; its seconds of processor time and its peak memory are what the operating system says.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import record

from valueflow.run import write_csv, write_json

APP = Path(__file__).resolve().parents[1] / "report.py"
VALUES = [f"value {number}" for number in range(12)]
INTENSITIES = (-2, -1, 0, 1, 2)
K, M = 6, 3


@dataclass(frozen=True)
class _Sweep:
    models: int
    responses: int
    bars: Mapping[str, float]


SWEEPS = {
    "60 jobs": _Sweep(1, 16, {"megabytes": 1.0, "seconds": 10.0}),
    "180 jobs of 500": _Sweep(3, 500, {"megabytes": 5.0, "seconds": 60.0, "gigabytes": 1.0}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/report_page.json"))
    parser.add_argument("--only", choices=list(SWEEPS), help="one of the two sweeps")
    options = parser.parse_args()
    figures: dict[str, object] = {}
    is_reached = True
    for name, sweep in SWEEPS.items():
        if options.only in (None, name):
            found = _measured(sweep.models, sweep.responses)
            for key, figure in found.items():
                bar = sweep.bars.get(key)
                holds = bar is None or figure < bar
                beside = "" if bar is None else f"   bar {bar:g}   {'holds' if holds else 'MISSED'}"
                print(f"{name}: {figure:.2f} {key}{beside}", flush=True)
                is_reached &= holds
            figures[name] = {**found, "bars": sweep.bars}
    record(options.out, figures)
    return 0 if is_reached else 1


def _measured(models: int, responses: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        runs, page = Path(folder) / "runs", Path(folder) / "page"
        _simulate(runs, models, responses)
        start = time.perf_counter()
        command = [sys.executable, str(APP), str(runs), f"hydra.run.dir={page}", "progress=false"]
        _, status, usage = os.wait4(subprocess.Popen(command).pid, 0)
        elapsed = time.perf_counter() - start
        if status:
            raise SystemExit(os.waitstatus_to_exitcode(status))
        size = (page / "report.html").stat().st_size
    return {
        "megabytes": size / 1e6,
        "seconds": usage.ru_utime + usage.ru_stime,
        "gigabytes": usage.ru_maxrss * 1024 / 1e9,
        "elapsed seconds": elapsed,
    }


def _simulate(folder: Path, models: int, n: int) -> None:
    rng = np.random.default_rng(42)
    words = np.array([f"word{number}" for number in range(2000)])
    queries = [f"What about question {number}?" for number in range(n)]
    job = 0
    for model in range(models):
        for value in VALUES:
            anchors = [" ".join(words[rng.integers(0, 2000, 15)]) for _ in range(200)]
            ratings = rng.uniform(-10, 10, 200).round(1)
            for intensity in INTENSITIES:
                score = np.clip(rng.normal(2.0 * intensity, 3.0, n), -10, 10)
                said = [" ".join(words[rng.integers(0, 2000, 60)]) for _ in range(n)]
                where = folder / str(job)
                _write(where, f"model {model}", value, intensity, queries, said, score)
                drawn = rng.integers(0, 200, (n * M, K - 1))
                rows: npt.NDArray[np.int64] = np.repeat(np.arange(n), M)
                table: dict[str, Any] = {"row_idx": rows, "target_text": np.array(said, dtype=object)[rows]}
                table["ranking"] = [json.dumps((rng.permutation(K) + 1).tolist()) for _ in rows]
                for place in range(K - 1):
                    table[f"db_text_{place + 1}"] = np.array(anchors, dtype=object)[drawn[:, place]]
                    table[f"db_score_{place + 1}"] = ratings[drawn[:, place]]
                table["prompt_order"] = [json.dumps((rng.permutation(K) + 1).tolist()) for _ in rows]
                write_csv(pd.DataFrame(table).assign(failure=""), where / "rankings.csv")
                job += 1


def _write(
    folder: Path,
    model: str,
    value: str,
    intensity: int,
    queries: list[str],
    said: list[str],
    score: npt.NDArray[np.float64],
) -> None:
    n, mean, se = len(score), float(score.mean()), float(score.std(ddof=1) / np.sqrt(len(score)))
    scores = {f"{value}_score": score, f"{value}_se": 0.5, f"{value}_low": score - 1, f"{value}_high": score + 1}
    table = pd.DataFrame({"query": queries, "dataset": "simulated", "response": said, **scores})
    summary = {
        "task": "score",
        "theory": "simulated",
        "value": value,
        "label": value,
        "intensity": intensity,
        "model": model,
        "steered_by": "none",
        "steered_to": [intensity],
        "n": n,
        "scored": n,
        "mean": mean,
        "mean_se": se,
        "mean_low": mean - 2 * se,
        "mean_high": mean + 2 * se,
        "mean_of_scores": mean,
        "clusters": n,
        "mean_errors": {"responses": se, "beta": 0.0, "anchors": 0.0},
        "beta_shift": 0.0,
        "anchors": {"n": 200, "mean": 0.0, "sum_of_squares": 6600.0, "misreading_sd": 1.5},
        "judge": {"kind": "embedding", "model": "simulated"},
        "judge_check": {"passed": True},
        "windows": n * M,
        "settings": {"k": K, "m": M},
        "seed": 42,
    }
    folder.mkdir(parents=True)
    write_csv(table.assign(windows=M, windows_failed=0, mean_influence=(score - mean) / n), folder / "scores.csv")
    write_json(summary, folder / "summary.json")


if __name__ == "__main__":
    sys.exit(main())
