"""How often 90% score intervals hold the ratings of real anchors: the default judge, each anchor's own text unseen.

Each anchor is ranked among the other anchors of its value, by a judge whose regression was fitted without its text, and
scored as a response. Rows: `published` without misreading, with beta and places as evaluations had them before; `run`
with what a run learns of its judge from its windows; `without the anchor` with what the windows that do not hold the
anchor tell of the judge; `calibrated` with a misreading sd from one half of a value's anchors, tested on the other.
Coverage is that of all judges, whether or not they pass the order check, and then of those that do: a run has no scores
of a judge that does not.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from record import cannot_run, record

from valueflow.evaluation.judges import BOUNDS, INTERVAL_LEVEL, LEAST_Z, JudgeFit, fit_judges
from valueflow.evaluation.misreading import nearest_tried, try_misreadings
from valueflow.evaluation.scoring import score_windows
from valueflow.evaluation.windows import anchor_keys, build_windows
from valueflow.judge import Criterion, EmbeddingJudge, RankedWindows
from valueflow.plackett_luce import (
    fit_discrimination,
    grid_for,
    log_likelihoods,
    summarize_on_grid,
    summarize_posterior,
)
from valueflow.theory import load_theory
from valueflow.vidb import Anchors, BucketSampling, Vidb, load_vidb

BAR = 0.85
BARRED = "run"
HALVINGS = 4
SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "vidb_sample"

FloatArray = npt.NDArray[np.float64]
Interval = tuple[FloatArray, FloatArray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vidb", default=str(SAMPLE), help="folder of anchors")
    parser.add_argument("--windows", type=int, nargs="+", default=[3, 10], help="windows an anchor")
    parser.add_argument("--seed", type=int, default=42, help="seed of the windows")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/real_anchors.json"))
    options = parser.parse_args()
    if not Path(options.vidb).is_dir():
        return cannot_run(f"{options.vidb} is not here; its texts may not be copied into the project")
    start = time.perf_counter()
    vidb = load_vidb(options.vidb, load_theory("pvq"))
    # The first windows of an anchor do not depend on how many there are: all are ranked once.
    judged = [_ranked(vidb, anchors, max(options.windows), options.seed) for anchors in vidb.anchors]
    print(f"{len(judged)} values judged in {time.perf_counter() - start:.0f} s; {BAR} is the bar of '{BARRED}'")
    figures: dict[str, object] = {"bar": BAR, "seed": options.seed, "values": len(vidb.anchors)}
    missed = 0
    for m in options.windows:
        parts = [ranked[_first(ranked, m)] for ranked in judged]
        fits = [fit_judges(part)[0] for part in parts]
        checks = {
            "windows": np.array([fit.reliability.order_z for fit in fits]) > LEAST_Z,
            "anchors": np.array([fit.reliability.order_z_over_anchors for fit in fits]) > LEAST_Z,
        }
        passed = ", ".join(f"{int(ok.sum())} over {name}" for name, ok in checks.items())
        print(f"\nm = {m}: z above {LEAST_Z:g} of {len(fits)} judges: {passed}")
        print(f"{'':<20}{'coverage':>10}{'s.e.':>8}{'width':>8}{'z over windows':>17}{'z over anchors':>17}")
        rows: dict[str, Callable[[Anchors, RankedWindows, JudgeFit], tuple[float, float]]] = {
            "published": _published,
            "run": _of_run,
            "without the anchor": _without_the_anchor,
            "calibrated": _calibrated,
        }
        for name, row in rows.items():
            found = np.array([row(*case) for case in zip(vidb.anchors, parts, fits, strict=True)])
            coverage, width = found.T
            error = float(coverage.std(ddof=1) / np.sqrt(len(coverage)))
            among = {name: float(coverage[ok].mean()) if ok.any() else None for name, ok in checks.items()}
            line = f"{name:<20}{coverage.mean():>10.3f}{error:>8.3f}{width.mean():>8.1f}"
            print(
                line + "".join(f"{'-' if part is None else f'{part:.3f}':>17}" for part in among.values()), flush=True
            )
            figures[f"{name}, m={m}"] = {
                "coverage": coverage.mean(),
                "error": error,
                "width": width.mean(),
                "coverage_where_passed": among,
                "by_value": {part.value: own for part, own in zip(vidb.anchors, coverage.tolist(), strict=True)},
            }
            missed += name == BARRED and coverage.mean() < BAR
        figures[f"judges, m={m}"] = {
            "passed": {name: int(ok.sum()) for name, ok in checks.items()},
            "misreading_sd": {
                part.value: fit.reliability.text_misreading_sd for part, fit in zip(vidb.anchors, fits, strict=True)
            },
            "lapse_rate": {
                part.value: fit.reliability.lapse_rate for part, fit in zip(vidb.anchors, fits, strict=True)
            },
        }
    print(f"\n{'all bars met' if not missed else f'{missed} bars missed'}; {time.perf_counter() - start:.0f} s")
    record(options.out, figures | {"missed": missed})
    return 1 if missed else 0


def _ranked(vidb: Vidb, anchors: Anchors, m: int, seed: int) -> RankedWindows:
    windows = build_windows(
        anchor_keys(anchors.texts, seed),
        # A copy: windows whose responses are the anchors' own array are windows among one set of texts.
        anchors.texts.copy(),
        anchors,
        BucketSampling(),
        k=6,
        m=m,
        response_position="random",
        own=np.arange(len(anchors)),
    )
    criterion = Criterion(load_theory(anchors.theory), anchors.value, vidb)
    return EmbeddingJudge().rank(criterion, windows, lambda done, failed, note="": None)


def _first(ranked: RankedWindows, m: int) -> npt.NDArray[np.intp]:
    """Return the rows of the first m windows of each anchor, whose windows stand together."""
    most = len(ranked) // len(np.unique(ranked.responses))
    return np.flatnonzero(np.arange(len(ranked)) % most < m)


def _held(anchors: Anchors, interval: Interval) -> tuple[float, float]:
    low, high = interval
    return float(np.mean((low <= anchors.intensities) & (anchors.intensities <= high))), float(np.mean(high - low))


def _published(anchors: Anchors, ranked: RankedWindows, fit: JudgeFit) -> tuple[float, float]:
    beta = fit_discrimination(ranked.orders, ranked.intensities).discrimination
    arrays = ranked.orders, ranked.intensities, ranked.responses, len(anchors)
    posterior = summarize_posterior(*arrays, discrimination=beta, level=INTERVAL_LEVEL, bounds=BOUNDS)
    return _held(anchors, (posterior.low, posterior.high))


def _of_run(anchors: Anchors, ranked: RankedWindows, fit: JudgeFit) -> tuple[float, float]:
    return _held(anchors, _scored(ranked, len(anchors), fit))


def _without_the_anchor(anchors: Anchors, ranked: RankedWindows, fit: JudgeFit) -> tuple[float, float]:
    assert ranked.anchors is not None
    n, whole = len(anchors), np.empty((2, len(anchors)))
    for anchor in range(n):
        elsewhere = np.all(ranked.anchors != anchor, axis=1)
        own = ranked[np.flatnonzero(ranked.responses == anchor)]
        learned = _with_all_places(fit_judges(ranked[np.flatnonzero(elsewhere)])[0], anchors)
        whole[:, anchor] = _on_grid(replace(own, responses=np.zeros(len(own), dtype=np.int64)), learned)
    return _held(anchors, (whole[0], whole[1]))


def _with_all_places(fit: JudgeFit, anchors: Anchors) -> JudgeFit:
    """Return a fit that has a place for every anchor: its rating where no window held it."""
    places = anchors.intensities.copy()
    known = fit.ratings == anchors.intensities[: len(fit.ratings)]
    places[: len(known)][known] = fit.places[known]
    return replace(fit, places=places, ratings=anchors.intensities)


def _calibrated(anchors: Anchors, ranked: RankedWindows, fit: JudgeFit) -> tuple[float, float]:
    tried = try_misreadings(ranked, fit, anchors.intensities)
    rng, n = np.random.default_rng(0), len(anchors)
    found = []
    for _ in range(HALVINGS):
        half = rng.permutation(n) < n // 2
        for fitted in (half, ~half):
            sd = nearest_tried(tried.most_likely(fitted))
            found.append((tried.held[sd, ~fitted].mean(), tried.width[sd, ~fitted].mean()))
    coverage, width = np.mean(found, axis=0)
    return float(coverage), float(width)


def _on_grid(ranked: RankedWindows, fit: JudgeFit) -> tuple[float, float]:
    """Return the interval of one response."""
    assert ranked.anchors is not None
    known = fit.reliability
    grid = grid_for(BOUNDS, known.discrimination, ranked.anchors.size)
    logs = log_likelihoods(
        ranked.orders,
        fit.places[ranked.anchors],
        ranked.responses,
        1,
        grid,
        discrimination=known.discrimination,
        misreading_sd=known.text_misreading_sd,
        lapse_rate=known.lapse_rate,
    )
    _, _, low, high = summarize_on_grid(logs, grid, level=INTERVAL_LEVEL)
    return float(low[0]), float(high[0])


def _scored(ranked: RankedWindows, n: int, fit: JudgeFit) -> Interval:
    scores = score_windows(
        ranked,
        n,
        estimator="map",
        point="mean",
        solver="newton",
        max_iter=100,
        learning_rate=0.1,
        judge_check=False,
        fits=[fit],
    )
    return scores.low, scores.high


if __name__ == "__main__":
    sys.exit(main())
