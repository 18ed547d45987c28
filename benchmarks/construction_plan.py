"""What windows are worth: correlation with the truth and coverage of intervals, random rounds against informed ones.

    python benchmarks/construction_plan.py [--texts N] [--out FILE]

A simulated judge (Plackett-Luce, slope 1) ranks windows of texts whose utilities are known. Informed rounds begin after
three random ones; counted is after how many rounds, each a call for every k texts, they correlate with the truth as
random ones do after all of theirs.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from record import record

from valueflow.construction.plan import informed_round, random_rounds
from valueflow.plackett_luce import ItemFit, fit_items

BAR_CALLS, BAR_COVERAGE = 0.8, (0.88, 0.92)
FIRST = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--spreads", type=float, nargs="+", default=[2.0, 3.0], help="standard deviation of the truth")
    parser.add_argument("--windows", type=int, nargs="+", default=[2, 4], help="texts in a window")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/construction_plan.json"))
    options = parser.parse_args()
    rows = []
    for spread in options.spreads:
        for k in options.windows:
            for m in (10, 30):
                runs = [compared(options.texts, k, m, spread, seed) for seed in range(options.seeds)]
                correlation, coverage, share, informed = np.mean(runs, axis=0).tolist()
                rows.append(
                    {"spread": spread, "k": k, "m": m, "correlation": correlation, "coverage": coverage}
                    | {"share_of_calls": share, "coverage_informed": informed}
                )
                print(
                    f"spread {spread:g}, windows of {k}, {m} a text: correlation {correlation:.3f}, 90% intervals hold "
                    f"{coverage:.1%}; informed rounds reach it with {share:.2f} of the calls (intervals {informed:.1%})"
                )
    low, high = BAR_COVERAGE
    covered = sum(low <= row["coverage"] <= high for row in rows)
    cheap = sum(row["share_of_calls"] <= BAR_CALLS for row in rows)
    print(f"coverage within {low:.0%} to {high:.0%}: {covered} of {len(rows)}")
    print(f"informed rounds need at most {BAR_CALLS:g} of the calls: {cheap} of {len(rows)}")
    record(options.out, {"rows": rows, "covered": covered, "cheap": cheap, "of": len(rows)})
    return 0 if covered == cheap == len(rows) else 1


def compared(n: int, k: int, m: int, spread: float, seed: int) -> tuple[float, float, float, float]:
    """Return correlation and coverage of m random rounds, and share of calls and coverage of informed ones."""
    draws = np.random.default_rng(seed)
    truth = draws.normal(0, spread, n)
    keys = draws.choice(2**62, size=n, replace=False).astype(np.uint64)

    def ranked(windows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        noisy = truth[windows] + draws.gumbel(size=windows.shape)
        return np.take_along_axis(windows, np.argsort(-noisy, axis=1), axis=1)

    def figures(fit: ItemFit) -> tuple[float, float]:
        held = np.abs(fit.utility - (truth - truth.mean())) < 1.645 * fit.standard_error
        return float(np.corrcoef(truth, fit.utility)[0, 1]), float(held.mean())

    goal, coverage = figures(fit_items(ranked(random_rounds(keys, k, range(m))), n))
    rankings = ranked(random_rounds(keys, k, range(FIRST)))
    for number in range(FIRST, 2 * m):
        fit = fit_items(rankings, n)
        reached, informed = figures(fit)
        if reached >= goal:
            return goal, coverage, number / m, informed
        rankings = np.concatenate([rankings, ranked(informed_round(keys, k, fit.utility, fit.standard_error, number))])
    return goal, coverage, 2.0, informed


if __name__ == "__main__":
    sys.exit(main())
