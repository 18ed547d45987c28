"""What a panel is worth: the share of texts it places rightly, against the share that one of its judges does.

    python benchmarks/panel.py [--texts N] [--embedded N] [--out FILE]

Seven simulated judges choose the right child of a node with a known chance, and any other option with the same chance
each; texts have their truth at random leaves of pvq. The same judges are asked alone, too. Then a real panel, the
embedded model's seven votes, places arguments of ValueEval, beside what a descent by chance would reach: that shows the
road, the model is a tiny one.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import record

from valueflow import categorize
from valueflow.categorization.descent import NEUTRAL, Ballot, descend
from valueflow.hives.data import valueeval_rows
from valueflow.theory import Theory, load_theory
from valueflow.voting import Votes, VotingRule

ARGUMENTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "valueeval23_arguments_train.tsv"
JUDGES = 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1_000, help="texts of the simulation")
    parser.add_argument("--embedded", type=int, default=20, help="arguments for the embedded panel; 0: none")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/panel.json"))
    options = parser.parse_args()
    theory = load_theory("pvq")
    figures: dict[str, object] = {}
    passed = True
    for accuracy in (0.6, 0.8):
        panel, alone = simulated(theory, options.texts, accuracy)
        passed &= panel[-1] > max(judge[-1] for judge in alone)
        single = np.mean(alone, axis=0)
        print(f"{options.texts:,} texts, {JUDGES} judges that are right with a chance of {accuracy}:")
        for level, (ours, theirs) in enumerate(zip(panel, single, strict=True), start=1):
            print(f"  right down to level {level}: panel {ours:.3f}, a single judge {theirs:.3f}")
        figures[f"accuracy_{accuracy}"] = {"panel": panel, "single": single, "best_single": np.max(alone, axis=0)}
    if not ARGUMENTS.is_file():
        print(f"the embedded panel is left out: {ARGUMENTS} is not here; its texts may not be copied into the project")
    elif options.embedded:
        figures["embedded"] = embedded(theory, options.embedded)
    record(options.out, figures | {"passed": passed})
    print("passed" if passed else "NOT passed: a panel is not better than its best judge")
    return 0 if passed else 1


def simulated(theory: Theory, n: int, accuracy: float) -> tuple[list[float], list[list[float]]]:
    """Return the share of texts that is right down to each level: of the panel, and of each judge alone."""
    leaves = [path for node in theory.nodes if not theory.children(node) for path in theory.paths(node)]
    truth = [leaves[place] for place in np.random.default_rng(0).integers(len(leaves), size=n)]

    def judged(judges: Sequence[int]) -> list[float]:
        draws = [np.random.default_rng(judge) for judge in judges]

        def vote(ballots: Sequence[Ballot]) -> Votes:
            choices = np.array(
                [[choice(ballot, truth[ballot.text], accuracy, one) for one in draws] for ballot in ballots]
            )
            blank = np.full(choices.shape, "", dtype=object)
            return Votes(choices, blank, blank)

        return right_by_level(descend(theory, n, vote, VotingRule.of(len(judges))).paths, truth, theory.depth)

    return judged(range(JUDGES)), [judged([judge]) for judge in range(JUDGES)]


def choice(ballot: Ballot, truth: tuple[str, ...], accuracy: float, draws: np.random.Generator) -> int:
    """Vote for the right option with a chance of `accuracy`; off the true path, for Neutral where it is an option."""
    on_path = ballot.path == truth[: ballot.level - 1]
    right = truth[ballot.level - 1] if on_path and len(truth) >= ballot.level else NEUTRAL
    others = [place for place, option in enumerate(ballot.options) if option != right]
    if len(others) < len(ballot.options) and draws.random() < accuracy:
        return ballot.options.index(right)
    return others[draws.integers(len(others))]


def right_by_level(found: Sequence[tuple[str, ...]], truth: Sequence[tuple[str, ...]], depth: int) -> list[float]:
    """Return for each level the share of texts whose path is the true one down to it, or to its end above it."""
    return [
        float(np.mean([own[:level] == real[:level] for own, real in zip(found, truth, strict=True)]))
        for level in range(1, depth + 1)
    ]


def embedded(theory: Theory, n: int) -> dict[str, object]:
    """Let the embedded panel place arguments whose values share a branch."""
    rows, _ = valueeval_rows(ARGUMENTS)
    rows = rows.drop_duplicates("text").sort_values("text", key=lambda texts: texts.map(hash_of)).head(n)
    result = categorize(theory=theory, input=rows[["text"]], panel="embedded", direction=False)
    placed = result.table.set_index("text")
    figures: dict[str, object] = {"texts": n, "seconds": result.summary["timings"]["total"]}
    for level in (1, 2):
        truth = rows[rows[f"level_{level}"] != ""].set_index("text")[[f"level_{own}" for own in range(1, level + 1)]]
        own = placed.reindex(truth.index)[list(truth.columns)].fillna("")
        right = float((own.to_numpy() == truth.to_numpy()).all(axis=1).mean())
        chance = float(np.mean([by_chance(theory, tuple(path)) for path in truth.to_numpy(dtype=str)]))
        figures[f"level_{level}"] = {"texts": len(truth), "accuracy": right, "chance": chance}
        print(f"embedded panel, level {level}: {right:.3f} of {len(truth)} right, {chance:.3f} by chance")
    stops, asked = result.summary["stop_reasons"], result.summary["asking"]
    print(f"stopped: {stops}; {asked['calls']:,} votes asked, {figures['seconds']:.0f} s")
    return figures | {"stop_reasons": stops}


def hash_of(text: str) -> int:
    """Return a number by which texts are drawn, whatever their order in the file."""
    return int(pd.util.hash_array(np.array([text], dtype=object))[0])


def by_chance(theory: Theory, path: tuple[str, ...]) -> float:
    """Return the chance of a path where each step is drawn evenly."""
    roots = [node for node, its in theory.nodes.items() if not its.parents]
    options: npt.NDArray[np.int64] = np.array([len(roots), *(len(theory.children(node)) for node in path[:-1])])
    return float((1 / options).prod())


if __name__ == "__main__":
    sys.exit(main())
