"""The circle on real answers: profiles from one half of OpinionQA's questions, a model steered by them on the other.

Prints the correlation of the profiles with the published ones for each theory, and the accuracy and alignment of the
model's answers with these profiles, with the published ones and with none; differences with 95% intervals clustered by
question. The data are beside the checkout, in ../shared/data; without them nothing is measured.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from record import cannot_run, record

from valueflow import profile, steer
from valueflow.opinionqa import SurveyAnswers, load_profiles
from valueflow.opinionqa.questions import stem
from valueflow.run import row_keys
from valueflow.statistics import cluster_codes, clustered_mean
from valueflow.theory import known_theories

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def split(source: Path, folder: Path, seed: int) -> tuple[Path, Path]:
    """Write the items of a random half of the questions into one file, the others into another."""
    items = json.loads(source.read_text(encoding="utf-8"))
    questions = sorted({stem(item["question"]) for item in items})
    keys = row_keys(pd.DataFrame({"question": questions}), seed)
    chosen = {questions[place] for place in np.argsort(keys)[: len(questions) // 2]}
    paths = folder / "first_half.json", folder / "second_half.json"
    halves = [[item for item in items if (stem(item["question"]) in chosen) == is_first] for is_first in (True, False)]
    for path, half in zip(paths, halves, strict=True):
        path.write_text(json.dumps(half), encoding="utf-8")
    shared = {stem(item["question"]) for item in halves[0]} & {stem(item["question"]) for item in halves[1]}
    assert not shared, "a question stands on both sides"
    print(f"{len(halves[0])} items of {len(chosen)} questions for profiles, {len(halves[1])} of the others to answer")
    return paths


def correlations(table: pd.DataFrame, published: Path) -> dict[str, dict[str, float]]:
    """Return, by theory, the correlation with the published scores: over all, and of a group's profile on average."""
    result = {}
    for theory in known_theories():
        rows = table[(table["theory"] == theory.name) & table["mean"].notna()]
        if rows.empty:
            continue
        groups = sorted(set(rows["group"]))
        lines = load_profiles(str(published), groups, theory)
        theirs = {(group, theory.resolve(line.value_key)): line.score for group, own in lines.items() for line in own}
        keys = zip(rows["group"].astype(str), rows["value"].astype(str), strict=True)
        frame = (
            rows[["group", "value"]]
            .assign(ours=rows["mean"], theirs=[theirs.get(key, np.nan) for key in keys])
            .dropna()
        )
        within = [own["ours"].corr(own["theirs"]) for _, own in frame.groupby("group") if len(own) > 2]
        by_value = frame.groupby("value")[["ours", "theirs"]]
        shift = frame[["ours", "theirs"]] - by_value.transform("mean")
        result[theory.name] = {
            "all": float(frame["ours"].corr(frame["theirs"])),
            "within a group": float(np.nanmean(within)) if within else float("nan"),
            "over groups": float(shift["ours"].corr(shift["theirs"])),
            "pairs": len(frame),
        }
    return result


def compared(one: pd.DataFrame, other: pd.DataFrame, column: str, against: str) -> str:
    """Word the paired difference of two columns of details, clustered by question.

    Of alignments only those of like distributions count, as in a survey's own figures: a chosen option alone and the
    probabilities of all differ in alignment by what they are.
    """
    difference = (one[column].astype(float) - other[against].astype(float)).to_numpy(dtype=np.float64)
    known = ~np.isnan(difference)
    if column.endswith("_alignment"):
        sides = ((one, column), (other, against))
        kinds = [side[f"{name.removesuffix('_alignment')}_distribution_from"].to_numpy() for side, name in sides]
        known &= kinds[0] == kinds[1]
    found = clustered_mean(
        np.asarray(difference[known], dtype=np.float64), cluster_codes(one["question"][known].tolist())
    )
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llm", default="smollm2")
    parser.add_argument("--dtype", default=None, help="of the weights; many CPUs read prompts faster in float32")
    parser.add_argument("--items", type=int, default=None, help="items answered, drawn with the seed; default: all")
    parser.add_argument("--preset", default="phi4")
    parser.add_argument("--vidb", default="demo")
    parser.add_argument("--theory", default="any")
    parser.add_argument("--normalization", default="none")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--folder", type=Path, default=Path("outputs/profile_circle"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/profile_circle.json"))
    options = parser.parse_args()
    if not (DATA / "opinionqa_sample.json").is_file():
        return cannot_run(f"{DATA} has no opinionqa_sample.json")
    options.folder.mkdir(parents=True, exist_ok=True)
    first, second = split(DATA / "opinionqa_sample.json", options.folder, options.seed)
    if options.items is not None:
        items = json.loads(second.read_text(encoding="utf-8"))
        kept = np.random.default_rng(options.seed).permutation(len(items))[: options.items]
        second.write_text(json.dumps([items[place] for place in sorted(kept)]), encoding="utf-8")
        print(f"{len(kept)} of these {len(items)} are answered")
    start = time.perf_counter()
    found = profile(
        survey=str(first),
        theory=options.theory,
        vidb=options.vidb,
        normalization=options.normalization,
        judge_check=False,
        seed=options.seed,
        output_dir=options.folder / "found",
        progress=False,
    )
    seconds = time.perf_counter() - start
    print(f"profiles of {found.summary['groups']} groups from {found.summary['texts']} statements in {seconds:.0f} s")
    figures: dict[str, object] = {"seconds": seconds, "correlations": correlations(found.table, DATA / "profiles")}
    for name, row in figures["correlations"].items():  # type: ignore[attr-defined]
        judge = found.summary["theories"][name]["judge"]
        tau = np.nanmean([value["kendall_tau"] for value in judge.values()])
        print(
            f"{name:<6} correlation with the published profiles: {row['all']:+.2f} over all {row['pairs']} scores, "
            f"{row['within a group']:+.2f} within a group, {row['over groups']:+.2f} over groups; judge tau {tau:.2f}"
        )
    details = {}
    model = {"llm.dtype": options.dtype} if options.dtype else {}
    for name, folder in (("ours", options.folder / "found" / "profiles"), ("published", DATA / "profiles")):
        answered = steer(
            preset=options.preset,
            llm=options.llm,
            progress=False,
            **{"opinionqa.questions": str(second), "opinionqa.profiles": str(folder), **model},
        )
        assert isinstance(answered, SurveyAnswers)
        details[name] = answered.details
        overall = answered.summary["overall"]
        print(
            f"{name:<10}"
            + ", ".join(f"{key} {figure:.3f}" for key, figure in overall.items() if isinstance(figure, float))
        )
        figures[name] = overall
    ours, published = details["ours"], details["published"]
    for kind in ("right", "alignment"):
        column = f"profile_{kind}"
        if column not in ours:
            continue
        row = {
            "ours - none": compared(ours, ours, column, f"default_{kind}"),
            "published - none": compared(published, published, column, f"default_{kind}"),
            "ours - published": compared(ours, published, column, column),
        }
        figures[kind] = row
        print(f"{kind}: " + "; ".join(f"{name} {cell}" for name, cell in row.items()))
    record(options.out, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
