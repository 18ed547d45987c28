"""Whether training helps the judge: held-out anchors scored with a trained encoder and with the untrained one.

The anchors of each value are parted into folds. For each fold MiniLM is trained (stage 1, a few small steps) on the
anchors of the other folds, and once on the packaged anchors of four theories; with `--trainings demo` as `make
train-demo` trains it, in both stages on the ValueEval arguments and the anchors of the other folds, which takes ten
minutes a fold. `--encoders` names folders that were trained elsewhere, on none of these anchors, such as those that
`distillation.py` leaves; the head of a distilled one is ignored. Then the embedding judge, fitted on the anchors of the
other folds alone, scores the anchors of the fold with each encoder and with the untrained one, in the same windows.
Figures are means over all values of Spearman's correlation of scores and intensities. Each fold has encoders and a
judge of its own, whose scales may differ: beside the correlation over all folds stands the one within folds. The
standard errors tell how much of a difference chance may make.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import cannot_run, record
from scipy.stats import spearmanr

from valueflow import evaluate_responses, train
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=2, help="into how many parts the anchors are cut")
    parser.add_argument(
        "--trainings", nargs="*", default=["anchors", "packaged"], choices=list(TRAININGS), help="which are tried"
    )
    parser.add_argument("--encoders", nargs="*", default=[], help="folders of MiniLM trained elsewhere")
    parser.add_argument("--work", type=Path, default=Path("outputs/encoder_quality"), help="where encoders are kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/encoder_quality.json"))
    options = parser.parse_args()
    if not DATA.is_dir():
        return cannot_run(f"{DATA} is not here; its texts may not be copied into the project")
    anchors = pd.concat(
        pd.DataFrame(
            {
                "theory": own.theory,
                "value": own.value,
                "text": own.texts,
                "final_rating": own.intensities,
                # Anchors ascend: a fold holds low, middle and high ones.
                "fold": np.arange(len(own)) % options.folds,
            }
        )
        for own in load_vidb(str(DATA / "vidb_sample"), load_theory("pvq")).anchors
    )
    trainings = {name: run for kind in options.trainings for name, run in TRAININGS[kind].items()}
    trainings |= {folder: lambda _, folder=folder: Path(folder) for folder in options.encoders}
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in ("untrained", *trainings)}
    for fold in range(options.folds):
        folder = options.work / f"fold_{fold}"
        test = anchors[anchors["fold"] == fold]
        # A text may be an anchor of several values: it is held out of all of them.
        rest = anchors[~anchors["text"].isin(test["text"])]
        folder.mkdir(parents=True, exist_ok=True)
        rest.drop(columns="fold").to_csv(folder / "anchors.csv", index=False)
        encoders = {"untrained": "minilm"} | {name: str(run(folder)) for name, run in trainings.items()}
        for name, encoder in encoders.items():
            found[name].append(_scored(test, folder / "anchors.csv", encoder))
    figures: dict[str, object] = {"folds": options.folds}
    over_all, within = {}, {}
    for name, parts in found.items():
        over_all[name] = _correlations(pd.concat(parts))
        within[name] = np.concatenate([_correlations(part) for part in parts])
        mean, mean_within = float(over_all[name].mean()), float(within[name].mean())
        figures[name] = {"mean": mean, "mean_within_folds": mean_within, "by_value": over_all[name]}
        print(f"{name:<27} mean Spearman {mean:.3f} over {len(over_all[name])} values; within folds {mean_within:.3f}")
    missed = False
    for name in trainings:
        difference, error = _paired(over_all[name], over_all["untrained"])
        inside, error_inside = _paired(within[name], within["untrained"])
        figures[f"{name} less untrained"] = {
            "difference": difference,
            "standard_error": error,
            "difference_within_folds": inside,
            "standard_error_within_folds": error_inside,
        }
        print(
            f"{name} less untrained {difference:+.3f} (standard error {error:.3f})   bar above 0; "
            f"within folds {inside:+.3f} ({error_inside:.3f})"
        )
        missed |= difference <= 0
    record(options.out, figures)
    return 1 if missed else 0


def _paired(values: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean of paired differences and its standard error."""
    differences = values - others
    return float(differences.mean()), float(differences.std(ddof=1) / len(differences) ** 0.5)


def _on_anchors(folder: Path) -> Path:
    """Train stage 1 on the anchors alone, which take both sides of their values."""
    settings: dict[str, Any] = {
        "data.train": [str(folder / "anchors.csv")],
        "stage.batch_size": 64,
        # The defaults: what the demo has instead is for texts of one side.
        "stage.direction_penalty": 1.0,
        "start_share": 0.0,
        "optimizer.learning_rate": 2e-5,
    }
    result = train(
        experiment="train_demo",
        max_steps=20,
        validate_every=20,
        output_dir=folder / "anchors",
        progress=False,
        **settings,
    )
    return result.model  # type: ignore[union-attr]


def _on_packaged_anchors(folder: Path) -> Path:
    """Train stage 1 on the packaged anchors, which the judge does not learn from; once for all folds."""
    trained = folder.parent / "packaged_anchors"
    if (trained / "summary.json").exists():
        return trained / "model"
    settings: dict[str, Any] = {
        "data.train": ["demo"],
        "stage.direction_penalty": 1.0,
        "start_share": 0.5,
        "optimizer.learning_rate": 5e-5,
    }
    result = train(
        experiment="train_demo", max_steps=40, validate_every=20, output_dir=trained, progress=False, **settings
    )
    return result.model  # type: ignore[union-attr]


def _demo_stage_1(folder: Path) -> Path:
    """Train stage 1 on arguments and anchors, with the settings of `make train-demo`."""
    return _as_the_demo(folder, "train_demo", start=None)


def _demo_stage_2(folder: Path) -> Path:
    """Go on from stage 1."""
    return _as_the_demo(folder, "train_demo_inter", start=folder / "train_demo" / "model")


def _as_the_demo(folder: Path, experiment: str, start: Path | None) -> Path:
    settings: dict[str, Any] = {
        "data.train": [str(DATA / "valueeval23_arguments_train.tsv"), str(folder / "anchors.csv")],
        "model": str(start) if start else None,
    }
    result = train(experiment=experiment, output_dir=folder / experiment, progress=False, **settings)
    return result.model  # type: ignore[union-attr]


def _scored(test: pd.DataFrame, vidb: Path, encoder: str) -> pd.DataFrame:
    rows = []
    for (theory, value), own in test.groupby(["theory", "value"]):
        result = evaluate_responses(
            pd.DataFrame({"query": "anchor", "dataset": "anchors", "response": own["text"]}),
            theory=str(theory),
            value=str(value),
            vidb=str(vidb),
            judge="embedding",
            judge_check=False,
            m=10,
            progress=False,
            **{"judge.encoder": encoder, "judge.head": "anchors"},
        )
        scores = result.scores[f"{value}_score"].to_numpy()
        rows.append(own.assign(score=scores))
    return pd.concat(rows)


def _correlations(scored: pd.DataFrame) -> npt.NDArray[np.float64]:
    groups = scored.groupby(["theory", "value"])
    return np.array([spearmanr(own["score"], own["final_rating"]).statistic for _, own in groups])


TRAININGS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "anchors": {"trained on anchors": _on_anchors},
    "packaged": {"trained on packaged anchors": _on_packaged_anchors},
    # In this order: the second goes on from what the first has left in the folder.
    "demo": {"demo, stage 1": _demo_stage_1, "demo, both stages": _demo_stage_2},
}
"""The trainings of each kind, by name: from the folder of a fold to that of the encoder."""


if __name__ == "__main__":
    sys.exit(main())
