"""The default judge on a large database: time and memory of a run, and how good it is with a part of the anchors.

A database of 32 values with 10,000 anchors each is made of the demo anchors: every text is varied by a clause in front.
100 responses of one value are scored with the defaults, in a process of its own whose peak memory is read. Then the
quality: the rank correlation of ratings with what the head says of anchors that it has not seen, on a folder of anchors
(--quality), once learned from all and once from the part that --part says.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import cannot_run, record
from scipy.stats import spearmanr

from valueflow.judge import Criterion, EmbeddingJudge
from valueflow.responses import load_responses
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

MOST_GIGABYTES, MOST_MINUTES, MOST_LOST = 8.0, 10.0, 0.01

_RUN = """
import json, resource, sys, time
from valueflow.evaluation import evaluate_responses
start = time.perf_counter()
found = evaluate_responses(theory="pvq", value="benevolence", vidb=sys.argv[1], responses=sys.argv[2], progress=False)
used = resource.getrusage(resource.RUSAGE_SELF)
summary = found.summary
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "cpu_seconds": used.ru_utime + used.ru_stime,
    "gigabytes": used.ru_maxrss / 2**20,
    "timings": summary["timings"],
    "scored": summary["scored"], "judging": summary["judging"], "anchors": summary["judge"]["anchors"],
}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anchors", type=int, default=10_000)
    parser.add_argument("--responses", type=int, default=100)
    parser.add_argument("--quality", type=Path, default=Path("../shared/data/vidb_sample"))
    parser.add_argument("--part", type=int, default=192, help="anchors learned from in the second measure of quality")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/many_anchors.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scale = measured(Path(folder), options.anchors, options.responses)
    minutes = scale["seconds"] / 60
    missed = (scale["gigabytes"] > MOST_GIGABYTES) + (minutes > MOST_MINUTES)
    print(f"{scale['judging']}")
    print(f"{'peak memory':<40}{scale['gigabytes']:>8.2f} GB   at most {MOST_GIGABYTES:g}")
    print(f"{'time':<40}{minutes:>8.2f} min  at most {MOST_MINUTES:g}   {scale['timings']}")
    print(f"{'processor time':<40}{scale['cpu_seconds'] / 60:>8.2f} min")
    figures: dict[str, object] = {"scale": scale}
    if not options.quality.is_dir():
        cannot_run(f"no folder {options.quality}: quality is not measured")
    else:
        whole, default, part = (quality(options.quality, most) for most in (None, 5000, options.part))
        missed += default < whole - MOST_LOST
        print(f"{'Spearman, all anchors learned':<40}{whole:>8.3f}")
        print(f"{'Spearman, default (at most 5,000)':<40}{default:>8.3f}     at least {whole - MOST_LOST:.3f}")
        print(f"{f'Spearman, {options.part} learned':<40}{part:>8.3f}")
        figures["spearman"] = {"all": whole, "default": default, str(options.part): part}
    record(options.out, {**figures, "missed": missed})
    return int(missed > 0)


def measured(folder: Path, n: int, responses: int) -> dict[str, Any]:
    """Score in a process of its own; the cache is empty, so every text is embedded."""
    database(n).to_parquet(folder / "vidb.parquet")
    answers(responses).to_csv(folder / "responses.csv", index=False)
    environment = {**os.environ, "VALUEFLOW_CACHE": str(folder / "cache")}
    environment.setdefault("OMP_NUM_THREADS", "2")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(folder / "vidb.parquet"), str(folder / "responses.csv")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def database(n: int) -> pd.DataFrame:
    """Return n anchors of each of the demo's values: its texts, each with a clause of its own in front."""
    rng = np.random.default_rng(0)
    parts = []
    for anchors in load_vidb("demo").anchors:
        source = rng.integers(len(anchors), size=n)
        texts = [f"In year {number}: {anchors.texts[row]}" for number, row in enumerate(source)]
        ratings = np.clip(anchors.intensities[source] + rng.normal(0, 0.5, n), -10, 10)
        parts.append(
            pd.DataFrame({"theory": anchors.theory, "value": anchors.value, "text": texts, "final_rating": ratings})
        )
    return pd.concat(parts, ignore_index=True)


def answers(n: int) -> pd.DataFrame:
    """Return n of the demo's responses on benevolence."""
    table, _ = load_responses(None, {})
    own = table[table["value"] == "benevolence"]
    chosen = own.iloc[np.arange(n) % len(own)].reset_index(drop=True)
    return chosen.assign(query=[f"{query} ({number})" for number, query in enumerate(chosen["query"])])[
        ["query", "dataset", "response"]
    ]


def quality(folder: Path, most: int | None) -> float:
    """Return the mean over values of Spearman's correlation of ratings with what is said of anchors unseen."""
    vidb = load_vidb(str(folder))
    judge, found = EmbeddingJudge(max_anchors=most), []
    for anchors in vidb.anchors:
        criterion = Criterion(load_theory(anchors.theory), anchors.value, vidb)
        read = judge.text_utilities(criterion, anchors.texts.tolist(), lambda done, failed, note="": None)
        found.append(spearmanr(read.of(anchors.texts), anchors.intensities).statistic)
    return float(np.mean(found))


if __name__ == "__main__":
    start = time.perf_counter()
    code = main()
    print(f"took {time.perf_counter() - start:.0f} s")
    sys.exit(code)
