"""Scores and means by `estimator=regression`, of simulated judges: how many intervals hold, and how far means are off.

A judge's utility of a text is a line in its intensity, a little different for each value, plus an error that is always
the same for a text. There are 32 values with 12 anchors each, none between -4 and 4, as published ones, and 100
responses to as many queries. First come scores of responses that are like the anchors, then means of responses that are
all at one place; beside each mean stands that of the scores, which is drawn to the middle.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from record import record

from valueflow.evaluation.anchor_utilities import ReadAnchors
from valueflow.evaluation.utility_scores import score_utilities

MISREADING = (2.0, 6.0, 10.0)
TRUTHS = (0.0, 3.0, 6.0, 9.0)
SCORE_BARS = (0.87, 0.95)
MEAN_BAR = 0.88
BIAS_BAR = 0.3
RATINGS = np.concatenate([np.linspace(-9, -4, 6), np.linspace(4, 9, 6)])

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """A judge with its anchors; errors in points of the scale."""

    misreading: float
    intercepts: FloatArray
    slopes: FloatArray
    rng: np.random.Generator

    @classmethod
    def drawn(cls, misreading: float, values: int, rng: np.random.Generator) -> "Judge":
        """Draw how the judge sees each value: shifts with a standard deviation of 1.5 points, slopes of 15%."""
        return cls(misreading, rng.normal(0, 1.5, values), rng.normal(1, 0.15, values), rng)

    def reads(self, truth: FloatArray, value: npt.NDArray[np.int64]) -> FloatArray:
        """Return utilities of texts (N,) on the values given (N,)."""
        seen = self.intercepts[value] + self.slopes[value] * truth
        return np.asarray(0.3 * (seen + self.rng.normal(0, self.misreading, len(truth))))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--responses", type=int, default=100)
    parser.add_argument("--values", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/regression.json"))
    options = parser.parse_args()
    start, missed = time.perf_counter(), 0
    figures: dict[str, object] = {"replicates": options.replicates, "responses": options.responses}
    print(f"90% intervals of scores, {SCORE_BARS[0]} to {SCORE_BARS[1]}")
    print(f"{'misreads by':>12}{'coverage':>10}{'half width':>12}{'below 5':>9}{'beyond 8':>10}")
    for misreading in MISREADING:
        held, width, truths = _scores(misreading, options.replicates, options.values, options.responses)
        near, far = np.abs(truths) < 5, np.abs(truths) > 8
        row = {"coverage": held.mean(), "width": width / 2, "near": held[near].mean(), "far": held[far].mean()}
        print(f"{misreading:>12g}{row['coverage']:>10.3f}{row['width']:>12.2f}{row['near']:>9.3f}{row['far']:>10.3f}")
        missed += not SCORE_BARS[0] <= row["coverage"] <= SCORE_BARS[1]
        figures[f"scores, misreading {misreading:g}"] = row
    print(f"\n95% intervals of means, at least {MEAN_BAR}; bias at most {BIAS_BAR} or three standard errors")
    print(f"{'misreads by':>12}{'truth':>7}{'bias':>8}{'s.e.':>7}{'coverage':>10}{'half width':>12}{'scores':>8}")
    for misreading in MISREADING:
        for truth in TRUTHS:
            found = _means(misreading, truth, options.replicates, options.values, options.responses)
            mean, low, high, of_scores = found.T
            kept = ~np.isnan(mean)
            bias, error = float(np.mean(mean[kept] - truth)), float(mean[kept].std(ddof=1) / np.sqrt(kept.sum()))
            cell = {
                "bias": bias,
                "error": error,
                "coverage": float(np.mean((low[kept] <= truth) & (truth <= high[kept]))),
                "half_width": float(np.mean(high[kept] - low[kept]) / 2),
                "mean_of_scores": float(of_scores[kept].mean()),
                "without_scores": int((~kept).sum()),
            }
            print(
                f"{misreading:>12g}{truth:>7g}{bias:>+8.2f}{error:>7.2f}{cell['coverage']:>10.3f}"
                f"{cell['half_width']:>12.2f}{cell['mean_of_scores']:>8.2f}"
            )
            missed += cell["coverage"] < MEAN_BAR or abs(bias) > max(BIAS_BAR, 3 * error)
            figures[f"mean, misreading {misreading:g}, truth {truth:g}"] = cell
    print(f"{'all bars met' if not missed else f'{missed} bars missed'}; {time.perf_counter() - start:.0f} s")
    record(options.out, figures | {"missed": missed})
    return 1 if missed else 0


def _anchors(judge: Judge, values: int) -> ReadAnchors:
    value, rating = np.repeat(np.arange(values), len(RATINGS)), np.tile(RATINGS, values)
    texts = np.array([f"anchor {number}" for number in range(len(value))], dtype=object)
    return ReadAnchors(texts, judge.reads(rating, value), rating, value, np.arange(len(value)), 0)


def _run(judge: Judge, truth: FloatArray, values: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return scores, low, high, and mean with its interval, of responses at some places."""
    texts = np.array([f"response {number}" for number in range(len(truth))], dtype=object)
    utility = judge.reads(truth, np.zeros(len(truth), dtype=np.int64))
    scores, _ = score_utilities(texts, utility, _anchors(judge, values), np.arange(len(truth)))
    return scores.score, scores.low, scores.high, np.array([scores.mean.mean, scores.mean.low, scores.mean.high])


def _scores(misreading: float, replicates: int, values: int, n: int) -> tuple[FloatArray, float, FloatArray]:
    held, widths, truths = [], [], []
    for seed in range(replicates):
        rng = np.random.default_rng(seed)
        truth = rng.choice(RATINGS, n)
        score, low, high, _ = _run(Judge.drawn(misreading, values, rng), truth, values)
        if not np.isnan(score).any():
            held.append((low <= truth) & (truth <= high))
            widths.append(float(np.mean(high - low)))
            truths.append(truth)
    return np.concatenate(held).astype(float), float(np.mean(widths)), np.concatenate(truths)


def _means(misreading: float, truth: float, replicates: int, values: int, n: int) -> FloatArray:
    found = []
    for seed in range(replicates):
        judge = Judge.drawn(misreading, values, np.random.default_rng(1000 + seed))
        score, _, _, mean = _run(judge, np.full(n, truth), values)
        found.append([*mean, np.mean(score)])
    return np.array(found)


if __name__ == "__main__":
    sys.exit(main())
