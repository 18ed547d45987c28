"""How often intervals hold the truth: scores, means, differences, few responses, judges that err.

Simulated judges rank windows that the package draws. The package's own fits and scores do the rest, and know nothing of
the truth but the anchors' ratings. Each cell is a row with its bar. Anchors "12" lie as those of published values do,
none between -4 and 4; "60" are evenly spread. Judges: `model` ranks by Plackett-Luce; `t3` has Student's t noise of 3
degrees of freedom in place of Gumbel's; `random` gives one ranking in ten at random; `misreads 1.5` sees each text,
anchors too, so many points away (a standard deviation) in all its windows; `always 2` does so and has no other noise.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from record import record
from scipy.stats import t as student_t

from valueflow.evaluation.scoring import Scores, score_windows
from valueflow.judge import RankedWindows
from valueflow.plackett_luce import fit_position_effect, simulate_rankings
from valueflow.vidb import Anchors, BucketSampling

K = 6
FEW = np.array([-9.0, -8.0, -7.5, -7.0, -6.0, -4.5, 4.0, 5.5, 6.5, 7.5, 8.0, 9.0])
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """A simulated judge: slope, noise, and standard deviation of its misreading."""

    name: str
    beta: float = 1.0
    noise: str = "gumbel"
    misreading: float = 0.0
    share_random: float = 0.0

    def rank(self, seen: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Rank windows (W, K) of the places that the judge sees."""
        if self.noise == "gumbel":
            orders = simulate_rankings(seen, self.beta, rng)
        else:
            noise = rng.standard_t(3, seen.shape) if self.noise == "t3" else 0.0
            orders = np.argsort(-(self.beta * seen + noise), axis=1) + 1
        at_random = rng.random(len(orders)) < self.share_random
        orders[at_random] = rng.permuted(np.tile(np.arange(1, seen.shape[1] + 1), (int(at_random.sum()), 1)), axis=1)
        return np.asarray(orders, dtype=np.int64)


MODEL, T3, RANDOM = Judge("model"), Judge("t3", noise="t3"), Judge("random", share_random=0.1)
MISREADS = [Judge("misreads 1.5", misreading=1.5), Judge("misreads 2.5", misreading=2.5)]
ALWAYS = Judge("always 2", noise="none", misreading=2.0)


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    what: str
    cell: str
    figures: dict[str, float]
    bar: str
    passed: bool


def anchor_set(kind: str) -> FloatArray:
    return FEW if kind == "12" else np.linspace(-10, 10, int(kind))


def judged(
    truth: FloatArray,
    m: int,
    judge: Judge,
    ratings: FloatArray,
    rng: np.random.Generator,
    seen: FloatArray | None = None,
) -> RankedWindows:
    """Draw windows for responses of true intensity (N,), and have them ranked."""
    n, names = len(truth), np.arange(len(ratings)).astype(str).astype(object)
    drawn = BucketSampling().draw(Anchors("simulated", "value", names, ratings), rng.random((n * m, K - 1)))
    places = ratings + judge.misreading * rng.standard_normal(len(ratings)) if seen is None else seen
    texts = truth + judge.misreading * rng.standard_normal(n)
    responses = np.repeat(np.arange(n), m)
    orders = judge.rank(np.column_stack([texts[responses], places[drawn]]), rng)
    failures = np.full(n * m, "", dtype=object)
    windows = RankedWindows.of(responses, orders, ratings[drawn], failures)
    return RankedWindows(**{**vars(windows), "anchors": drawn})


def scored(windows: RankedWindows, n: int, clusters: npt.NDArray[np.int64] | None = None) -> Scores:
    return score_windows(
        windows,
        n,
        estimator="map",
        point="mean",
        solver="newton",
        max_iter=100,
        learning_rate=0.1,
        judge_check=False,
        clusters=clusters,
    )


