"""Windows that adaptive sampling needs for the accuracy of ten bucket windows, by simulation.

Truths are uniform in [-9, 9], windows hold 6 items, a simulated Plackett-Luce judge of known slope ranks them through
the package's own rounds. The target is varied until the root mean squared error is that of bucket sampling on the same
responses. Anchors: 60 evenly spread ones, or 12 as published ones stand, none between about -4 and +3 (the ratings of
benevolence where `../shared/data/vidb_sample` is at hand, else three each about -8.4, -4.4, 4.2 and 8.3). A second
table has anchors whose own intensities are wrong, with and without the penalty on repeated anchors.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import record

from valueflow.evaluation.interim import UTILITIES, interim
from valueflow.evaluation.rounds import judge_in_rounds
from valueflow.evaluation.saving import AdaptiveFigures
from valueflow.evaluation.windows import build_windows
from valueflow.judge import Criterion, Progress, RankedWindows, Windows
from valueflow.plackett_luce import simulate_rankings
from valueflow.run import Run
from valueflow.theory import load_theory
from valueflow.vidb import AdaptiveSampling, Anchors, BucketSampling, Vidb

K, BUCKET_WINDOWS, MOST = 6, 10, 20
TARGETS: dict[tuple[str, float], tuple[float, ...]] = {("60", 1.0): (0.6, 0.7, 0.8), ("60", 2.0): (0.4, 0.5, 0.6)}
TARGETS |= {("12", 1.0): (0.65, 0.8, 0.95), ("12", 2.0): (0.7, 0.95, 1.2, 1.5)}
BARS = {("60", 1.0): 5.5, ("60", 2.0): 4.2, ("12", 1.0): 7.5, ("12", 2.0): 7.0}
PUBLISHED = Path(__file__).parents[2] / "shared" / "data" / "vidb_sample" / "benevolence_pvq_flag_aggregated.csv"


@dataclass(frozen=True)
class SimulatedJudge:
    """Ranks by known utilities of responses and anchors, with Plackett-Luce noise."""

    truth: npt.NDArray[np.float64]
    places: npt.NDArray[np.float64]
    beta: float
    rng: np.random.Generator

    rankings_per_window: ClassVar[int] = 1

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank as `Judge.rank` says; this judge never fails."""
        items = np.column_stack([self.truth[windows.responses], self.places[windows.anchors]])
        return windows.ranked(simulate_rankings(items, self.beta, self.rng))

    def describe(self) -> dict[str, object]:
        """Return the kind."""
        return {"kind": "simulated"}


def pool(name: str) -> npt.NDArray[np.float64]:
    if name == "60":
        return np.linspace(-10, 10, 60)
    if PUBLISHED.exists():
        return np.sort(pd.read_csv(PUBLISHED)["final_rating"].to_numpy(dtype=float))
    return np.sort(np.add.outer([-8.4, -4.4, 4.2, 8.3], [-0.4, 0.0, 0.4]).ravel())


class Simulation:
    """One replicate: responses with known utilities, and a judge."""

    def __init__(self, name: str, beta: float, n: int, seed: int, anchor_sd: float = 0.0) -> None:
        self.rng = np.random.default_rng([seed, int(beta * 10), int(name)])
        ratings = pool(name)
        texts = np.array([f"anchor {number}" for number in range(len(ratings))], dtype=object)
        self.anchors = Anchors("pvq", "benevolence", texts, ratings)
        self.truth = self.rng.uniform(-9, 9, n)
        self.keys = self.rng.integers(0, 2**63, n).astype(np.uint64)
        self.texts = np.array([f"response {number}" for number in range(n)], dtype=object)
        places = ratings + self.rng.normal(0, anchor_sd, len(ratings))
        self.judge = SimulatedJudge(self.truth, places, beta, self.rng)
        vidb = Vidb("simulated", (self.anchors,), 0, "")
        self.criterion = Criterion(load_theory("pvq"), "benevolence", vidb)

    def bucket(self, m: int = BUCKET_WINDOWS) -> float:
        """Return the squared error of bucket sampling."""
        windows = build_windows(
            self.keys, self.texts, self.anchors, BucketSampling(), k=K, m=m, response_position="random"
        )
        return self._squared_error(self.judge.rank(self.criterion, windows, nothing))

    def adaptive(self, sampling: AdaptiveSampling, m: int = MOST) -> tuple[float, AdaptiveFigures]:
        """Return the squared error of adaptive sampling, and what it took."""
        _, ranked, figures = judge_in_rounds(
            self.judge,
            self.criterion,
            self.keys,
            self.texts,
            self.anchors,
            sampling,
            k=K,
            m=m,
            response_position="random",
            run=Run(),
            progress=nothing,
        )
        return self._squared_error(ranked), figures

    def _squared_error(self, ranked: RankedWindows) -> float:
        # The posterior mean is the score.
        scores = interim(ranked, np.arange(len(self.truth)), self.anchors).posterior @ UTILITIES
        return float(((scores - self.truth) ** 2).mean())


