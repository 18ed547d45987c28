"""Whether training helps the judge: held-out anchors scored with a trained encoder and with the untrained one.

The anchors of each value are parted into folds. For each fold MiniLM is trained in both stages on the ValueEval
arguments and on the anchors of the other folds; then the embedding judge, fitted on the anchors of the other folds
alone, scores the anchors of the fold, once with the trained encoder and once with the untrained one, in the same
windows. Figures are means over all values of Spearman's correlation of scores and intensities.
"""

import argparse
import sys
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

_STAGES = {"intra": "train_demo", "inter": "train_demo_inter"}
"""Stage: the experiment with its settings, as `make train-demo` runs them."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=2, help="into how many parts the anchors are cut")
    parser.add_argument("--steps", type=int, nargs=2, default=[100, 40], help="steps of each stage")
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
    found: dict[str, list[pd.DataFrame]] = {"untrained": [], "trained": []}
    for fold in range(options.folds):
        folder = options.work / f"fold_{fold}"
        test = anchors[anchors["fold"] == fold]
        # A text may be an anchor of several values: it is held out of all of them.
        rest = anchors[~anchors["text"].isin(test["text"])]
        folder.mkdir(parents=True, exist_ok=True)
        rest.drop(columns="fold").to_csv(folder / "anchors.csv", index=False)
        trained = _trained(folder, options.steps)
        for name, encoder in (("untrained", "minilm"), ("trained", str(trained))):
            found[name].append(_scored(test, folder / "anchors.csv", encoder))
    figures: dict[str, object] = {"folds": options.folds, "steps": options.steps}
    means = {}
    for name, parts in found.items():
        by_value = _correlations(pd.concat(parts))
        means[name] = float(np.mean(by_value))
        figures[name] = {"mean": means[name], "by_value": by_value}
        print(f"{name:<10} mean Spearman {means[name]:.3f} over {len(by_value)} values")
    print(f"difference {means['trained'] - means['untrained']:+.3f}")
    record(options.out, figures)
    return 0 if means["trained"] > means["untrained"] else 1


def _trained(folder: Path, steps: list[int]) -> Path:
    sources = [str(DATA / "valueeval23_arguments_train.tsv"), str(folder / "anchors.csv")]
    model: Path | None = None
    for (stage, experiment), most in zip(_STAGES.items(), steps, strict=True):
        settings: dict[str, Any] = {"data.train": sources}
        result = train(
            experiment=experiment,
            model=str(model) if model else None,
            max_steps=most,
            output_dir=folder / stage,
            **settings,
        )
        result.show()
        model = result.model  # type: ignore[union-attr]
    assert model is not None
    return model


def _scored(test: pd.DataFrame, vidb: Path, encoder: str) -> pd.DataFrame:
    rows = []
    for (theory, value), own in test.groupby(["theory", "value"]):
        result = evaluate_responses(
            pd.DataFrame({"query": "anchor", "dataset": "anchors", "response": own["text"]}),
            theory=str(theory),
            value=str(value),
            vidb=str(vidb),
            judge="embedding",
            m=10,
            progress=False,
            **{"judge.encoder": encoder},
        )
        scores = result.scores[f"{value}_score"].to_numpy()
        rows.append(own.assign(score=scores))
    return pd.concat(rows)


def _correlations(scored: pd.DataFrame) -> npt.NDArray[np.float64]:
    groups = scored.groupby(["theory", "value"])
    return np.array([spearmanr(own["score"], own["final_rating"]).statistic for _, own in groups])


if __name__ == "__main__":
    sys.exit(main())
