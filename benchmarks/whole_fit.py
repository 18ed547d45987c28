"""Utilities of a whole database: against choix on the same windows, and how time and memory grow.

    python benchmarks/whole_fit.py [--out FILE]

choix's iterative Luce spectral ranking (`ilsr_rankings`, Maystre and Grossglauser 2015) and `fit_items` both climb to
the maximum of the Plackett-Luce likelihood; choix regularises otherwise, so the two are compared by the correlation of
what they find. Each of the larger fits runs in a process of its own, whose peak memory the system reports.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import choix
import numpy as np
import numpy.typing as npt
from record import record

from valueflow.plackett_luce import fit_items
from valueflow.plackett_luce.item_likelihood import log_likelihood

BAR_RATIO, BAR_SECONDS, BAR_MIB = 50.0, 10.0, 1024.0
TEXTS = 10_000
SIZES = {2: (50_000, 100_000, 200_000), 6: (25_000, 50_000, 100_000)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/whole_fit.json"))
    parser.add_argument("--side", nargs=2, type=int, metavar=("WINDOWS", "K"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measured(*options.side)))
        return 0
    _, order = simulated(2_000, 20_000, 6)
    fit_items(order[:100], 2_000, errors=False)  # loads what it needs
    begin = time.perf_counter()
    ours = fit_items(order, 2_000, errors=False)
    own = time.perf_counter() - begin
    begin = time.perf_counter()
    theirs = choix.ilsr_rankings(2_000, [tuple(row) for row in order.tolist()], alpha=0.01)
    peer = time.perf_counter() - begin
    alike = float(np.corrcoef(ours.utility, theirs)[0, 1])
    print(f"2,000 texts, 20,000 windows of 6: fit_items {own:.2f} s, choix {peer:.1f} s")
    print(f"{peer / own:.0f} times as fast (bar {BAR_RATIO:g}); the two correlate {alike:.5f}")
    passed = peer / own >= BAR_RATIO and alike > 0.98
    grown: dict[str, list[dict[str, Any]]] = {}
    for k, sizes in SIZES.items():
        runs = [side(windows, k) for windows in sizes]
        grown[f"windows_of_{k}"] = runs
        for run in runs:
            print(
                f"{TEXTS:,} texts, {run['windows']:,} windows of {k}: {run['seconds']:.2f} s, {run['steps']} gradients "
                f"at {run['gradient_ms']:.1f} ms, peak {run['peak_mib']:,.0f} MiB"
            )
        per_window = [run["gradient_ms"] / run["windows"] for run in runs]
        print(f"  a gradient's time a window, largest over smallest: {per_window[-1] / per_window[0]:.2f}")
        passed &= runs[-1]["seconds"] < BAR_SECONDS and runs[-1]["peak_mib"] < BAR_MIB
    record(
        options.out,
        {"choix_seconds": peer, "seconds": own, "ratio": peer / own, "correlation": alike, **grown, "passed": passed},
    )
    print("passed" if passed else "NOT passed")
    return 0 if passed else 1


def simulated(n: int, windows: int, k: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return true utilities and rankings of windows of k different texts, each drawn evenly."""
    draws = np.random.default_rng(0)
    truth = draws.normal(0, 1.5, n)
    items = draws.integers(0, n, (windows, k))
    while (again := (np.diff(np.sort(items, axis=1), axis=1) == 0).any(axis=1)).any():
        items[again] = draws.integers(0, n, (int(again.sum()), k))
    noisy = truth[items] + draws.gumbel(size=items.shape)
    return truth, np.take_along_axis(items, np.argsort(-noisy, axis=1), axis=1)


def side(windows: int, k: int) -> dict[str, Any]:
    """Fit in a process of its own."""
    command = [sys.executable, __file__, "--side", str(windows), str(k)]
    figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def measured(windows: int, k: int) -> dict[str, object]:
    """Fit, and count what it took."""
    truth, order = simulated(TEXTS, windows, k)
    spent, steps, whole = 0.0, 0, log_likelihood

    def timed(*arguments: Any) -> Any:
        nonlocal spent, steps
        begin = time.perf_counter()
        result = whole(*arguments)
        spent, steps = spent + time.perf_counter() - begin, steps + 1
        return result

    with patch("valueflow.plackett_luce.items.log_likelihood", timed):
        begin = time.perf_counter()
        fit = fit_items(order, TEXTS)
        seconds = time.perf_counter() - begin
    return {
        "windows": windows,
        "seconds": seconds,
        "steps": steps,
        "gradient_ms": 1e3 * spent / steps,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "correlation": float(np.corrcoef(truth, fit.utility)[0, 1]),
        "converged": fit.converged,
    }


if __name__ == "__main__":
    sys.exit(main())
