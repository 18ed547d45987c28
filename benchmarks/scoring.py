"""Scoring 100,000 responses: this package against one call of scipy.optimize.brentq per response.

Both start from the same arrays (rankings, anchors, response of each window) and give each response's utility; ours also
gives the standard error. brentq finds the root of the gradient written as the formula reads, in numpy over the windows
of one response; for information, also of the fastest gradient that we could write. Then time and memory are measured
for 10,000, 100,000 and 1,000,000 responses: of points and standard errors; of beta, posterior means and intervals as
for a judge that misreads nothing; and of all that estimator=map computes (places, misreading, the mean with its
interval, diagnostics), as a ratio to these.

    python benchmarks/scoring.py [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import record
from scipy.optimize import brentq
from scipy.special import expit

from valueflow.evaluation.scoring import score_windows
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import fit_discrimination, fit_utilities, simulate_rankings, summarize_posterior

K, M, BETA, PRIOR = 6, 3, 1.0, 1e-3
RESPONSES = 100_000
SIZES = (10_000, 100_000, 1_000_000)
RATIO_BAR, LINEARITY_BAR, AGREEMENT_BAR, WHOLE_BAR = 300.0, 1.5, 1e-6, 2.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def draw_windows(n: int, m: int, k: int, beta: float, rng: np.random.Generator) -> tuple[Floats, Floats, Ints, Ints]:
    """Simulate n responses with m windows each: truth, anchors, rankings, response index.

    Anchors by buckets: k - 1 equal-width bins between the lowest and highest of 2,000 anchors, one drawn from each.
    """
    pool = np.sort(rng.uniform(-10.0, 10.0, 2000))
    starts = np.searchsorted(pool, np.linspace(pool[0], pool[-1], k))
    starts[-1] = pool.size
    anchors = np.stack([pool[rng.integers(low, high, n * m)] for low, high in pairwise(starts)], 1)
    truth = rng.uniform(-9.0, 9.0, n)
    index = np.repeat(np.arange(n), m)
    rankings = simulate_rankings(np.column_stack([truth[index], anchors]), beta, rng)
    return truth, anchors, rankings, index


def thresholds_of(rankings: Ints, anchors: Floats) -> tuple[Floats, float]:
    """Prepare one response: log of what it competed against at each stage, and the number of anchors above it."""
    k = rankings.shape[1]
    weights = np.zeros(rankings.shape)
    weights[:, 1:] = np.exp(BETA * anchors)
    picked = np.take_along_axis(weights, rankings - 1, axis=1)
    remaining = np.cumsum(picked[:, ::-1], axis=1)[:, ::-1]
    place = np.argmax(rankings == 1, axis=1)
    counts = (np.arange(k) <= place[:, None]) & (remaining > 0)
    return np.log(remaining[counts]), float(place.sum())


def expit_gradient(rankings: Ints, anchors: Floats) -> Callable[[float], float]:
    """Gradient of one response's log-posterior, the fastest found: prepared thresholds, scipy's compiled logistic."""
    thresholds, losses = thresholds_of(rankings, anchors)

    def gradient(u: float) -> float:
        return float(BETA * (expit(thresholds - BETA * u).sum() - losses) - PRIOR * u)

    return gradient


def formula_gradient(rankings: Ints, anchors: Floats) -> Callable[[float], float]:
    """Evaluate the gradient as the formula reads, with nothing but the anchors' exponentials prepared."""
    is_response = rankings == 1
    picked = np.take_along_axis(np.column_stack([np.zeros(len(anchors)), np.exp(BETA * anchors)]), rankings - 1, axis=1)
    competes = np.cumsum(is_response[:, ::-1], axis=1)[:, ::-1]

    def gradient(u: float) -> float:
        strength = np.where(is_response, np.exp(BETA * u), picked)
        remaining = np.cumsum(strength[:, ::-1], axis=1)[:, ::-1]
        chance = np.exp(BETA * u) * competes / remaining
        return float(BETA * (len(anchors) - chance.sum()) - PRIOR * u)

    return gradient


