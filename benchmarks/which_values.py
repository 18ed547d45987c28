"""Which values a text bears on: recall, F1 and AUC on arguments of ValueEval'23, by encoders and by a chat model.

The 20 labels are folded to the 12 values of pvq: what stands before the colon is the value, and an argument has a value
where it has one of its labels. Arguments are split by a hash; `--train` writes one part as files for train.py, and what
is measured are texts of the other alone. The data are beside the checkout, in ../shared/data.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import cannot_run, record
from sklearn.metrics import roc_auc_score

from valueflow.profiling import EncoderRelevance, LogprobRelevance
from valueflow.profiling.relevance import related
from valueflow.run import built, compose_node, row_keys
from valueflow.theory import load_theory

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ARGUMENTS, LABELS = "valueeval23_arguments_train.tsv", "valueeval23_labels_train.tsv"
PVQ = load_theory("pvq")
RECALL_AT = 3
SAMPLES = 100

FloatArray = npt.NDArray[np.float64]


def folded(labels: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which of the 12 values each argument has, (N, 12)."""
    value_of = {column: PVQ.resolve(column.partition(":")[0]) for column in labels.columns}
    return np.column_stack(
        [labels[[column for column, own in value_of.items() if own == value]].any(axis=1) for value in PVQ.values]
    )


def measured(relevance: FloatArray, truth: npt.NDArray[np.bool_], threshold: float | None) -> dict[str, float]:
    """Return recall among the nearest three, macro-F1 of what is chosen, and AUC, each with its standard error.

    `auc` is the mean over values of the probability that an argument with the value is nearer to it than one without:
    unlike the others it compares arguments, not values, so it does not matter how near a value is to all of them.
    Standard errors are of samples of the arguments, with replacement.
    """
    nearest, chosen = related(relevance, RECALL_AT, None), related(relevance, RECALL_AT, threshold)

    def figures(rows: npt.NDArray[np.int64]) -> FloatArray:
        true, near, chose = truth[rows], nearest[rows], chosen[rows]
        recall = ((near & true).sum(axis=1) / true.sum(axis=1)).mean()
        hits = (chose & true).sum(axis=0)
        f1 = (2 * hits / np.maximum(chose.sum(axis=0) + true.sum(axis=0), 1)).mean()
        known = np.flatnonzero(true.any(axis=0) & ~true.all(axis=0))
        areas = [roc_auc_score(true[:, value], relevance[rows, value]) for value in known]
        return np.array([recall, f1, np.mean(areas)])

    rng = np.random.default_rng(0)
    n = len(truth)
    samples = np.array([figures(rng.integers(0, n, n)) for _ in range(SAMPLES)])
    names = ("recall", "macro_f1", "auc")
    found = dict(zip(names, figures(np.arange(n)).tolist(), strict=True))
    errors = {f"{name} se": error for name, error in zip(names, samples.std(axis=0, ddof=1).tolist(), strict=True)}
    return {**found, **errors, "unrelated": float((~chosen.any(axis=1)).mean())}


def row(name: str, figures: Mapping[str, float]) -> None:
    cells = "".join(f"{figures[key]:>10.3f} ({figures[f'{key} se']:.3f})" for key in ("recall", "macro_f1", "auc"))
    print(f"{name:<34}{cells}{figures['unrelated']:>11.1%}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="*", default=["minilm"], help="names or folders, as of `make train-demo`")
    parser.add_argument("--llm", default=None, help="an option of configs/llm, for log-odds")
    parser.add_argument("--texts", type=int, default=2_000, help="arguments measured by encoders")
    parser.add_argument("--llm-texts", type=int, default=100)
    parser.add_argument("--threshold", type=float, default=0.15)
    parser.add_argument("--train", type=Path, default=None, help="folder for the arguments that are not measured")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/which_values.json"))
    options = parser.parse_args()
    if not (DATA / ARGUMENTS).is_file():
        return cannot_run(f"{DATA} has no {ARGUMENTS}")
    arguments = pd.read_csv(DATA / ARGUMENTS, sep="\t", dtype=str, keep_default_na=False)
    labels = pd.read_csv(DATA / LABELS, sep="\t").set_index("Argument ID")
    keys = row_keys(arguments[["Argument ID"]], 42)
    is_measured = keys % np.uint64(2) == 1
    if options.train is not None:
        options.train.mkdir(parents=True, exist_ok=True)
        arguments[~is_measured].to_csv(options.train / ARGUMENTS, sep="\t", index=False)
        kept = labels.loc[arguments["Argument ID"][~is_measured]]
        kept.reset_index().to_csv(options.train / LABELS, sep="\t", index=False)
        print(f"{int((~is_measured).sum())} arguments for data.train={options.train / ARGUMENTS}")
    order = np.argsort(keys[is_measured])
    own = arguments[is_measured].iloc[order]
    truth = folded(labels.loc[own["Argument ID"]])
    own, truth = own[truth.any(axis=1)].head(options.texts), truth[truth.any(axis=1)][: options.texts]
    texts = (own["Conclusion"] + ". " + own["Stance"] + ": " + own["Premise"]).tolist()
    print(f"{len(texts)} arguments, {truth.sum(axis=1).mean():.2f} values each")
    print(f"{'(standard errors)':<34}{'recall at 3':>18}{'macro-F1':>18}{'AUC':>18}{'unrelated':>11}")
    figures: dict[str, object] = {"texts": len(texts)}
    chance = np.random.default_rng(0).random(truth.shape)
    figures["chance"] = found = measured(chance, truth, None)
    row("chance: three values at random", found)
    frequent = np.tile(truth.mean(axis=0), (len(truth), 1))
    figures["most frequent"] = found = measured(frequent, truth, None)
    row("the three most frequent values", found)
    for name in options.encoders:
        relevance = EncoderRelevance(encoder=name, n=RECALL_AT, threshold=options.threshold)
        found = measured(relevance.of(texts, PVQ, lambda *_: None), truth, options.threshold)
        figures[name] = found
        row(name, found)
    if options.llm is not None:
        model = built(compose_node("evaluate", "llm", {"llm": options.llm}))
        few = texts[: options.llm_texts]
        asking = LogprobRelevance(
            llm=model, wordings=["stance"], cache="on", max_text_bytes=6000, n=RECALL_AT, threshold=0.5
        )
        found = measured(asking.of(few, PVQ, lambda *_: None), truth[: len(few)], 0.5)
        figures[options.llm] = found
        row(f"{options.llm}, log-odds, {len(few)} texts", found)
    record(options.out, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
