"""How much the texts can tell of the labels: two labels of one situation beside labels of two situations.

ValueKaleidoscope lists for a situation some of the values that bear on it, on average fewer than two of the many that
ValuePrism has. Two labels of the same situation belong to one text, so an encoder takes them for equal. Where
they agree hardly more often than labels of two situations drawn at random, no encoder can learn from the text which of
the two a pair is. Printed by theory: the mean number of shared levels and how often the direction is the same, of both
kinds of pairs, and how often a pair from one situation has the nearer labels (levels, + 0.5 for the same direction; a
tie counts one half), where 0.5 tells nothing. Seconds.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import cannot_run, record

from valueflow.hives.data import load_rows

SITUATIONS = Path(__file__).resolve().parents[2] / "shared" / "data" / "valuekaleidoscope_half.json"

IntArray = npt.NDArray[np.int64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20_000, help="random pairs of situations")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/label_agreement.json"))
    options = parser.parse_args()
    if not SITUATIONS.exists():
        return cannot_run(f"{SITUATIONS} is not here; its texts may not be copied into the project")
    rows = load_rows([str(SITUATIONS)])[0].rows
    rng = np.random.default_rng(0)
    figures: dict[str, dict[str, float]] = {}
    for theory, own in rows.groupby("theory"):
        places = own.reset_index(drop=True).groupby("text").indices
        same = np.array(
            [(i, j) for group in places.values() for place, i in enumerate(group) for j in group[place + 1 :]],
            dtype=np.int64,
        ).reshape(-1, 2)
        if not len(same):
            print(f"{theory}  no situation has two labels")
            continue
        others = rng.integers(0, len(own), (options.pairs, 2))
        texts = own["text"].to_numpy()
        others = others[texts[others[:, 0]] != texts[others[:, 1]]]
        (levels, sides), (other_levels, other_sides) = (_agreement(own, pairs) for pairs in (same, others))
        near, far = levels + 0.5 * sides, other_levels + 0.5 * other_sides
        figures[str(theory)] = {
            "pairs": len(same),
            "levels_of_one": float(levels.mean()),
            "levels_of_two": float(other_levels.mean()),
            "direction_of_one": float(sides.mean()),
            "direction_of_two": float(other_sides.mean()),
            "nearer": float((near[:, None] > far).mean() + 0.5 * (near[:, None] == far).mean()),
        }
        print(theory, *(f"{name} {figure:.3f}" for name, figure in figures[str(theory)].items()), sep="  ")
    record(options.out, figures)
    return 0


def _agreement(rows: pd.DataFrame, pairs: IntArray) -> tuple[IntArray, IntArray]:
    """Return the number of levels that pairs (P, 2) of rows share from the top down, and whether directions agree."""
    names = rows[[name for name in rows if str(name).startswith("level_")]].fillna("").to_numpy(dtype=str)
    first, second = names[pairs[:, 0]], names[pairs[:, 1]]
    shared = np.logical_and.accumulate((first == second) & (first != ""), axis=1).sum(axis=1)
    sides = rows["direction"].to_numpy()
    return shared, (sides[pairs[:, 0]] == sides[pairs[:, 1]]).astype(np.int64)


if __name__ == "__main__":
    sys.exit(main())