def best_of(function: Callable[[], Any], repeats: int = 7) -> float:
    """Least wall-clock time of a few runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def posterior_alone(rankings: Ints, anchors: Floats, index: Ints, n: int) -> None:
    """Compute beta, maximum, standard error, posterior mean and interval, as for a judge that misreads nothing."""
    beta = fit_discrimination(rankings, anchors).discrimination
    summarize_posterior(rankings, anchors, index, n, discrimination=beta, prior_precision=PRIOR)


def ranked(rankings: Ints, anchors: Floats, index: Ints) -> RankedWindows:
    """Lay windows out as a run has them: with the number of each anchor and the order of each prompt."""
    windows = RankedWindows.of(index, rankings, anchors, np.full(len(index), "", dtype=object))
    order = np.argsort(np.random.default_rng(0).random(rankings.shape), axis=1) + 1
    numbers = np.unique(anchors, return_inverse=True)[1].reshape(anchors.shape)
    return replace(windows, anchors=numbers, prompt_order=order)


def everything(windows: RankedWindows, n: int) -> None:
    """Compute all that estimator=map does."""
    score_windows(
        windows, n, estimator="map", point="mean", solver="newton", max_iter=50, learning_rate=0.1, judge_check=True
    )


def compare(sample: int) -> dict[str, float]:
    """Time the package on all responses and brentq on a random sample of them, scaled up."""
    rng = np.random.default_rng(42)
    _, anchors, rankings, index = draw_windows(RESPONSES, M, K, BETA, rng)
    fit = fit_utilities(rankings, anchors, index, RESPONSES, discrimination=BETA, prior_precision=PRIOR)
    chosen = rng.choice(RESPONSES, sample, replace=False)

    def baseline(make: Callable[[Ints, Floats], Callable[[float], float]]) -> tuple[float, float, Floats]:
        """Seconds to prepare and seconds to solve the sample, and the roots."""
        prepare = solve = 0.0
        roots = np.empty(sample)
        for position, response in enumerate(chosen):
            begin = time.perf_counter()
            rows = slice(response * M, response * M + M)
            gradient = make(rankings[rows], anchors[rows])
            middle = time.perf_counter()
            roots[position] = brentq(gradient, -40.0, 40.0)
            solve += time.perf_counter() - middle
            prepare += middle - begin
        return prepare, solve, roots

    def least(make: Callable[[Ints, Floats], Callable[[float], float]]) -> tuple[float, Floats]:
        """Seconds for all responses, the best of three as for our own times, and the sample's roots."""
        prepare, solve, roots = min((baseline(make) for _ in range(3)), key=lambda run: run[0] + run[1])
        return (prepare + solve) * RESPONSES / sample, roots

    formula_s, formula_roots = least(formula_gradient)
    tuned_s, tuned_roots = least(expit_gradient)

    ours = best_of(
        lambda: fit_utilities(rankings, anchors, index, RESPONSES, discrimination=BETA, prior_precision=PRIOR)
    )
    whole = best_of(lambda: posterior_alone(rankings, anchors, index, RESPONSES), 3)
    return {
        "responses": RESPONSES,
        "brentq_responses_timed": sample,
        "brentq_s": formula_s,
        "brentq_tuned_s": tuned_s,
        "fit_s": ours,
        "pipeline_s": whole,
        "ratio": formula_s / ours,
        "ratio_tuned": tuned_s / ours,
        "ratio_pipeline": formula_s / whole,
        "largest_difference": float(np.abs(np.stack([tuned_roots, formula_roots]) - fit.utility[chosen]).max()),
    }


def measure(n: int, kind: str) -> dict[str, float]:
    """Time and added peak memory for n responses; memory is this process's own, so run it in a fresh one."""
    _, anchors, rankings, index = draw_windows(n, M, K, BETA, np.random.default_rng(7))
    windows = ranked(rankings, anchors, index)
    run: Callable[[], object] = {
        "point": lambda: fit_utilities(rankings, anchors, index, n, discrimination=BETA),
        "posterior": lambda: posterior_alone(rankings, anchors, index, n),
        "everything": lambda: everything(windows, n),
    }[kind]
    # Drawing takes more memory than scoring may: what counts is traced from here on.
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    seconds = best_of(run, 3)
    return {
        "responses": n,
        "seconds": seconds,
        "us_per_response": seconds / n * 1e6,
        "inputs_mib": (anchors.nbytes + rankings.nbytes + index.nbytes) / 2**20,
        "added_peak_mib": peak / 2**20,
        "added_bytes_per_response": peak / n,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scoring.json")
    parser.add_argument("--sample", type=int, default=2000, help="responses that brentq is timed on")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--kind", default="point", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.kind)))
        return 0

    speed = compare(options.sample)
    print(f"{RESPONSES:,} responses, K={K}, M={M}; brentq timed on {options.sample:,} of them and scaled linearly")
    print(f"  brentq, gradient as the formula reads {speed['brentq_s']:9.3f} s")
    print(f"  brentq, tuned gradient                {speed['brentq_tuned_s']:9.3f} s")
    print(f"  ours, point and standard error        {speed['fit_s']:9.4f} s")
    print(f"  ours, with beta and intervals         {speed['pipeline_s']:9.4f} s")
    print(f"  ratio to brentq                       {speed['ratio']:9.0f}x   bar {RATIO_BAR:.0f}x")
    print(f"  ratio to tuned brentq                 {speed['ratio_tuned']:9.0f}x")
    print(f"  ratio with beta and intervals         {speed['ratio_pipeline']:9.0f}x")
    print(f"  largest difference                    {speed['largest_difference']:9.1e}   bar {AGREEMENT_BAR:.0e}")

    growth = {}
    sizes: dict[str, list[dict[str, float]]] = {}
    kinds = {
        "point and standard error": "point",
        "beta and intervals": "posterior",
        "all of estimator=map": "everything",
    }
    for name, kind in kinds.items():
        rows = sizes[name] = []
        print(f"{name}:")
        for n in SIZES:
            command = [sys.executable, __file__, "--measure", str(n), "--kind", kind]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            row = rows[-1]
            print(
                f"  {n:>9,} responses: {row['seconds']:7.4f} s, {row['us_per_response']:.3f} us and "
                f"{row['added_bytes_per_response']:.0f} bytes each, {row['added_peak_mib']:.1f} MiB added"
            )
        for figure in ("us_per_response", "added_bytes_per_response"):
            growth[f"{name}, {figure}"] = rows[2][figure] / rows[1][figure]
    largest = [rows[-1]["seconds"] for rows in sizes.values()]
    whole_ratio = largest[2] / largest[1]
    print(f"  all of estimator=map takes {whole_ratio:.2f} times as long as beta and intervals   bar {WHOLE_BAR}")
    for name, factor in growth.items():
        print(f"  {name}, 10^6 over 10^5: {factor:.2f}   bar {LINEARITY_BAR}")

    passed = (
        speed["ratio"] >= RATIO_BAR
        and speed["largest_difference"] <= AGREEMENT_BAR
        and max(growth.values()) <= LINEARITY_BAR
        and whole_ratio <= WHOLE_BAR
    )
    bars = {"ratio": RATIO_BAR, "whole_ratio": WHOLE_BAR, "growth": LINEARITY_BAR, "largest_difference": AGREEMENT_BAR}
    record(
        options.out,
        {"speed": speed, "sizes": sizes, "growth": growth, "whole_ratio": whole_ratio, "bars": bars, "passed": passed},
    )
    print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
