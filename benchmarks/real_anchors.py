"""How often 90% score intervals hold the ratings of real anchors: the default judge, each anchor's own text unseen.

Another judge is named as on the command line: `judge=embedding judge.encoder=NAME`.

Each anchor is ranked among the other anchors of its value, by a judge whose regression was fitted without its text, and
scored as a response. Rows: `published` without misreading, with beta and places as evaluations had them before; `run`
with what a run learns of its judge from its windows; `without the anchor` with what the windows that do not hold the
anchor tell of the judge; `calibrated` with a misreading sd from one half of a value's anchors, tested on the other.
Coverage is that of all judges, whether or not they pass the order check, and then of those that do: a run has no scores
of a judge that does not.

A second table has the same judge through windows, as `run` and, `unseen`, as `without the anchor`, and by regression,
where an anchor is predicted by lines, ratios of variances and scales that are fitted again without its text. Beside the
lines as they are shrunk stand what they lie between, one line for all values and one for each, and a monotone curve for
all values.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from overrides import parse_overrides
from record import cannot_run, record
from scipy.optimize import isotonic_regression
from scipy.stats import spearmanr

from valueflow.evaluation.anchor_utilities import ReadAnchors
from valueflow.evaluation.judges import BOUNDS, INTERVAL_LEVEL, LEAST_Z, JudgeFit, fit_judges
from valueflow.evaluation.misreading import nearest_tried, try_misreadings
from valueflow.evaluation.predicting import Predictor
from valueflow.evaluation.scoring import score_windows
from valueflow.evaluation.windows import anchor_keys, build_windows
from valueflow.judge import Criterion, Judge, RankedWindows, TextJudge
from valueflow.plackett_luce import (
    fit_discrimination,
    grid_for,
    log_likelihoods,
    summarize_on_grid,
    summarize_posterior,
)
from valueflow.run import built, compose_node
from valueflow.statistics import order_agreement
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
    parser.add_argument("judge", nargs="*", default=["judge=embedding"], help="settings of a judge, key=value")
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
    judge = built(compose_node("evaluate", "judge", parse_overrides(options.judge)))
    judged = [_ranked(judge, vidb, anchors, max(options.windows), options.seed) for anchors in vidb.anchors]
    print(f"{len(judged)} values judged in {time.perf_counter() - start:.0f} s; {BAR} is the bar of '{BARRED}'")
    figures: dict[str, object] = {
        "bar": BAR,
        "seed": options.seed,
        "values": len(vidb.anchors),
        "judge": judge.describe(),
    }
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
    if isinstance(judge, TextJudge):
        missed += _by_regression(judge, vidb, judged, options.windows, figures)
    print(f"\n{'all bars met' if not missed else f'{missed} bars missed'}; {time.perf_counter() - start:.0f} s")
    record(options.out, figures | {"missed": missed})
    return 1 if missed else 0


@dataclass(frozen=True)
class Predicted:
    """Scores and 90% intervals of anchors, each unseen."""

    score: FloatArray
    low: FloatArray
    high: FloatArray


def _by_regression(
    judge: TextJudge, vidb: Vidb, judged: list[RankedWindows], windows: list[int], figures: dict[str, object]
) -> int:
    """Print and keep the second table; return how many bars are missed."""
    criterion = Criterion(load_theory("pvq"), vidb.anchors[0].value, vidb)
    utilities = judge.anchor_utilities(criterion, lambda done, failed, note="": None)
    anchors = ReadAnchors.of(utilities, vidb.anchors, vidb.anchors[0])
    rows = {f"windows, m = {m}": _through_windows(vidb, judged, m, _of_all) for m in windows}
    rows |= {f"unseen, m = {m}": _through_windows(vidb, judged, m, _unseen) for m in windows}
    rows |= {
        "regression": _by_lines(anchors, None),
        "one line for all": _by_lines(anchors, np.zeros(2)),
        "one line each": _by_lines(anchors, np.full(2, 1e6)),
        "monotone curve": _by_curve(anchors),
    }
    print(f"\n{'':<20}{'RMSE':>8}{'Spearman':>10}{'wrong side':>12}{'coverage':>10}{'s.e.':>8}{'half width':>12}")
    for name, found in rows.items():
        row = _figures_of(found, anchors)
        print(
            f"{name:<20}{row['rmse']:>8.2f}{row['spearman']:>10.3f}{row['wrong_side']:>12.3f}{row['coverage']:>10.3f}"
            f"{row['error']:>8.3f}{row['half_width']:>12.2f}"
        )
        figures[f"prediction, {name}"] = row
    groups = [anchors.value == value for value in np.unique(anchors.value)]
    passed = [order_agreement(anchors.utility[own], anchors.rating[own]).z for own in groups]
    print(f"z above {LEAST_Z:g} over a value's own anchors: {int(np.sum(np.array(passed) > LEAST_Z))} of {len(passed)}")
    return int(_figures_of(rows["regression"], anchors)["coverage"] < BAR)


def _through_windows(
    vidb: Vidb, judged: list[RankedWindows], m: int, score: Callable[[Anchors, RankedWindows], Predicted]
) -> Predicted:
    parts = [score(anchors, ranked[_first(ranked, m)]) for anchors, ranked in zip(vidb.anchors, judged, strict=True)]
    return Predicted(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("score", "low", "high")))


def _by_lines(anchors: ReadAnchors, ratios: FloatArray | None) -> Predicted:
    found = np.empty((3, len(anchors)))
    for text in np.unique(anchors.text):
        rest = Predictor(anchors[anchors.text != text], ratios)
        for row in np.flatnonzero(anchors.text == text):
            found[:, [row]] = rest.predict(anchors.utility[[row]], int(anchors.value[row]))
    return Predicted(*found)


def _by_curve(anchors: ReadAnchors) -> Predicted:
    """Predict by isotonic regression over all values, with the split of the other texts' residuals."""
    curve = np.empty(len(anchors))
    for text in np.unique(anchors.text):
        rest = np.flatnonzero(anchors.text != text)
        rest = rest[np.argsort(anchors.utility[rest], kind="stable")]
        fitted = isotonic_regression(anchors.rating[rest]).x
        own = anchors.text == text
        curve[own] = np.interp(anchors.utility[own], anchors.utility[rest], fitted)
    far = np.abs(anchors.rating - curve)
    rank = int(np.ceil(INTERVAL_LEVEL * len(far)))
    half = np.array([np.sort(np.delete(far, row))[rank - 1] for row in range(len(far))])
    return Predicted(curve, curve - half, curve + half)


