"""Profiles of simulated groups: how near they are to the truth, how often their intervals hold, how often they differ.

Groups have known mean intensities on the values of a theory; their texts lie about these with a standard deviation. A
simulated judge ranks each text among anchors by Plackett-Luce. The last cells time many text-value pairs, whose memory
must be in proportion to their number, in one batch a value.
"""

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import record

from valueflow import profile
from valueflow.judge import Cost, Criterion, RankedWindows, Windows
from valueflow.plackett_luce import simulate_rankings
from valueflow.profiling import Profiles
from valueflow.run import Progress
from valueflow.theory import Theory, load_theory

CORRELATION_BAR, COVERAGE_BAR, FLAGGED_BAR = 0.95, 0.90, 0.07
THEORY = load_theory("pvq")

FloatArray = npt.NDArray[np.float64]


@dataclass
class KnownJudge:
    """Ranks by Plackett-Luce: the intensity of a text on each value stands in it, that of an anchor in its text."""

    rankings_per_window: ClassVar[int] = 1

    rng: np.random.Generator
    beta: float = 1.0
    batches: list[int] = field(default_factory=list)

    def rank(self, criterion: Criterion, windows: Windows, progress: Progress) -> RankedWindows:
        """Rank windows by the Plackett-Luce model."""
        place = THEORY.values.index(criterion.value)
        truths = np.array([float(text.split("|")[place]) for text in windows.response_texts])
        utilities = np.column_stack([truths[windows.responses], windows.anchor_set.intensities[windows.anchors]])
        self.batches.append(len(windows))
        progress(len(windows), 0)
        return windows.ranked(simulate_rankings(utilities, self.beta, self.rng))

    def describe(self) -> dict[str, object]:
        """Return the slope."""
        return {"kind": "simulated", "beta": self.beta}


@dataclass(frozen=True)
class Every:
    """Every text bears on the first so many values."""

    values: int = len(THEORY.values)
    n: int | None = None
    threshold: float | None = 0.5

    def of(self, texts: Sequence[str], theory: Theory, progress: Progress) -> FloatArray:
        """Return 1 for each of the values, 0 for the others."""
        progress(len(texts), 0)
        return np.tile((np.arange(len(theory.values)) < self.values).astype(np.float64), (len(texts), 1))

    def cost(self, texts: Sequence[str], theory: Theory) -> Cost | None:
        """Return None: nothing is asked."""
        return None

    def describe(self) -> dict[str, object]:
        """Return the kind."""
        return {"kind": "every"}


def write_anchors(folder: Path, per_value: int) -> Path:
    ratings = np.linspace(-9.5, 9.5, per_value)
    rows = [
        {"theory": "pvq", "value": value, "text": f"{value} at {rating:.4f}", "final_rating": rating}
        for value in THEORY.values
        for rating in ratings
    ]
    path = folder / "anchors.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def write_texts(folder: Path, truths: FloatArray, n: int, sd: float, rng: np.random.Generator) -> Path:
    """Write n texts of each group; `truths` (G, V) are the means of the intensities that they hold."""
    groups = np.repeat(np.arange(len(truths)), n)
    intensities = np.clip(truths[groups] + rng.normal(0, sd, (len(groups), truths.shape[1])), -10, 10)
    texts = ["|".join(f"{number:.6f}" for number in row) for row in intensities]
    path = folder / "texts.parquet"
    pd.DataFrame({"text": texts, "group": [f"group {number:02d}" for number in groups]}).to_parquet(path)
    return path


def profiled(folder: Path, anchors: Path, texts: Path, judge: KnownJudge, m: int, seed: int, values: int) -> Profiles:
    return profile(
        input=str(texts),
        vidb=str(anchors),
        theory="pvq",
        judge=judge,
        relevance=Every(values),
        m=m,
        seed=seed,
        progress=False,
    )


