"""What windows are worth: correlation with the truth and coverage of intervals, random rounds against informed ones.

    python benchmarks/construction_plan.py [--texts N] [--out FILE]

A simulated judge (Plackett-Luce, slope 1) ranks windows of texts whose utilities are known: normal ones of two spreads,
and evenly spread ones from -10 to 10, as intensities of a published database are. Priors are chosen as `build_vidb.py`
does it, from the random rounds. Counted is after how many rounds, each a call for every k texts,
they correlate with the truth as random ones do after all of theirs; between two rounds it is interpolated. Coverage is
that of utilities, and of ratings: utilities and errors stretched by the slope of the truth on them, as a calibration by
texts of known ratings stretches them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import record

from valueflow.construction.plan import informed_round, random_rounds
from valueflow.plackett_luce import choose_prior_precision, fit_items

BAR_CALLS, BAR_COVERAGE = 0.8, (0.88, 0.92)
EVEN = "even"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument(
        "--truths", nargs="+", default=["2", "3", EVEN], help="standard deviation of a normal truth, or even"
    )
    parser.add_argument("--windows", type=int, nargs="+", default=[2, 4], help="texts in a window")
    parser.add_argument("--random", type=int, default=2, help="random rounds before the informed ones")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/construction_plan.json"))
    options = parser.parse_args()
    rows = []
    for truth in options.truths:
        for k in options.windows:
            for m in (10, 30):
                runs = [compared(options.texts, k, m, truth, options.random, seed) for seed in range(options.seeds)]
                row = {"truth": truth, "k": k, "m": m} | pd.DataFrame(runs).mean().to_dict()
                rows.append(row)
                print(
                    f"truth {truth}, windows of {k}, {m} a text: correlation {row['correlation']:.3f}, 90% intervals "
                    f"hold {row['coverage']:.1%} (of ratings {row['coverage_of_ratings']:.1%}); informed rounds reach "
                    f"it with {row['share_of_calls']:.2f} of the calls, and after {m} hold {row['informed']:.1%} (of "
                    f"ratings {row['informed_of_ratings']:.1%})",
                    flush=True,
                )
    low, high = BAR_COVERAGE
    kinds = ("coverage", "coverage_of_ratings", "informed", "informed_of_ratings")
    covered = {kind: sum(low <= row[kind] <= high for row in rows) for kind in kinds}
    cheap = sum(row["share_of_calls"] <= BAR_CALLS for row in rows)
    for kind, count in covered.items():
        print(f"{kind.replace('_', ' ')} within {low:.0%} to {high:.0%}: {count} of {len(rows)}")
    print(f"informed rounds need at most {BAR_CALLS:g} of the calls: {cheap} of {len(rows)}")
    record(options.out, {"rows": rows, "covered": covered, "cheap": cheap, "of": len(rows)})
    # After informed rounds the scale as a whole is less sure than errors say: printed, and in the docs, without a bar.
    return 0 if min(cheap, covered["coverage"]) == len(rows) else 1


def compared(n: int, k: int, m: int, kind: str, first: int, seed: int) -> dict[str, float]:
    """Return correlation and coverage of m random rounds, share of calls and coverage of informed ones."""
    draws = np.random.default_rng(seed)
    truth = draws.uniform(-10, 10, n) if kind == EVEN else draws.normal(0, float(kind), n)
    truth -= truth.mean()
    keys = draws.choice(2**62, size=n, replace=False).astype(np.uint64)

    def ranked(windows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        noisy = truth[windows] + draws.gumbel(size=windows.shape)
        return np.take_along_axis(windows, np.argsort(-noisy, axis=1), axis=1)

    def covered(rankings: npt.NDArray[np.intp], precision: float) -> tuple[float, float, float]:
        fit = fit_items(rankings, n, prior_precision=precision)
        slope = float(truth @ fit.utility / (fit.utility @ fit.utility))
        held = [np.mean(np.abs(by * fit.utility - truth) < 1.645 * by * fit.standard_error) for by in (1.0, slope)]
        return float(np.corrcoef(truth, fit.utility)[0, 1]), float(held[0]), float(held[1])

    rankings = ranked(random_rounds(keys, k, range(m)))
    goal, coverage, of_ratings = covered(rankings, choose_prior_precision(rankings, n))
    rankings = ranked(random_rounds(keys, k, range(first)))
    precision = choose_prior_precision(rankings, n)
    reached = [0.0] * first
    share = 2.0
    informed = (0.0, 0.0, 0.0)
    for number in range(first, 2 * m):
        fit = fit_items(rankings, n, prior_precision=precision)
        reached.append(float(np.corrcoef(truth, fit.utility)[0, 1]))
        if number == m:
            informed = covered(rankings, precision)
        if reached[-1] >= goal and share == 2.0:
            share = (number - (reached[-1] - goal) / (reached[-1] - reached[-2])) / m
        if number >= m and share < 2.0:
            break
        rankings = np.concatenate([rankings, ranked(informed_round(keys, k, fit.utility, fit.standard_error, number))])
    return {
        "correlation": goal,
        "coverage": coverage,
        "coverage_of_ratings": of_ratings,
        "share_of_calls": share,
        "correlation_informed": informed[0],
        "informed": informed[1],
        "informed_of_ratings": informed[2],
    }


if __name__ == "__main__":
    sys.exit(main())
