"""How well the embedding judge rebuilds known databases whose intensities are hidden from it.

`python benchmarks/construction_quality.py --data FOLDER`, a folder of VALUE_THEORY_flag_aggregated.csv files. For each
value its own anchors are taken out of the judge's database: it learns from the other values alone.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from record import cannot_run, record
from scipy.stats import spearmanr

from valueflow.construction import build_vidb
from valueflow.run import InputError
from valueflow.theory import known_theories
from valueflow.vidb import Anchors, load_vidb


def main() -> int:
    """Build all values and record their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/vidb_sample"))
    parser.add_argument("--learn-from", default=None, help="demo, or a folder; without it the same folder")
    parser.add_argument("--m", type=int, default=10)
    parser.add_argument("--scratch", type=Path, default=Path("outputs/construction_quality"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/construction_quality.json"))
    options = parser.parse_args()
    if not options.data.is_dir():
        return cannot_run(f"there is no folder {options.data}")
    theories = {theory.name: theory for theory in known_theories()}
    pools: dict[tuple[str, str], Anchors] = {}
    for theory in theories.values():
        try:
            pools |= {(own.theory, own.value): own for own in load_vidb(str(options.data), theory).anchors}
        except InputError as error:
            return cannot_run(str(error))
    learning = (
        pools
        if options.learn_from is None
        else {
            (own.theory, own.value): own for own in load_vidb(options.learn_from, next(iter(theories.values()))).anchors
        }
    )
    rows = []
    for (theory_name, value), truth in pools.items():
        others = pd.concat(
            pd.DataFrame({"theory": own.theory, "value": own.value, "text": own.texts, "final_rating": own.intensities})
            for key, own in learning.items()
            if key != (theory_name, value)
        )
        # A text of this value may stand under another one too; the judge leaves it out where it meets it.
        options.scratch.mkdir(parents=True, exist_ok=True)
        others.to_csv(options.scratch / "others.csv", index=False)
        begin = time.perf_counter()
        built = build_vidb(
            theory=theory_name,
            value=value,
            input=pd.DataFrame({"text": truth.texts}),
            vidb=str(options.scratch / "others.csv"),
            m=options.m,
            progress=False,
        )
        known = dict(zip(truth.texts, truth.intensities, strict=True))
        rating = built.ratings["utility"].to_numpy(dtype=float)
        found = float(spearmanr(rating, [known[text] for text in built.ratings["text"]]).statistic)
        rows.append(
            {
                "theory": theory_name,
                "value": value,
                "texts": len(truth),
                "split_half_spearman": built.summary["split_half"]["spearman"],
                "split_half_pearson": built.summary["split_half"]["pearson"],
                "spearman_with_truth": found,
                "seconds": round(time.perf_counter() - begin, 2),
            }
        )
        halves = rows[-1]["split_half_spearman"]
        print(f"{theory_name}/{value}: {len(truth)} texts, split-half {halves}, truth {found:.3f}", flush=True)
    means = {
        name: float(np.nanmean([row[name] if row[name] is not None else np.nan for row in rows]))
        for name in ("split_half_spearman", "split_half_pearson", "spearman_with_truth")
    }
    print(f"{len(rows)} values, means: {means}")
    record(
        options.out,
        {
            "values": rows,
            "means": means,
            "m": options.m,
            "k": 2,
            "learns_from": options.learn_from or "the other values",
        },
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
