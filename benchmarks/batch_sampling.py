"""Drawing batches of HIVES from 10,000, 100,000 and 1,000,000 texts: the time a batch should not grow.

Texts have one or two paths of three levels in four theories; the number of cells (path and direction) is the same at
every size, the number of stage 2 ids grows with the texts. Sizes take turns, a few dozen consecutive batches each, and
the fastest turn counts: in processor time, so that other work on the machine weighs less. For information, the time to
prepare a sampler and that to begin an epoch, which grow with the data and are paid once.

    python benchmarks/batch_sampling.py [--out FILE] [--turns N]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from record import record

from valueflow.hives.data import NONE, Labels
from valueflow.hives.sampling import Batch, InterTheoryBatches, IntraTheoryBatches

SIZES = (10_000, 100_000, 1_000_000)
THEORIES, VALUES = 4, 20
QUERIES, POSITIVES, MEMBERS = 16, 3, 4
BATCH_SIZES = {"intra": 128, "inter": 256}
BATCHES_PER_TURN = 50
BAR = 1.5

Sampler = IntraTheoryBatches | InterTheoryBatches


def draw_labels(n: int, rng: np.random.Generator) -> Labels:
    """Labels of n texts; some values are common, some rare."""
    theories = rng.integers(0, THEORIES, n)
    values = (VALUES * rng.random((n, 2)) ** 2).astype(np.int64)
    whole = theories[:, None] * VALUES + values
    paths = np.stack([whole // 10, 1000 + whole // 3, 2000 + whole], axis=2)
    paths[rng.random(n) < 0.5, 1] = NONE
    individuals, concepts = (np.where(rng.random(n) < 0.5, rng.integers(0, n // of, n), NONE) for of in (20, 50))
    names = tuple(f"theory {number}" for number in range(THEORIES))
    return Labels(theories, paths, rng.integers(0, 3, n), individuals, concepts, names, ())


def make(stage: str, labels: Labels) -> Sampler:
    """Prepare the sampler of a stage."""
    if stage == "intra":
        return IntraTheoryBatches(
            labels,
            batch_size=BATCH_SIZES[stage],
            queries_per_batch=QUERIES,
            positives_per_query=POSITIVES,
            seed=1,
        )
    return InterTheoryBatches(
        labels,
        batch_size=BATCH_SIZES[stage],
        queries_per_batch=QUERIES,
        positives_per_query=POSITIVES,
        members_per_id=MEMBERS,
        seed=1,
    )


def seconds(function: Callable[[], Sampler | Batch | list[Batch]]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def measure(stage: str, turns: int) -> list[dict[str, float]]:
    """Time a batch at every size."""
    samplers, rows = [], []
    for n in SIZES:
        labels = draw_labels(n, np.random.default_rng(7))
        prepared = seconds(lambda labels=labels: make(stage, labels))  # type: ignore[misc]
        sampler = make(stage, labels)
        sampler.batch(0, 0)
        begun = seconds(lambda sampler=sampler: sampler.batch(1, 0))  # type: ignore[misc]
        samplers.append(sampler)
        rows.append({"texts": n, "batches_per_epoch": len(sampler), "prepare_s": prepared, "begin_epoch_s": begun})
    rng = np.random.default_rng(3)
    times = np.empty((turns, len(SIZES)))
    for turn in range(turns):
        for place, sampler in enumerate(samplers):
            start = int(rng.integers(0, len(sampler) - BATCHES_PER_TURN))
            # The first one is not timed: it may shuffle the ids anew.
            sampler.batch(1, start)

            def some(sampler: Sampler = sampler, start: int = start) -> list[Batch]:
                return [sampler.batch(1, start + 1 + i) for i in range(BATCHES_PER_TURN - 1)]

            times[turn, place] = seconds(some) / (BATCHES_PER_TURN - 1)
    for row, least, middle in zip(rows, times.min(axis=0), np.median(times, axis=0), strict=True):
        row |= {"ms_per_batch": least * 1e3, "median_ms_per_batch": middle * 1e3}
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "batch_sampling.json")
    parser.add_argument("--turns", type=int, default=20, help="how often each size is timed")
    options = parser.parse_args()

    stages, ratios = {}, {}
    for stage, batch_size in BATCH_SIZES.items():
        print(f"{stage}-theory batches of {batch_size} rows")
        rows = stages[stage] = measure(stage, options.turns)
        for row in rows:
            print(
                f"  {row['texts']:>9,} texts: {row['ms_per_batch']:6.3f} ms a batch (median "
                f"{row['median_ms_per_batch']:.3f}); prepared in {row['prepare_s']:.2f} s, an epoch of "
                f"{row['batches_per_epoch']:,} batches begun in {row['begin_epoch_s'] * 1e3:.0f} ms"
            )
        ratios[stage] = rows[-1]["ms_per_batch"] / rows[0]["ms_per_batch"]
        print(f"  {SIZES[-1]:,} over {SIZES[0]:,}: {ratios[stage]:.2f}   bar {BAR}")

    passed = max(ratios.values()) <= BAR
    record(options.out, {"stages": stages, "ratios": ratios, "bar": BAR, "passed": passed})
    print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