def _figures_of(found: Predicted, anchors: ReadAnchors) -> dict[str, float]:
    values = [anchors.value == value for value in np.unique(anchors.value)]
    held = (found.low <= anchors.rating) & (anchors.rating <= found.high)
    by_value = np.array([held[own].mean() for own in values])
    return {
        "rmse": float(np.sqrt(np.mean((found.score - anchors.rating) ** 2))),
        "spearman": float(np.mean([spearmanr(found.score[own], anchors.rating[own]).statistic for own in values])),
        "wrong_side": float(np.mean(found.score * anchors.rating <= 0)),
        "coverage": float(by_value.mean()),
        "error": float(by_value.std(ddof=1) / np.sqrt(len(by_value))),
        "half_width": float(np.mean(found.high - found.low) / 2),
    }


def _ranked(judge: Judge, vidb: Vidb, anchors: Anchors, m: int, seed: int) -> RankedWindows:
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
    return judge.rank(criterion, windows, lambda done, failed, note="": None)


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
    found = _scored(ranked, len(anchors), fit)
    return _held(anchors, (found.low, found.high))


def _of_all(anchors: Anchors, ranked: RankedWindows) -> Predicted:
    return _scored(ranked, len(anchors), fit_judges(ranked)[0])


def _without_the_anchor(anchors: Anchors, ranked: RankedWindows, fit: JudgeFit) -> tuple[float, float]:
    found = _unseen(anchors, ranked)
    return _held(anchors, (found.low, found.high))


def _unseen(anchors: Anchors, ranked: RankedWindows) -> Predicted:
    """Score each anchor by what the windows that do not hold it tell of the judge."""
    assert ranked.anchors is not None
    n, whole = len(anchors), np.empty((3, len(anchors)))
    for anchor in range(n):
        elsewhere = np.all(ranked.anchors != anchor, axis=1)
        own = ranked[np.flatnonzero(ranked.responses == anchor)]
        learned = _with_all_places(fit_judges(ranked[np.flatnonzero(elsewhere)])[0], anchors)
        whole[:, anchor] = _on_grid(replace(own, responses=np.zeros(len(own), dtype=np.int64)), learned)
    return Predicted(*whole)


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


def _on_grid(ranked: RankedWindows, fit: JudgeFit) -> tuple[float, float, float]:
    """Return the score of one response and its interval."""
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
    mean, _, low, high = summarize_on_grid(logs, grid, level=INTERVAL_LEVEL)
    return float(mean[0]), float(low[0]), float(high[0])


def _scored(ranked: RankedWindows, n: int, fit: JudgeFit) -> Predicted:
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
    return Predicted(scores.score, scores.low, scores.high)


if __name__ == "__main__":
    sys.exit(main())
