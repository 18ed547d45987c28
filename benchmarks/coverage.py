"""Do 90% intervals hold the truth 90 times in 100? 20,000 simulated responses in each of six settings.

Truth is uniform in [-9, 9], anchors are drawn by buckets, and the judge's discrimination is estimated from the anchors,
as in a run. Beside the interval that the package gives (highest posterior density on the bounded scale) stands the
plain one, estimate +- 1.645 standard errors clipped to the scale.

    python benchmarks/coverage.py [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import scipy
from scoring import K, draw_windows

from valueflow.plackett_luce import fit_discrimination, fit_utilities, summarise_posterior

LEVEL_BAR, BETA_BAR = (0.87, 0.93), 0.05
CELLS = [(m, beta) for m in (3, 10) for beta in (0.3, 1.0, 2.0)]
BOUND, NORMAL_QUANTILE = 10.0, 1.6448536269514722


def run_cell(n: int, m: int, beta: float, seed: int) -> dict[str, float]:
    """Simulate and score one setting."""
    truth, anchors, rankings, index = draw_windows(n, m, K, beta, np.random.default_rng(seed))
    start = time.perf_counter()
    slope = fit_discrimination(rankings, anchors).discrimination
    fit = fit_utilities(rankings, anchors, index, n, discrimination=slope)
    posterior = summarise_posterior(rankings, anchors, index, n, discrimination=slope)
    seconds = time.perf_counter() - start
    score = np.clip(fit.utility, -BOUND, BOUND)
    plain = NORMAL_QUANTILE * fit.standard_error
    plain_low, plain_high = np.clip([fit.utility - plain, fit.utility + plain], -BOUND, BOUND)
    return {
        "m": m,
        "beta": beta,
        "estimated_beta": slope,
        "beta_error": abs(slope / beta - 1),
        "coverage": float(np.mean((posterior.low <= truth) & (truth <= posterior.high))),
        "width": float(np.mean(posterior.high - posterior.low)),
        "plain_coverage": float(np.mean((plain_low <= truth) & (truth <= plain_high))),
        "plain_width": float(np.mean(plain_high - plain_low)),
        "rmse": float(np.sqrt(np.mean((score - truth) ** 2))),
        "rmse_mean": float(np.sqrt(np.mean((posterior.mean - truth) ** 2))),
        "failed": int(fit.failed.sum()),
        "seconds": seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "coverage.json")
    parser.add_argument("--responses", type=int, default=20_000, help="simulated responses in each setting")
    options = parser.parse_args()
    print(f"{options.responses:,} responses a row, K={K}; bars: coverage 87 to 93 in 100, beta within 5%")
    print("   M beta | coverage  width | plain  width | beta error | rmse score  mean | failed  seconds")
    cells = []
    for seed, (m, beta) in enumerate(CELLS):
        cell = run_cell(options.responses, m, beta, seed)
        cells.append(cell)
        print(
            f"  {m:2d} {beta:4.1f} |   {cell['coverage']:.4f}  {cell['width']:5.2f} | {cell['plain_coverage']:.3f}  "
            f"{cell['plain_width']:5.2f} |     {cell['beta_error']:.4f} |      {cell['rmse']:.3f} "
            f"{cell['rmse_mean']:.3f} | {cell['failed']:6d}  {cell['seconds']:7.3f}"
        )
    passed = all(
        LEVEL_BAR[0] <= cell["coverage"] <= LEVEL_BAR[1] and cell["beta_error"] <= BETA_BAR and cell["failed"] == 0
        for cell in cells
    )
    result = {
        "cells": cells,
        "bars": {"coverage": LEVEL_BAR, "beta_error": BETA_BAR},
        "passed": passed,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "cores": os.cpu_count(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
