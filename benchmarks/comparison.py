"""How often a comparison finds what is not there, and what is: simulated sweeps of 12 values, 5 intensities, 2 models.

Scores are simulated as they stand in `scores.csv`: 50 queries with one response each, or 25 with two. Responses share
what belongs to a query in all jobs of a value, to a query and model, and to a query, model and intensity. Questions,
contrasts, permutation tests and corrections are those of `compare.py`. Without an effect, a family in which any test is
significant after Holm's correction is an error; the bar is on their share. With effects on half of the values, the
share of these that is found is printed, and so is the share of sweeps with a false find among the others.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import record

from valueflow.comparison.answers import Draws, answer
from valueflow.comparison.jobs import Condition, Job
from valueflow.comparison.questions import ask

VALUES, INTENSITIES, MODELS = 12, (-2, -1, 0, 1, 2), ("one", "other")
SD_QUERY, SD_MODEL, SD_CELL, SD_RESPONSE = 2.0, 1.0, 0.7, 1.2
BAR = 0.07
ANCHORS = {"n": 60, "mean": 0.0, "sum_of_squares": 2000.0, "misreading_sd": 1.5}


@dataclass(frozen=True)
class Effects:
    """What is there on the first half of the values: points by which the second model differs, points per intensity.

    The slope of the second model is half as high again.
    """

    model: float
    slope: float


def simulated(n_queries: int, per_query: int, effects: Effects, rng: np.random.Generator) -> list[Job]:
    query = np.repeat(np.arange(n_queries), per_query)
    names = [f"query {number}" for number in query]
    jobs = []
    for value in range(VALUES):
        has_effect = value < VALUES // 2
        places = rng.normal(0, SD_QUERY, n_queries)
        for number, model in enumerate(MODELS):
            of_model = places + rng.normal(0, SD_MODEL, n_queries)
            for intensity in INTENSITIES:
                cell = of_model + rng.normal(0, SD_CELL, n_queries)
                shift = has_effect * (number * effects.model + intensity * effects.slope * (1 + number / 2))
                score = np.clip(cell[query] + shift + rng.normal(0, SD_RESPONSE, len(query)), -10, 10)
                jobs.append(job_of(f"value {value}", model, intensity, names, score))
    return jobs


def job_of(value: str, model: str, intensity: int, queries: list[str], score: npt.NDArray[np.float64]) -> Job:
    mean = float(score.mean())
    scores = pd.DataFrame({"query": queries, "score": score, "influence": (score - mean) / len(score)})
    summary = {"mean": mean, "beta_shift": 0.05 * mean, "anchors": ANCHORS, "judge": {"kind": "simulated"}}
    condition = Condition(run="", model=model, steered_by="", targets="", intensity=intensity)
    return Job(Path(), "simulated", value, value, condition, summary, scores)


def significant(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per test: its family, whether its value has an effect, whether it is significant."""
    tests = table[["family", "value", "p_holm"]].rename(columns={"p_holm": "p"})
    rises = table.loc[table["p_rises_holm"].notna(), ["value", "p_rises_holm"]].rename(columns={"p_rises_holm": "p"})
    every = pd.concat([tests, rises.assign(family="dose-response")], ignore_index=True)
    number = every["value"].str.removeprefix("value ").astype(int)
    return every.assign(has_effect=number < VALUES // 2, found=every["p"] <= 0.05)


def measure(
    n_queries: int, per_query: int, effects: Effects, sweeps: int, permutations: int, seed: int
) -> list[dict[str, object]]:
    cell = [n_queries, per_query, round(100 * effects.model), round(100 * effects.slope)]
    rng = np.random.default_rng([seed, *cell])
    found = []
    for sweep in range(sweeps):
        jobs = simulated(n_queries, per_query, effects, rng)
        questions = ask(jobs, "auto", "reference")
        table = answer(jobs, questions, [None] * len(jobs), Draws(permutations, seed=sweep))
        found.append(significant(table).assign(sweep=sweep))
    tests = pd.concat(found, ignore_index=True)
    is_null = effects == Effects(0, 0)
    cells: list[dict[str, object]] = []
    for family, rows in tests.groupby("family", sort=False):
        without = rows if is_null else rows[~rows["has_effect"]]
        cells.append(
            {
                "queries": n_queries,
                "per_query": per_query,
                "model": effects.model,
                "slope": effects.slope,
                "family": family,
                "tests": len(rows) // sweeps,
                "any_false": float(without.groupby("sweep")["found"].any().mean()),
                "power": None if is_null else float(rows.loc[rows["has_effect"], "found"].mean()),
            }
        )
    return cells


def has_missed(cell: dict[str, object]) -> bool:
    return cell["power"] is None and float(str(cell["any_false"])) > BAR


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=1000, help="simulated sweeps without an effect [1000]")
    parser.add_argument("--permutations", type=int, default=2000, help="of the dose-response test [2000]")
    parser.add_argument("--seed", type=int, default=42, help="seed of the simulated sweeps [42]")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/comparison.json"))
    options = parser.parse_args()
    start = time.perf_counter()
    cells = [
        cell
        for n_queries, per_query in ((50, 1), (25, 2))
        for effects in (Effects(0, 0), Effects(0.5, 0.25), Effects(1, 0.5))
        for cell in measure(
            n_queries,
            per_query,
            effects,
            # Power needs fewer sweeps: each has six values with an effect.
            options.sweeps if effects == Effects(0, 0) else max(options.sweeps // 20, 1),
            options.permutations,
            options.seed,
        )
    ]
    print("queries x responses   model  slope  family           tests  any false  power")
    for cell in cells:
        power = "      " if cell["power"] is None else f"{cell['power']:.3f}"
        verdict = "" if cell["power"] is not None else f"bar {BAR}" + (" MISSED" if has_missed(cell) else "")
        print(
            f"{cell['queries']:>7} x {cell['per_query']:<9}  {cell['model']:>5}  {cell['slope']:>5}  "
            f"{cell['family']!s:<15}  {cell['tests']:>5}  {cell['any_false']:>9.3f}  {power}  {verdict}"
        )
    print(f"{time.perf_counter() - start:.0f} s")
    record(
        options.out,
        {
            "cells": cells,
            "bar": BAR,
            "sweeps": options.sweeps,
            "permutations": options.permutations,
            "seed": options.seed,
        },
    )
    return 1 if any(map(has_missed, cells)) else 0


if __name__ == "__main__":
    sys.exit(main())