def score_cell(
    kind: str, m: int, judge: Judge, n: int, replicates: int, bar: tuple[float, float], seed: Sequence[int]
) -> Cell:
    """Count the scores whose 90% interval holds the truth, uniform in [-9, 9]."""
    rng = np.random.default_rng(seed)
    held, widths = [], []
    for _ in range(replicates):
        truth = rng.uniform(-9, 9, n)
        found = scored(judged(truth, m, judge, anchor_set(kind), rng), n)
        held.append(np.mean((found.low <= truth) & (truth <= found.high)))
        widths.append(np.mean(found.high - found.low))
    coverage = float(np.mean(held))
    error = float(np.std(held, ddof=1) / np.sqrt(replicates))
    figures = {"coverage": coverage, "error": error, "width": float(np.mean(widths))}
    name = f"{judge.name}, beta {judge.beta:g}, {kind} anchors, m {m}, N {n}"
    return Cell("score, 90%", name, figures, f"{bar[0]} to {bar[1]}", bar[0] <= coverage <= bar[1])


def mean_cell(
    what: str,
    name: str,
    draw: Callable[[np.random.Generator], tuple[float, float, float]],
    bars: tuple[float, float],
    replicates: int,
    seed: Sequence[int],
) -> Cell:
    """Count the intervals that hold the truth; `draw` returns estimate less truth, and the ends less truth."""
    rng = np.random.default_rng(seed)
    found = np.array([draw(rng) for _ in range(replicates)])
    bias, coverage = float(found[:, 0].mean()), float(np.mean((found[:, 1] <= 0) & (found[:, 2] >= 0)))
    figures = {
        "coverage": coverage,
        "error": float(np.sqrt(coverage * (1 - coverage) / replicates)),
        "bias": bias,
        "width": float(np.mean(found[:, 2] - found[:, 1])),
    }
    bar = f"at least {bars[1]}, bias {bars[0]}"
    return Cell(what, name, figures, bar, abs(bias) <= bars[0] and coverage >= bars[1])


def plain_mean(truth: float, beta: float, n: int, m: int, rng: np.random.Generator) -> tuple[float, float, float]:
    found = scored(judged(np.full(n, truth), m, Judge("model", beta=beta), anchor_set("60"), rng), n).mean
    return found.mean - truth, found.low - truth, found.high - truth


