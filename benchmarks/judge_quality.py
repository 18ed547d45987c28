"""How well the embedding judge knows real anchors: Spearman with their intensities, mean over all values.

Each anchor is scored as if it were a response, by the whole road: it is taken out of the VIDB (and with it one anchor
of every other value, and every copy of its text), the judge is fitted on the rest, ranks it in windows of the rest, and
Plackett-Luce scores it. Twelve such folds score every anchor of the sample once. Two simpler judges are measured on the
same windows: cosine with the value's definition, and a ridge on plain embeddings fitted on the other values' anchors.
The embedding judge is measured with each packaged encoder that is installed, as is the time that encoder takes a text.

A judge written as on the command line of evaluate.py is measured instead, by what it says of each anchor by itself:

    python benchmarks/judge_quality.py judge=logprob llm=qwen2_5_coder_1_5b
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from overrides import parse_overrides
from record import cannot_run, record
from scipy.stats import spearmanr
from which_judge import of_utilities

from valueflow.encoder import load_encoder, load_model
from valueflow.evaluation.scoring import score_windows
from valueflow.evaluation.windows import build_windows
from valueflow.judge import Criterion, EmbeddingJudge, RankedWindows, Windows
from valueflow.run import InputError
from valueflow.theory import known_theories, load_theory
from valueflow.vidb import Anchors, BucketSampling, Vidb, load_vidb

UTILITY_BARS = {"judge=logprob llm=qwen2_5_coder_1_5b": (0.68, 0.76)}
"""Spearman and agreement of pairs, by judge."""

BARS = {"embedding judge": 0.45, "embedding, mpnet": 0.56}
SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "vidb_sample"

Ranker = Callable[[Vidb, int, Windows], RankedWindows]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("judge", nargs="*", help="a judge, as judge=logprob llm=NAME")
    parser.add_argument("--vidb", default=str(SAMPLE), help="folder of anchors")
    parser.add_argument("--windows", type=int, nargs="+", default=[3, 10], help="windows an anchor")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44, 45, 46], help="seeds of the windows")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/judge_quality.json"))
    options = parser.parse_args()
    if not Path(options.vidb).is_dir():
        return cannot_run(f"{options.vidb} is not here; its texts may not be copied into the project")
    if options.judge:
        return _measure_utilities(options.judge, options.vidb, options.out)
    vidb = load_vidb(options.vidb, load_theory("pvq"))
    rankers: dict[str, Ranker] = {
        "embedding judge": partial(_judge_ranker, "minilm"),
        "ridge on other values": _ridge_ranker,
        "cosine with definition": _cosine_ranker,
    }
    milliseconds = {"minilm": _milliseconds_a_text("minilm", vidb)}
    try:
        milliseconds["mpnet"] = _milliseconds_a_text("mpnet", vidb)
        rankers["embedding, mpnet"] = partial(_judge_ranker, "mpnet")
    except InputError as error:
        print(f"mpnet is skipped: {error}")
    print(", ".join(f"{name} takes {spent:.1f} ms a text" for name, spent in milliseconds.items()))
    figures: dict[str, object] = {
        "bars": BARS,
        "seeds": options.seeds,
        "values": len(vidb.anchors),
        "milliseconds_a_text": milliseconds,
    }
    print(f"{'judge':<24}{'windows':>8}{'Spearman':>10}{'over seeds':>12}{'worst value':>13}")
    for name, ranker in rankers.items():
        correlations = _correlations(vidb, ranker, options.windows, options.seeds)
        for m, by_seed in zip(options.windows, correlations, strict=True):
            means, values = by_seed.mean(axis=1), by_seed.mean(axis=0)
            print(f"{name:<24}{m:>8}{means.mean():>10.3f}{means.std():>12.3f}{values.min():>13.2f}")
            figures[f"{name}, m={m}"] = {
                "mean": means.mean(),
                "by_seed": means,
                "by_value": {anchors.value: value for anchors, value in zip(vidb.anchors, values, strict=True)},
            }
    first = options.windows[0]
    reached = {name: float(figures[f"{name}, m={first}"]["mean"]) for name in rankers}  # type: ignore[index]
    ratio = reached["embedding judge"] / reached["ridge on other values"]
    for name in BARS.keys() & rankers.keys():
        print(f"{name} {reached[name]:.3f} (bar {BARS[name]})")
    print(f"embedding judge {ratio:.2f} times the ridge in the same run")
    record(options.out, figures | {"ratio_to_ridge": ratio})
    return 0 if all(reached[name] >= BARS[name] for name in BARS.keys() & rankers.keys()) else 1


def _measure_utilities(judge: list[str], vidb: str, out: Path) -> int:
    quality = of_utilities(parse_overrides(judge), vidb)
    name = " ".join(judge)
    bars = next((bars for known, bars in UTILITY_BARS.items() if name.startswith(known)), None)
    beside = f" (bars {bars[0]} and {bars[1]})" if bars else ""
    print(
        f"{name}: mean Spearman {quality.spearman:.3f}, agreement of pairs {quality.agreement:.3f}{beside}; "
        f"{quality.negative_values} values negative; {quality.seconds:.0f} s"
    )
    record(out, {"judge": name, "bars": bars, **asdict(quality)})
    return 0 if bars is None or (quality.spearman >= bars[0] and quality.agreement >= bars[1]) else 1


def _milliseconds_a_text(encoder: str, vidb: Vidb) -> float:
    """Return how long an encoder takes a text: the median of three turns over anchors, after a first one."""
    model = load_model(encoder)
    texts = [text for anchors in vidb.anchors[:4] for text in anchors.texts.tolist()]
    turns = []
    for _ in range(4):
        start = time.perf_counter()
        model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        turns.append((time.perf_counter() - start) / len(texts) * 1000)
    return float(np.median(turns[1:]))


def _correlations(vidb: Vidb, ranker: Ranker, window_counts: list[int], seeds: list[int]) -> npt.NDArray[np.float64]:
    """Return Spearman's correlation of scores and intensities, by number of windows, seed and value."""
    most = max(window_counts)
    judged: dict[tuple[int, int], list[RankedWindows]] = {}
    held: dict[int, list[int]] = {number: [] for number in range(len(vidb.anchors))}
    n_folds = max(len(anchors) for anchors in vidb.anchors)
    for fold in range(n_folds):
        # Anchors ascend; a step that differs by value mixes low, middle and high ones in each fold.
        places = {
            number: place
            for number, anchors in enumerate(vidb.anchors)
            if (place := (fold + 5 * number) % n_folds) < len(anchors)
        }
        rest = _without(vidb, {vidb.anchors[number].texts[place] for number, place in places.items()})
        for number, place in places.items():
            pool = rest.anchors[number]
            for seed in seeds:
                windows = build_windows(
                    np.array([seed * 1_000_003 + number * 1009 + place], dtype=np.uint64),
                    vidb.anchors[number].texts[[place]],
                    pool,
                    BucketSampling(),
                    k=6,
                    m=most,
                    response_position="random",
                )
                ranked = ranker(rest, number, windows)
                responses = windows.responses + len(held[number])
                judged.setdefault((number, seed), []).append(replace(ranked, responses=responses))
            held[number].append(place)
    return np.array(
        [
            [
                [
                    _spearman(anchors, judged[number, seed], held[number], m)
                    for number, anchors in enumerate(vidb.anchors)
                ]
                for seed in seeds
            ]
            for m in window_counts
        ]
    )


