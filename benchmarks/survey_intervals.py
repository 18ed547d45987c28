"""How often a survey's 95% intervals hold the truth, and its tests err, where answers to a question are alike.

Simulated surveys of 30 and 60 questions, each asked of 22 groups, or of 1 to 22. Whether an answer is right is a
threshold on a normal variable of which a share, the correlation, belongs to the question, half of that to question and
pass. The truths are known: both passes are right equally often (where tests must not err), or the profile pass 6 points
more often. The peer on the same data are the intervals and the test that take answers as independent.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from record import record
from scipy import stats

from valueflow.opinionqa.accuracy import compare
from valueflow.statistics import clustered_mean

GROUPS = 22
COVERAGE_BAR, ERROR_BAR = 0.92, 0.07
ACCURACIES = ((0.5, 0.5), (0.45, 0.51), (0.9, 0.9))


def normal(rng: np.random.Generator, questions: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the variables behind the answers of two passes, questions x groups each."""
    shared = rng.standard_normal((questions, 1))
    whole = []
    for _ in range(2):
        own = rng.standard_normal((questions, 1))
        rest = rng.standard_normal((questions, GROUPS))
        whole.append((correlation / 2) ** 0.5 * (shared + own) + (1 - correlation) ** 0.5 * rest)
    return whole[0], whole[1]


def measure(
    questions: int, fewest: int, correlation: float, accuracies: tuple[float, float], times: int
) -> dict[str, Any]:
    rng = np.random.default_rng([questions, fewest, int(100 * correlation), int(100 * accuracies[1])])
    truth = accuracies[1] - accuracies[0]
    hits = dict.fromkeys(("accuracy", "difference", "gain", "naive_accuracy", "naive_difference"), 0)
    errors = {"permutation": 0, "mcnemar": 0}
    for _ in range(times):
        asked = np.arange(GROUPS) < rng.integers(fewest, GROUPS, (questions, 1), endpoint=True)
        clusters = np.nonzero(asked)[0]
        default_normal, profile_normal = (values[asked] for values in normal(rng, questions, correlation))
        default, profile = (
            values < stats.norm.ppf(share)
            for values, share in zip((default_normal, profile_normal), accuracies, strict=True)
        )
        clustered, naive = compare(default, profile, clusters), compare(default, profile)
        hits["accuracy"] += clustered.profile_low <= accuracies[1] <= clustered.profile_high
        hits["naive_accuracy"] += naive.profile_low <= accuracies[1] <= naive.profile_high
        hits["difference"] += clustered.difference_low <= truth <= clustered.difference_high
        hits["naive_difference"] += naive.difference_low <= truth <= naive.difference_high
        # A gain has a mean of 0 and no bounds to speak of.
        gain = clustered_mean((profile_normal - default_normal) / 20, clusters)
        hits["gain"] += gain.low <= 0 <= gain.high
        errors["permutation"] += clustered.permutation_p <= 0.05
        errors["mcnemar"] += naive.mcnemar_p <= 0.05
    return {
        "questions": questions,
        "groups": [fewest, GROUPS],
        "correlation": correlation,
        "default_accuracy": accuracies[0],
        "profile_accuracy": accuracies[1],
        **{f"{name}_coverage": count / times for name, count in hits.items()},
        # Where the passes differ, this is the power.
        **{f"{name}_rejects": count / times for name, count in errors.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1000, help="surveys simulated for each row")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/survey_intervals.json"))
    options = parser.parse_args()
    cells = [
        measure(questions, fewest, correlation, accuracies, options.times)
        for questions in (30, 60)
        for fewest in (GROUPS, 1)
        for correlation in ((0.0, 0.2, 0.5) if fewest == GROUPS else (0.5,))
        for accuracies in ACCURACIES
    ]
    print(
        "questions  groups  correlation  accuracies   coverage: accuracy  difference   gain   p <= .05\n"
        "                                             (as independent)                        (McNemar)"
    )
    missed = 0
    for cell in cells:
        coverage = [cell[f"{name}_coverage"] for name in ("accuracy", "difference", "gain")]
        is_null = cell["default_accuracy"] == cell["profile_accuracy"]
        bars_met = min(coverage) >= COVERAGE_BAR and (not is_null or cell["permutation_rejects"] <= ERROR_BAR)
        missed += not bars_met
        groups = "-".join(map(str, dict.fromkeys(cell["groups"])))
        print(
            f"{cell['questions']:>9}  {groups:>6}  {cell['correlation']:>11.1f}  "
            f"{cell['default_accuracy']:.2f}, {cell['profile_accuracy']:.2f}  "
            f"  {coverage[0]:.3f} ({cell['naive_accuracy_coverage']:.3f})"
            f"  {coverage[1]:.3f} ({cell['naive_difference_coverage']:.3f})"
            f"  {coverage[2]:.3f}   {cell['permutation_rejects']:.3f} ({cell['mcnemar_rejects']:.3f})"
            f"{'' if is_null else ' power'}{'' if bars_met else '   MISSES A BAR'}"
        )
    print(
        f"bars: coverage at least {COVERAGE_BAR}, errors of the test at most {ERROR_BAR}; "
        f"{missed} of {len(cells)} rows miss one"
    )
    record(options.out, {"cells": cells, "bars": {"coverage": COVERAGE_BAR, "errors": ERROR_BAR}})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