def clustered_mean(truth: float, beta: float, m: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """20 queries of 5 responses; half of the variance, of standard deviation 2, lies between queries."""
    queries = np.repeat(np.arange(20), 5)
    own = truth + np.sqrt(2) * (rng.standard_normal(20)[queries] + rng.standard_normal(100))
    windows = judged(own, m, Judge("model", beta=beta), anchor_set("60"), rng)
    found = scored(windows, 100, queries).mean
    return found.mean - truth, found.low - truth, found.high - truth


def difference(beta: float, m: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Responses to the same 50 queries, at 8 and at 3, one job each."""
    judge, ratings = Judge("model", beta=beta), anchor_set("60")
    one, two = (scored(judged(np.full(50, place), m, judge, ratings, rng), 50) for place in (8.0, 3.0))
    apart = one.mean.influence - two.mean.influence
    variance = 50 / 49 * float(apart @ apart) + (one.mean.beta_shift - two.mean.beta_shift) ** 2
    distance = one.mean.mean - two.mean.mean
    variance += (one.line.misreading_sd**2 + two.line.misreading_sd**2) / 2 * distance**2 / one.line.sum_of_squares
    half = student_t.ppf(0.975, 49) * np.sqrt(variance)
    return distance - 5, distance - half - 5, distance + half - 5


def position_cell(liking: float, replicates: int, seed: Sequence[int]) -> Cell:
    """Add a liking for the first place to a judge's logits, and estimate it from 300 windows."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(replicates):
        ratings = anchor_set("60")
        names = np.arange(60).astype(str).astype(object)
        drawn = BucketSampling().draw(Anchors("simulated", "value", names, ratings), rng.random((300, K - 1)))
        seen = np.column_stack([np.repeat(rng.uniform(-9, 9, 100), 3), ratings[drawn]])
        shown = rng.permuted(np.tile(np.arange(K), (300, 1)), axis=1)[:, 0]
        seen[np.arange(300), shown] += liking
        orders = simulate_rankings(seen, 1.0, rng)
        picked = orders[orders != 1].reshape(300, K - 1) - 2
        effect = fit_position_effect(np.take_along_axis(ratings[drawn], picked, axis=1), picked + 1 == shown[:, None])
        assert effect is not None
        found.append((effect.logits, effect.standard_error))
    estimates, errors = np.array(found).T
    coverage = float(np.mean(np.abs(estimates - liking) <= 1.645 * errors))
    bias = float(estimates.mean() - liking)
    figures = {
        "coverage": coverage,
        "error": float(np.sqrt(coverage * (1 - coverage) / replicates)),
        "bias": bias,
        "width": float(2 * 1.645 * errors.mean()),
    }
    passed = abs(bias) <= 0.1 and 0.87 <= coverage <= 0.93
    return Cell("position effect, 90%", f"liking {liking:g} logits", figures, "0.87 to 0.93, bias 0.1", passed)


def tasks(
    scores: int, means: int, positions: int, seed: int
) -> Iterable[tuple[Callable[..., Cell], tuple[object, ...]]]:
    """Yield every cell as a function with its arguments."""
    for kind in ("12", "60"):
        for m in (3, 10):
            for judge in (MODEL, T3, RANDOM):
                yield score_cell, (kind, m, judge, 500, scores, (0.87, 0.95), [seed, m])
            for judge in (*MISREADS, ALWAYS):
                least = 0.82 if kind == "12" and judge.misreading == 2.5 else 0.85
                yield score_cell, (kind, m, judge, 500, scores, (least, 1.0), [seed, m])
    for n in (1, 4, 8):
        for m in (3, 10):
            yield score_cell, ("60", m, Judge("model", beta=2.0), n, 40 * scores, (0.85, 1.0), [seed, n])
    for liking in (0.0, 1.0, 2.0):
        yield position_cell, (liking, positions, [seed, 5])
    for m in (3, 10):
        for beta in (0.15, 0.3, 1.0):
            for n in (50, 100):
                for truth in (0.0, 3.0, 6.0, 9.0):
                    yield (
                        _Mean("mean, 95%", f"truth {truth:g}, beta {beta:g}, N {n}, m {m}"),
                        (plain_mean, (truth, beta, n, m), (0.3, 0.88), means, [seed, 7]),
                    )
            yield (
                _Mean("mean of 20 queries, 95%", f"beta {beta:g}, m {m}"),
                (clustered_mean, (3.0, beta, m), (0.3, 0.92), means, [seed, 8]),
            )
            yield (
                _Mean("paired difference, 95%", f"8 and 3, beta {beta:g}, m {m}"),
                (difference, (beta, m), (0.3, 0.88), means, [seed, 9]),
            )


@dataclass(frozen=True)
class _Mean:
    """A cell of means: what can be sent to another process."""

    what: str
    name: str

    def __call__(
        self,
        draw: Callable[..., tuple[float, float, float]],
        arguments: tuple[float, ...],
        bars: tuple[float, float],
        replicates: int,
        seed: Sequence[int],
    ) -> Cell:
        return mean_cell(self.what, self.name, lambda rng: draw(*arguments, rng), bars, replicates, seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=int, default=12, help="replicates of a cell of scores")
    parser.add_argument("--means", type=int, default=100, help="replicates of a cell of means")
    parser.add_argument("--positions", type=int, default=400, help="replicates of a cell of position effects")
    parser.add_argument("--seed", type=int, default=42, help="seed of the simulated judges and responses")
    parser.add_argument("--only", default="", help="cells whose kind begins so")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/coverage.json"))
    options = parser.parse_args()
    kinds = {score_cell: "score", position_cell: "position"}
    chosen = [
        (task, arguments)
        for task, arguments in tasks(options.scores, options.means, options.positions, options.seed)
        if kinds.get(task, getattr(task, "what", "")).startswith(options.only)
    ]
    cells = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for future in [pool.submit(task, *arguments) for task, arguments in chosen]:
            cell = future.result()
            figures = "  ".join(
                f"{name} {figure:+.3f}" if name == "bias" else f"{name} {figure:.3f}"
                for name, figure in cell.figures.items()
            )
            print(
                f"{'ok    ' if cell.passed else 'MISSED'}  {cell.what}: {cell.cell}: {figures}  (bar {cell.bar})",
                flush=True,
            )
            cells.append(cell)
    missed = sum(not cell.passed for cell in cells)
    print(f"{missed} of {len(cells)} rows miss their bar")
    record(options.out, {"cells": [asdict(cell) for cell in cells], "missed": missed, "seed": options.seed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
