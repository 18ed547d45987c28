"""Any judge on real anchors: how it orders them, how often its intervals hold, what a text costs.

    python benchmarks/which_judge.py "judge=embedding" "judge=logprob llm=qwen2_5_coder_1_5b"

Each argument is a judge as one would write it on the command line of `evaluate.py`. Every anchor is scored as a
response of `task=calibrate`: in windows of the other anchors of its value, by a judge that has not seen it. A judge
that reads texts one by one is measured by its utilities, too. Spearman is the mean over values of the
correlation with the known intensities, agreement the share of pairs of anchors of a value that are in the known order.
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from overrides import parse_overrides
from record import cannot_run, record
from scipy.stats import spearmanr

from valueflow import calibrate_judge
from valueflow.judge import Criterion, TextJudge
from valueflow.run import InputError, built, compose_node
from valueflow.theory import load_theory
from valueflow.vidb import load_vidb

SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "vidb_sample"
JUDGES = (
    "judge=embedding",
    "judge=embedding judge.encoder=mpnet",
    "judge=logprob llm=smollm2",
    "judge=logprob llm=qwen2_5_coder_1_5b",
)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """What was measured of a judge; NaN where it does not apply."""

    judge: str
    values: int
    utility_spearman: float
    utility_agreement: float
    negative_values: int
    spearman: float
    agreement: float
    coverage: float
    width: float
    seconds_per_text: float
    tokens_per_text: float


@dataclass(frozen=True)
class UtilityQuality:
    """How a judge's utilities order the anchors of a value, mean over values.

    Attributes
    ----------
    negative_values
        How many values have a negative correlation.
    seconds
        For all texts; NaN where all answers were cached, as the time says nothing then.
    """

    spearman: float
    agreement: float
    negative_values: int
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("judges", nargs="*", default=JUDGES, help="each as on the command line of evaluate.py")
    parser.add_argument("--vidb", default=str(SAMPLE), help="folder of anchors")
    parser.add_argument("--values", type=int, default=None, help="only the first so many values")
    parser.add_argument("--windows", type=int, default=3, help="windows an anchor")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/which_judge.json"))
    options = parser.parse_args()
    if not Path(options.vidb).is_dir():
        return cannot_run(f"{options.vidb} is not here; its texts may not be copied into the project")
    found = []
    for judge in options.judges:
        try:
            found.append(measure(judge, options.vidb, options.windows, options.values))
        except InputError as error:
            print(f"{judge} is skipped: {error}")
    record(options.out, {quality.judge: asdict(quality) for quality in found})
    return 0


def measure(judge: str, vidb: str, windows: int, values: int | None) -> Quality:
    """Measure one judge and print its row."""
    overrides: dict[str, Any] = parse_overrides(judge.split())
    sets = load_vidb(vidb, load_theory("pvq")).anchors[:values]
    utilities = of_utilities(overrides, vidb, len(sets))
    rows, seconds, tokens = [], 0.0, 0
    for anchors in sets:
        found = calibrate_judge(
            theory=anchors.theory,
            value=anchors.value,
            vidb=vidb,
            m=windows,
            judge_check=False,
            progress=False,
            **overrides,
        )
        table, name = found.scores.dropna(subset=[f"{anchors.value}_score"]), anchors.value
        rating, score = table["rating"].to_numpy(), table[f"{name}_score"].to_numpy()
        low, high = table[f"{name}_low"].to_numpy(), table[f"{name}_high"].to_numpy()
        rows.append((*_order(score, rating), float(np.mean((low <= rating) & (rating <= high))), np.mean(high - low)))
        judging = found.summary["judging"]
        # What was cached took as long when it was asked.
        tokens += sum(judging.get(key, 0) for key in ("prompt_tokens", "cached_prompt_tokens"))
        seconds += found.summary["timings"]["judge"]
    means = np.mean(rows, axis=0)
    n_texts = sum(len(anchors) for anchors in sets)
    spearman, agreement, coverage, width = (float(mean) for mean in means)
    quality = Quality(
        judge=judge,
        values=len(sets),
        utility_spearman=utilities.spearman,
        utility_agreement=utilities.agreement,
        negative_values=utilities.negative_values,
        spearman=spearman,
        agreement=agreement,
        coverage=coverage,
        width=width,
        seconds_per_text=(utilities.seconds or seconds) / n_texts,
        tokens_per_text=tokens / n_texts,
    )
    print(
        f"{judge}: {quality.values} values; through {windows} windows: Spearman {quality.spearman:.3f}, agreement "
        f"{quality.agreement:.3f}, 90% intervals hold {quality.coverage:.3f}, width {quality.width:.1f}; by utilities: "
        f"Spearman {quality.utility_spearman:.3f}, agreement {quality.utility_agreement:.3f}, "
        f"{quality.negative_values} values negative; {quality.seconds_per_text:.2f} s and "
        f"{quality.tokens_per_text:.0f} prompt tokens a text",
        flush=True,
    )
    return quality


def of_utilities(overrides: dict[str, Any], vidb: str, values: int | None = None) -> UtilityQuality:
    """Measure the utilities of anchors by themselves, without windows; NaN for a judge that gives none."""
    judge = built(compose_node("evaluate", "judge", overrides))
    if not isinstance(judge, TextJudge):
        return UtilityQuality(np.nan, np.nan, 0, 0.0)
    theory = load_theory("pvq")
    loaded = load_vidb(vidb, theory)
    few = type(loaded)(loaded.source, loaded.anchors[:values], 0, loaded.digest)
    start = time.perf_counter()
    found = judge.anchor_utilities(Criterion(theory, loaded.anchors[0].value, few), lambda done, failed, note="": None)
    seconds = time.perf_counter() - start
    asked = found[0].report.get("calls", 1)
    pairs = [
        _order(own.of(anchors.texts), anchors.intensities) for own, anchors in zip(found, few.anchors, strict=True)
    ]
    spearman, agreement = np.transpose(pairs)
    return UtilityQuality(
        spearman=float(spearman.mean()),
        agreement=float(agreement.mean()),
        negative_values=int((spearman < 0).sum()),
        seconds=seconds if asked else np.nan,
    )


def _order(score: FloatArray, rating: FloatArray) -> tuple[float, float]:
    """Return Spearman's correlation and the share of pairs of different ratings that are in their order."""
    first, second = np.triu_indices(len(rating), k=1)
    known, seen = rating[first] - rating[second], score[first] - score[second]
    different = known != 0
    right = np.where(seen == 0, 0.5, (seen > 0) == (known > 0))
    return float(spearmanr(score, rating).statistic), float(right[different].mean())


if __name__ == "__main__":
    sys.exit(main())
