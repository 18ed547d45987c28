"""How often a 90% interval holds the truth: 20,000 simulated responses for each number of windows and judge.

The truth is uniform in [-9, 9], anchors are drawn by buckets from a pool of 2,000, a simulated judge of known slope
ranks, and the package's own sampling and scoring do the rest, the slope estimated from the anchors. The peer on the
same data is the plain interval, score plus or minus 1.645 standard errors, clipped to the scale.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from record import record

from valueflow.evaluation.scoring import score_windows
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import simulate_rankings
from valueflow.vidb import Anchors, BucketSampling

N, K = 20_000, 6
COVERAGE_BAR, BETA_BAR = (0.87, 0.93), 0.05


def measure(m: int, beta: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    pool = np.sort(rng.uniform(-10, 10, 2000))
    anchors = Anchors("simulated", "value", np.arange(2000).astype(str).astype(object), pool)
    truth = rng.uniform(-9, 9, N)
    responses = np.repeat(np.arange(N), m)
    intensities = pool[BucketSampling().draw(anchors, rng.random((N * m, K - 1)))]
    orders = simulate_rankings(np.column_stack([truth[responses], intensities]), beta, rng)
    windows = RankedWindows.of(responses, orders, intensities, np.full(N * m, "", dtype=object))
    mean, mode = (
        score_windows(windows, N, estimator="map", point=point, solver="newton", max_iter=50, learning_rate=0.1)
        for point in ("mean", "mode")
    )
    plain_low, plain_high = (np.clip(mode.score + sign * 1.645 * mode.se, -10, 10) for sign in (-1, 1))
    return {
        "windows": m,
        "beta": beta,
        "coverage": np.mean((mean.low <= truth) & (truth <= mean.high)),
        "width": np.mean(mean.high - mean.low),
        "plain_coverage": np.mean((plain_low <= truth) & (truth <= plain_high)),
        "plain_width": np.mean(plain_high - plain_low),
        "beta_error": abs(mean.reliability.discrimination / beta - 1),
        "rmse_mean": np.sqrt(np.mean((mean.score - truth) ** 2)),
        "rmse_mode": np.sqrt(np.mean((mode.score - truth) ** 2)),
        "not_converged": int(mean.not_converged.sum()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/coverage.json"))
    options = parser.parse_args()
    cells = [measure(m, beta, seed=m) for m in (3, 10) for beta in (0.3, 1.0, 2.0)]
    columns = ["windows", "beta", "coverage", "width", "plain_coverage", "plain_width", "beta_error"]
    columns += ["rmse_mean", "rmse_mode", "not_converged"]
    print("  ".join(columns))
    for cell in cells:
        print("  ".join(f"{cell[column]:>{len(column)}.4g}" for column in columns))
    missed = [
        cell
        for cell in cells
        if not COVERAGE_BAR[0] <= cell["coverage"] <= COVERAGE_BAR[1]
        or cell["beta_error"] > BETA_BAR
        or cell["not_converged"]
    ]
    ratio = float(np.mean([cell["width"] / cell["plain_width"] for cell in cells]))
    print(f"bars: coverage {COVERAGE_BAR}, beta within {BETA_BAR:.0%}; {len(missed)} of {len(cells)} rows miss one")
    print(f"mean width {ratio:.2f} times that of the plain interval")
    record(options.out, {"cells": cells, "ratio_width_to_plain": ratio, "bars": [COVERAGE_BAR, BETA_BAR]})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