def nothing(done: int, failed: int, note: str = "") -> None:
    """Show no progress."""


def windows_for_bucket(name: str, beta: float, n: int, replicates: int) -> dict[str, Any]:
    """Return mean windows per response at the error of ten bucket windows, with its standard error."""
    targets = TARGETS[name, beta]
    bucket, adaptive, taken, claimed = [], [], [], []
    for seed in range(replicates):
        simulation = Simulation(name, beta, n, seed)
        bucket.append(simulation.bucket())
        runs = [simulation.adaptive(AdaptiveSampling(target_se=target)) for target in targets]
        adaptive.append([error for error, _ in runs])
        taken.append([figures.windows_per_response for _, figures in runs])
        claimed.append([figures.bucket_windows for _, figures in runs])
    needed, estimated = (crossing(np.array(bucket), np.array(adaptive), np.array(curve)) for curve in (taken, claimed))
    # Leaving out one replicate at a time: the crossing of averaged curves is far less noisy than each replicate's own.
    left = [
        crossing(*(np.delete(np.array(part), seed, axis=0) for part in (bucket, adaptive, taken)))
        for seed in range(replicates)
    ]
    spread = np.sqrt((replicates - 1) / replicates * ((np.array(left) - np.mean(left)) ** 2).sum())
    return {
        "anchors": int(name),
        "beta": beta,
        "bucket_rmse": float(np.sqrt(np.mean(bucket))),
        "windows": needed,
        "standard_error": float(spread),
        "bar": BARS[name, beta],
        "bucket_windows_as_reported": estimated,
        "targets": targets,
        "rmse_by_target": np.sqrt(np.mean(adaptive, axis=0)).tolist(),
        "windows_by_target": np.mean(taken, axis=0).tolist(),
    }


def crossing(
    bucket: npt.NDArray[np.float64], adaptive: npt.NDArray[np.float64], curve: npt.NDArray[np.float64]
) -> float:
    """Return a curve (R, T) over targets, averaged, where the error (R, T) is that of bucket (R,); NaN outside."""
    errors = np.log(adaptive.mean(axis=0))
    rising = np.argsort(errors)
    return float(np.interp(np.log(bucket.mean()), errors[rising], curve.mean(axis=0)[rising], np.nan, np.nan))


def wrong_anchors(n: int, replicates: int) -> list[dict[str, object]]:
    """Return errors after ten adaptive windows where anchors' intensities are wrong by a standard deviation of 3."""
    rows: list[dict[str, object]] = []
    for factor in (1.0, 0.7):
        # Ten windows each: by itself, a response would stop at half of what the judge is seen to misread.
        sampling = AdaptiveSampling(min_windows=10, repeat_factor=factor)
        errors = [
            Simulation("60", 1.0, n, seed, anchor_sd=3.0).adaptive(sampling, m=10)[0] for seed in range(replicates)
        ]
        rows.append({"repeat_factor": factor} | with_error(errors))
    errors = [Simulation("60", 1.0, n, seed, anchor_sd=3.0).bucket() for seed in range(replicates)]
    return [*rows, {"repeat_factor": "bucket"} | with_error(errors)]


def with_error(squared: list[float]) -> dict[str, object]:
    """Return a root mean squared error and its standard error over replicates."""
    rmse = float(np.sqrt(np.mean(squared)))
    return {"rmse": rmse, "standard_error": float(np.std(squared, ddof=1) / np.sqrt(len(squared)) / (2 * rmse))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/adaptive.json"))
    parser.add_argument("--responses", type=int, default=1000, help="per replicate")
    parser.add_argument("--replicates", type=int, default=4)
    options = parser.parse_args()
    cells = [windows_for_bucket(*cell, options.responses, options.replicates) for cell in BARS]
    print("anchors  beta  RMSE of bucket, m=10  adaptive windows (se)   bar  result  bucket windows the runs report")
    for cell in cells:
        result = "meets" if cell["windows"] <= cell["bar"] else "misses"
        print(
            f"{cell['anchors']:>7}  {cell['beta']:>4}  {cell['bucket_rmse']:>20.3f}  "
            f"{cell['windows']:>14.2f} ({cell['standard_error']:.2f})  {cell['bar']:>4}  {result:>6}  "
            f"{cell['bucket_windows_as_reported']:>31.1f}"
        )
    wrong = wrong_anchors(options.responses, options.replicates)
    print("anchors wrong by sd 3, 10 windows, beta 1: RMSE")
    for row in wrong:
        print(f"{row['repeat_factor']!s:>7}  {row['rmse']:.3f} ({row['standard_error']:.3f})")
    record(options.out, {"cells": cells, "wrong_anchors": wrong})
    return 0 if all(cell["windows"] <= cell["bar"] for cell in cells) else 1


if __name__ == "__main__":
    sys.exit(main())