def _spearman(anchors: Anchors, parts: list[RankedWindows], places: list[int], m: int) -> float:
    """Score a value's anchors together by their first m windows, with one beta, and correlate."""
    windows = RankedWindows.of(
        np.concatenate([part.responses[:m] for part in parts]),
        np.concatenate([part.orders[:m] for part in parts]),
        np.concatenate([part.intensities[:m] for part in parts]),
        np.concatenate([part.failures[:m] for part in parts]),
    )
    # Whether a judge orders a value's dozen anchors at all is what is measured here, so it is not checked beforehand.
    scores = score_windows(
        windows,
        len(places),
        estimator="map",
        point="mean",
        solver="newton",
        max_iter=50,
        learning_rate=0.1,
        judge_check=False,
    )
    return float(spearmanr(scores.score, anchors.intensities[places]).statistic)


def _without(vidb: Vidb, texts: set[str]) -> Vidb:
    kept = []
    for anchors in vidb.anchors:
        keep = np.array([text not in texts for text in anchors.texts])
        kept.append(Anchors(anchors.theory, anchors.value, anchors.texts[keep], anchors.intensities[keep]))
    return Vidb(vidb.source, tuple(kept), 0, vidb.digest)


def _judge_ranker(encoder: str, rest: Vidb, number: int, windows: Windows) -> RankedWindows:
    theory = load_theory(rest.anchors[number].theory)
    criterion = Criterion(theory, rest.anchors[number].value, rest)
    return EmbeddingJudge(encoder=encoder).rank(criterion, windows, lambda done, failed, note="": None)


def _cosine_ranker(rest: Vidb, number: int, windows: Windows) -> RankedWindows:
    encoder = load_encoder("minilm")
    definition = encoder.encode([_definition(rest.anchors[number])])[0]
    return _rank(
        windows,
        encoder.encode(list(windows.response_texts)) @ definition,
        encoder.encode(windows.anchor_set.texts.tolist()) @ definition,
    )


def _ridge_ranker(rest: Vidb, number: int, windows: Windows) -> RankedWindows:
    encoder = load_encoder("minilm")
    others = [anchors for place, anchors in enumerate(rest.anchors) if place != number]
    own = set(rest.anchors[number].texts)
    texts = np.concatenate([anchors.texts for anchors in others])
    fresh = np.array([text not in own for text in texts])
    x = encoder.encode(texts[fresh].tolist()).astype(np.float64)
    y = np.concatenate([anchors.intensities for anchors in others])[fresh]
    slope = x.T @ np.linalg.solve(x @ x.T + np.eye(len(x)), y - y.mean())
    return _rank(
        windows,
        encoder.encode(list(windows.response_texts)) @ slope,
        encoder.encode(windows.anchor_set.texts.tolist()) @ slope,
    )


def _definition(anchors: Anchors) -> str:
    theory = next(theory for theory in known_theories() if theory.name == anchors.theory)
    node = theory.nodes[anchors.value]
    return f"{node.label}: {node.definition}"


def _rank(windows: Windows, responses: npt.NDArray[np.floating], anchors: npt.NDArray[np.floating]) -> RankedWindows:
    scores = np.column_stack([responses[windows.responses], anchors[windows.anchors]])
    orders = np.argsort(-scores, axis=1, kind="stable") + 1
    return windows.ranked(orders)


if __name__ == "__main__":
    sys.exit(main())
