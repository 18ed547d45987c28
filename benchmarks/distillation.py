"""A judge distilled into an encoder, on real anchors that neither has learned from: how good, and how fast.

    python benchmarks/distillation.py "llm=qwen2_5_coder_1_5b llm.dtype=float32"
    python benchmarks/distillation.py llm=smollm2 --students minilm --demo-texts 100 --real-texts 100

The teacher is judge=logprob with the language model given. It is asked about the demo texts and about one half, by
hash, of the real arguments and situations beside the checkout; no text of the published anchors is among them. Each
encoder learns from its answers as `train.py experiment=distill_demo` does. Then teacher, student, and the untrained
encoder (the embedding judge, which learns from the other anchors) give each real anchor a utility on its own value.
Figures are means over values of Spearman's correlation with the known intensities, with the standard error over values.
Texts per second are those of one value, measured on texts that nothing has seen before, with all caches off.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from overrides import parse_overrides
from record import cannot_run, record
from scipy.stats import spearmanr

from valueflow import train
from valueflow.hives.data import TRAINING, load_rows, parts_of
from valueflow.hives.distillation import load_texts, values_of
from valueflow.judge import Criterion, DistilledJudge, EmbeddingJudge, TextJudge
from valueflow.llm import release
from valueflow.run import InputError, built, compose_node, read_json
from valueflow.theory import load_theory
from valueflow.vidb import Vidb, load_vidb

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ARGUMENTS, SITUATIONS = DATA / "valueeval23_arguments_train.tsv", DATA / "valuekaleidoscope_half.json"

BARS = {"minilm": 0.60, "mpnet": 0.66}
FASTER = 100

FloatArray = npt.NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", nargs="?", default="llm=qwen2_5_coder_1_5b", help="settings of judge=logprob")
    parser.add_argument("--students", nargs="+", default=list(BARS), help="encoders: names or folders")
    parser.add_argument("--demo-texts", type=int, default=None, help="packaged texts learned from, at most")
    parser.add_argument("--real-texts", type=int, default=None, help="arguments and situations learned from, at most")
    parser.add_argument("--values-per-text", type=int, default=4, help="values asked about for each text")
    parser.add_argument("--timed", type=int, default=32, help="texts that the teacher is timed on")
    parser.add_argument("--epochs", type=int, default=8, help="passes over the texts")
    parser.add_argument(
        "--work", type=Path, default=Path("outputs/distillation"), help="where texts and encoders are kept"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/distillation.json"))
    options = parser.parse_args()
    if not DATA.is_dir():
        return cannot_run(f"{DATA} is not here; its texts may not be copied into the project")
    vidb = load_vidb(str(DATA / "vidb_sample"), load_theory("pvq"))
    overrides: dict[str, Any] = {"judge": "logprob"} | parse_overrides(options.teacher.split())
    try:
        teacher: TextJudge = built(compose_node("evaluate", "judge", overrides))
        uncached: TextJudge = built(compose_node("evaluate", "judge", {**overrides, "cache": "off"}))
        correlations = {"teacher": _correlations(teacher, vidb)}
    except InputError as error:
        return cannot_run(f"the teacher cannot be asked: {error}")
    rates = {"teacher": _texts_per_second(uncached, options.timed)}
    _print("teacher", correlations["teacher"], rates["teacher"])
    release()
    texts = _training_texts(vidb, options.demo_texts, options.real_texts)
    options.work.mkdir(parents=True, exist_ok=True)
    file = options.work / "texts.csv"
    texts.to_csv(file, index=False)
    figures: dict[str, object] = {"texts": len(texts), "values_per_text": options.values_per_text}
    missed = 0
    for name in options.students:
        try:
            correlations[f"{name}, undistilled"] = _correlations(EmbeddingJudge(encoder=name), vidb)
        except InputError as error:
            print(f"{name} is skipped: {error}")
            continue
        _print(f"{name}, undistilled", correlations[f"{name}, undistilled"])
        settings: dict[str, Any] = {
            "backbone.model": name,
            "data.texts": [str(file)],
            "stage.values_per_text": options.values_per_text,
        }
        start = time.perf_counter()
        trained = train(
            experiment="distill_demo",
            backbone="any",
            teacher=teacher,
            epochs=options.epochs,
            output_dir=options.work / Path(name).name,
            **settings,
        )
        seconds = time.perf_counter() - start
        student = DistilledJudge(str(trained.model))  # type: ignore[union-attr]
        label = f"{name}, distilled"
        correlations[label] = _correlations(student, vidb)
        rates[label] = _texts_per_second(student, 100 * options.timed)
        _print(label, correlations[label], rates[label], f"; distilled in {seconds:.0f} s")
        gain = correlations[label] - correlations[f"{name}, undistilled"]
        reached, times = float(correlations[label].mean()), rates[label] / rates["teacher"]
        print(
            f"  {gain.mean():+.3f} ({_error(gain):.3f}) over the undistilled encoder; "
            f"mean Spearman {reached:.3f} (bar {BARS.get(name, 0):.2f}); {times:,.0f} times as fast (bar {FASTER})"
        )
        missed += (reached < BARS.get(name, 0)) + (times < FASTER)
        figures[name] = {
            "agreement_with_teacher": trained.summary["correlation"],
            "meaning": trained.summary["meaning"],
            "seconds": seconds,
            "times_as_fast": times,
        }
    print("all bars met" if not missed else f"{missed} bars missed")
    figures |= {
        "teacher": teacher.describe(),  # type: ignore[attr-defined]
        "spearman": {
            name: {"mean": float(own.mean()), "standard_error": _error(own), "by_value": own}
            for name, own in correlations.items()
        },
        "texts_per_second": rates,
        "bars": {**BARS, "times_as_fast": FASTER},
        "missed": missed,
    }
    record(options.out, figures)
    return 1 if missed else 0


def _training_texts(vidb: Vidb, most_of_demo: int | None, most_real: int | None) -> pd.DataFrame:
    """Return texts to learn from, each with the value that its source names, if it does: the training half."""
    values = values_of(None)
    demo = load_texts(["demo"], values)
    first = [values[number] for number in demo.named.argmax(axis=1)]
    packaged = pd.DataFrame(
        {
            "text": demo.texts,
            "theory": [value.theory.name for value in first],
            "value": [value.value for value in first],
        }
    )
    arguments = load_rows([str(ARGUMENTS)])[0].rows["text"]
    situations = [entry["situation"] for entry in read_json(SITUATIONS, "situations")]
    real = np.unique(np.array([*arguments, *situations], dtype=object))
    half = pd.DataFrame({"text": real[parts_of(real, 0.25, 0) == TRAINING], "theory": "", "value": ""})
    table = pd.concat([_some(packaged, most_of_demo), _some(half, most_real)])
    anchors = {text for anchors in vidb.anchors for text in anchors.texts}
    return table[~table["text"].isin(anchors)].drop_duplicates("text")


def _some(table: pd.DataFrame, most: int | None) -> pd.DataFrame:
    return table if most is None else table.sample(min(most, len(table)), random_state=0)


def _correlations(judge: TextJudge, vidb: Vidb) -> FloatArray:
    """Return for each value how a judge's utilities of its anchors agree with their intensities."""
    read = judge.anchor_utilities(Criterion(load_theory("pvq"), vidb.anchors[0].value, vidb), _ignore)
    pairs = zip(read, vidb.anchors, strict=True)
    return np.array([spearmanr(own.of(anchors.texts), anchors.intensities).statistic for own, anchors in pairs])


def _texts_per_second(judge: TextJudge, n: int) -> float:
    """Time a judge on texts of the usual length that are new in every run, and so in no cache."""
    theory = load_theory("pvq")
    criterion = Criterion(theory, theory.values[0], load_vidb("demo"))
    demo = load_texts(["demo"], values_of("pvq")).texts
    mark = f"{time.time_ns():x}"
    texts = [f"{demo[number % len(demo)]} ({mark} {number})" for number in range(n + 4)]
    judge.text_utilities(criterion, texts[:4], _ignore)  # loads and warms up
    start = time.perf_counter()
    judge.text_utilities(criterion, texts[4:], _ignore)
    return n / (time.perf_counter() - start)


def _ignore(done: int, failed: int, note: str = "") -> None:
    """Nobody watches."""


def _error(values: FloatArray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5)


def _print(name: str, correlations: FloatArray, rate: float | None = None, more: str = "") -> None:
    speed = "" if rate is None else f"; {rate:,.1f} texts/s"
    print(f"{name:<24} mean Spearman {correlations.mean():.3f} ({_error(correlations):.3f}){speed}{more}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