def simulate(options: argparse.Namespace, spread: float, seed: int) -> dict[str, float]:
    """Profile groups once; `spread` is the standard deviation of their true means."""
    rng = np.random.default_rng(seed)
    truths = np.clip(rng.normal(0, spread, (options.groups, len(THEORY.values))), -8, 8)
    if spread == 0:
        truths = np.tile(rng.uniform(-5, 5, len(THEORY.values)), (options.groups, 1))
    with TemporaryDirectory() as name:
        folder = Path(name)
        anchors = write_anchors(folder, 60)
        texts = write_texts(folder, truths, options.texts, options.sd, rng)
        judge = KnownJudge(rng, options.beta)
        found = profiled(folder, anchors, texts, judge, options.m, seed, len(THEORY.values))
    table = found.table.pivot(index="group", columns="value")
    means, low, high, differs = (
        table[name][list(THEORY.values)].to_numpy() for name in ("mean", "low", "high", "differs")
    )
    holds = (low <= truths) & (truths <= high)
    return {
        "correlation": float(np.corrcoef(means.ravel(), truths.ravel())[0, 1]),
        "coverage": float(holds.mean()),
        "bias": float((means - truths).mean()),
        "flagged": float(bool(differs.astype(bool).any())),
        "share flagged": float(differs.astype(bool).mean()),
        "batches": float(len(judge.batches)),
    }


def time_pairs(pairs: int, seed: int) -> dict[str, float]:
    """Profile so many text-value pairs, of 22 groups and 12 values."""
    rng = np.random.default_rng(seed)
    n_values = len(THEORY.values)
    per_group = pairs // n_values // 22
    truths = rng.uniform(-6, 6, (22, n_values))
    with TemporaryDirectory() as name:
        folder = Path(name)
        anchors = write_anchors(folder, 60)
        texts = write_texts(folder, truths, per_group, 2.0, rng)
        judge = KnownJudge(rng)
        start = time.perf_counter()
        found = profiled(folder, anchors, texts, judge, 3, seed, n_values)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (figures,) = found.summary["theories"].values()
    return {"pairs": figures["pairs"], "seconds": seconds, "peak MiB": peak, "batches": len(judge.batches)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=40)
    parser.add_argument("--groups", type=int, default=6)
    parser.add_argument("--texts", type=int, default=40)
    parser.add_argument("--m", type=int, default=3)
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument("--sd", type=float, default=2.0)
    parser.add_argument("--pairs", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/profiles.json"))
    options = parser.parse_args()
    missed = 0
    figures: dict[str, object] = {}
    if options.replicates:
        runs = pd.DataFrame([simulate(options, 3.0, seed) for seed in range(options.replicates)])
        same = pd.DataFrame([simulate(options, 0.0, 1_000 + seed) for seed in range(options.replicates)])
        error = float(np.sqrt(FLAGGED_BAR * (1 - FLAGGED_BAR) / options.replicates))
        cells = {
            "correlation": (runs["correlation"].min(), CORRELATION_BAR, runs["correlation"].min() >= CORRELATION_BAR),
            "coverage": (runs["coverage"].mean(), COVERAGE_BAR, runs["coverage"].mean() >= COVERAGE_BAR),
            "coverage, equal groups": (same["coverage"].mean(), COVERAGE_BAR, same["coverage"].mean() >= COVERAGE_BAR),
            "runs with a false flag": (
                same["flagged"].mean(),
                FLAGGED_BAR,
                same["flagged"].mean() <= FLAGGED_BAR + error,
            ),
        }
        for name, (result, bar, holds) in cells.items():
            print(f"{name:<26}{result:>8.3f}   bar {bar:g}   {'holds' if holds else 'MISSED'}", flush=True)
            missed += not holds
        print(
            f"{'bias':<26}{runs['bias'].mean():>8.3f}   flagged of true differences {runs['share flagged'].mean():.2f}"
        )
        print(f"batches a run: {runs['batches'].max():.0f} for {len(THEORY.values)} values")
        figures |= {name: {"result": result, "bar": bar} for name, (result, bar, _) in cells.items()}
    for pairs in options.pairs:
        row = time_pairs(pairs, 7)
        figures[f"{pairs} pairs"] = row
        took = f"{row['seconds']:.1f} s, peak {row['peak MiB']:,.0f} MiB"
        print(f"{row['pairs']:>9,} pairs: {took}, {row['batches']} batches", flush=True)
        missed += row["batches"] != len(THEORY.values)
    record(options.out, figures)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
