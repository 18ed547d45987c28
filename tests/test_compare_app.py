"""`python compare.py` as a person runs it, on folders as evaluations leave them."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command import Finished, environment, lists_all, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.comparison.simulated import write_job, write_sweep
from valueflow import compare
from valueflow.run import write_csv, write_json

ROOT = Path(__file__).parents[1]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def phi(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "runs" / "phi", model="phi-4")


@pytest.fixture
def qwen(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "runs" / "qwen", model="qwen3", shift=2.0, slope=0.4)


def run(work: Path, *arguments: object, fresh: bool = False) -> Finished:
    env = environment(work.parent / "cache")
    return run_app(ROOT / "compare.py", *map(str, arguments), folder=work, env=env, fresh=fresh)


def table_in(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "comparison.csv", keep_default_na=False, dtype={"intensity": str})


def only_run(work: Path) -> Path:
    (folder,) = (work / "outputs").glob("*/*")
    return folder


# ---- What it finds


def test_help_names_every_key_and_group_and_says_where_folders_go(work: Path) -> None:
    shown = succeeded(run(work, "--help")).stdout
    lists_all(shown, "compare")
    assert "python compare.py runs/phi4 runs/qwen3" in shown
    assert "PATH PATH is short for folders=[PATH,PATH]" in shown


@pytest.mark.slow
def test_two_sweeps_as_plain_arguments(work: Path, phi: Path, qwen: Path) -> None:
    done = succeeded(run(work, phi, qwen, fresh=True))
    assert [line for line in done.stderr.splitlines() if "fontManager" not in line] == []
    folder = only_run(work)
    names = {".hydra", "compare.log", "comparison.csv", "means.csv", "forest.png", "forest.svg", "summary.json"}
    assert {path.name for path in folder.iterdir()} == names
    table, summary = table_in(folder), summary_in(folder)
    assert table["family"].value_counts(sort=False).to_dict() == {
        "model": 10,  # two values, five intensities
        "intensity": 20,  # two values, two models, four intensities against 0 and +2 against -2
        "slope": 4,
        "slope by model": 2,
    }
    assert (table["tests"] == table.groupby("family")["family"].transform("size")).all()
    assert summary["jobs"] == 20
    assert summary["families"]["dose-response"] == {"tests": 4, "significant": 4}
    for part in ("model: 10 tests", "slope over -2 -1 0 +1 +2: 4 tests", "qwen3 vs phi-4", "p (Holm)", "right way"):
        assert part in done.stdout
    by_model = table[(table["family"] == "model") & (table["intensity"] == "0")]
    assert set(by_model["compared"] + " " + by_model["against"]) == {"qwen3 phi-4"}
    assert (by_model["low"] < 2).all()
    assert (by_model["high"] > 2).all()
    slopes = table[table["family"] == "slope"].set_index(["value", "model"])
    for value in ("benevolence", "power"):
        assert slopes.loc[(value, "phi-4"), "low"] < 1 < slopes.loc[(value, "phi-4"), "high"]
        assert slopes.loc[(value, "qwen3"), "low"] < 0.4 < slopes.loc[(value, "qwen3"), "high"]


def test_differences_and_success_are_those_of_the_scores(work: Path, phi: Path) -> None:
    succeeded(run(work, phi, "hydra.run.dir=out"))
    table = table_in(work / "out")
    row = table[(table["value"] == "power") & (table["compared"] == "+1") & (table["against"] == "0")].iloc[0]
    zero, one = (pd.read_csv(phi / job / "scores.csv").set_index("query")["power_score"] for job in ("7", "8"))
    change = one - zero
    half = 2.093024 * np.hypot(change.std() / np.sqrt(20), 0)  # t with 19 degrees of freedom
    assert float(row["estimate"]) == pytest.approx(change.mean())
    # The judge's scale adds (shift1 - shift2)^2 + sigma^2 (m1 - m2)^2 / S.
    scale = (0.02**2 + 1.5**2 / 2000) * change.mean() ** 2
    assert float(row["high"]) - float(row["estimate"]) == pytest.approx(np.hypot(half, 2.093024 * np.sqrt(scale)), 1e-4)
    assert int(float(row["right"])) == (change > 0).sum()
    assert (row["queries"], row["queries_shared"]) == (20, 20)


@pytest.mark.slow
def test_a_list_of_folders_python_and_any_order_of_rows_give_the_same(work: Path, tmp_path: Path) -> None:
    phi, qwen = (
        write_sweep(tmp_path / "runs" / name, values=("power",), intensities=(0, 2), n_queries=40, model=name)
        for name in ("phi", "qwen")
    )
    succeeded(run(work, phi, qwen, "hydra.run.dir=plain", "permutations=999"))
    succeeded(run(work, f"folders=[{phi},{qwen}]", "hydra.run.dir=listed", "permutations=999"))
    compare([phi, qwen], output_dir=work / "python", permutations=999)
    for name in ("comparison.csv", "means.csv", "forest.png", "forest.svg"):
        files = [(work / folder / name).read_bytes() for folder in ("plain", "listed", "python")]
        assert files[0] == files[1] == files[2], name
    for file in (tmp_path / "runs").rglob("scores.csv"):
        write_csv(pd.read_csv(file).sample(frac=1, random_state=1), file)
    assert compare([phi, qwen], permutations=999).table.to_csv(index=False) == pd.read_csv(
        work / "python" / "comparison.csv", keep_default_na=False, dtype=object
    ).to_csv(index=False)


@pytest.mark.slow
def test_folders_of_any_name(work: Path, phi: Path, qwen: Path) -> None:
    one, other = "-a, b=${c}", work.parent / 'it\'s ["x"]'
    phi.rename(work / one)
    qwen.rename(other)
    succeeded(run(work, one, other, "hydra.run.dir=out"))
    assert summary_in(work / "out")["folders"] == [one, str(other)]


def test_an_unsteered_job_is_the_reference(phi: Path, tmp_path: Path) -> None:
    plain = write_sweep(tmp_path / "runs" / "plain", model="phi-4", intensities=(None,), steered_by="none")
    table = compare([phi, plain]).table.query("family == 'intensity'")
    assert sorted(set(table["against"])) == ["-2", "all"]
    steered_to_0 = table[table["compared"] == "0"]
    assert len(steered_to_0) == 2
    assert steered_to_0["success"].isna().all()  # neither way is the right one
    from_0 = compare([phi, plain], reference=0).table.query("family == 'intensity'")
    assert set(from_0["against"]) == {"0", "-2"}
    assert len(compare([phi], pairs="all").table.query("family == 'intensity'")) == 2 * 10


def test_folders_are_compared_where_nothing_else_tells_jobs_apart(work: Path, tmp_path: Path) -> None:
    one = write_sweep(tmp_path / "one", values=("power",), intensities=(2,))
    other = write_sweep(tmp_path / "other", values=("power",), intensities=(2,), shift=1.5)
    found = compare([one, other]).table
    assert found["family"].tolist() == ["run"]
    assert (found["compared"][0], found["against"][0]) == (str(other), str(one))
    assert found["estimate"][0] == pytest.approx(1.5)


def test_steering_methods_are_compared_at_each_intensity(tmp_path: Path) -> None:
    sweeps = [
        write_sweep(
            tmp_path / method, values=("power",), intensities=(-2, 2), model="phi-4", steered_by=method, slope=k
        )
        for method, k in (("anchor", 0.5), ("user_texts", 1.0))
    ]
    table = compare(sweeps).table
    methods = table[table["family"] == "steered_by"]
    assert (methods["compared"] + methods["against"]).tolist() == ["user_textsanchor"] * 2
    assert methods["intensity"].tolist() == [-2, 2]
    assert "slope by steered_by" in set(table["family"])


def test_a_job_whose_judge_does_not_order_the_anchors_is_listed(work: Path, phi: Path) -> None:
    summary = summary_in(phi / "0")
    nothing = dict.fromkeys(("mean", "mean_se", "mean_low", "mean_high", "beta_shift", "anchors"))
    write_json(summary | nothing | {"scored": 0, "judge_check": {"passed": False}}, phi / "0" / "summary.json")
    (phi / "failed").mkdir()
    (phi / "failed" / "error.json").write_text('{"error": "no", "input": true}')
    done = succeeded(run(work, phi, "hydra.run.dir=out"))
    lines = [
        f"{phi / '0'}: not compared: the judge is not shown to order the anchors",
        f"{phi / 'failed'}: left out: the job failed",
    ]
    assert summary_in(work / "out")["left_out"] == sorted(lines, reverse=True)
    for line in lines:
        assert line in done.stdout.replace("\n", "")
    assert summary_in(work / "out")["jobs"] == 9


def test_responses_without_a_score_or_a_query(tmp_path: Path) -> None:
    queries = [f"q{number}" for number in range(12)]
    rng = np.random.default_rng(0)
    places = rng.normal(0, 2, 12)
    scores = [places + rng.normal(0, 1, 12) for _ in range(2)]
    scores[1][3] = np.nan
    for number, job in enumerate(scores):
        write_job(tmp_path / str(number), [*job, 1.0], [*queries, ""], intensity=2 * number)
    table = compare([tmp_path]).table
    row = table[table["family"] == "intensity"].iloc[0]
    assert (row["queries"], row["queries_shared"]) == (14, 11)  # each response without a query stands alone
    assert row["right"] + row["wrong"] == 11


@pytest.mark.slow
def test_sweeps_of_comparisons_show_their_families(work: Path, phi: Path) -> None:
    done = succeeded(run(work, phi, "reference=-2,0", "-m", "hydra.sweep.dir=sweep"))
    assert "2 of 2 jobs" in done.stdout
    assert "reference=-2" in done.stdout
    assert len(pd.read_csv(work / "sweep" / "sweep.csv")) == 2


# ---- Ratings by people


def rated(sweep: Path, jobs: int, per_job: int, bias: float) -> pd.DataFrame:
    """Rate a random sample of the responses of a sweep; people place everything higher than the judge."""
    rng = np.random.default_rng(0)
    parts = []
    for job in range(jobs):
        scores = pd.read_csv(sweep / str(job) / "scores.csv").sample(per_job, random_state=job)
        (column,) = (name for name in scores if name.endswith("_score"))
        rating = np.clip(scores[column] + bias + rng.normal(0, 0.3, per_job), -10, 10)
        value = column.removesuffix("_score")
        parts.append(scores[["query", "response"]].assign(rating=rating, value=value.upper()))
    return pd.concat(parts, ignore_index=True)


def test_ratings_move_the_means_and_leave_differences(work: Path, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", n_queries=60)
    ratings = rated(sweep, 10, 20, bias=2.0)
    stray = pd.DataFrame({"query": ["?"], "response": ["nobody said this"], "rating": [0], "value": ["power"]})
    again = ratings.iloc[[0]]
    write_csv(pd.concat([ratings, stray, again]), tmp_path / "ratings.csv")
    done = succeeded(run(work, sweep, f"human={tmp_path / 'ratings.csv'}", "hydra.run.dir=out"))
    means = pd.read_csv(work / "out" / "means.csv")
    assert (means["human_mean"] - means["mean"]).mean() == pytest.approx(2, abs=0.1)
    assert ((means["human_low"] < means["mean"] + 2) & (means["mean"] + 2 < means["human_high"])).mean() >= 0.8
    assert means["human_lambda"].between(0.4, 1).all()
    table = pd.read_csv(work / "out" / "comparison.csv")
    assert (table["human_estimate"] - table["estimate"]).abs().max() < 0.5
    assert summary_in(work / "out")["human"] == {
        "file": str(tmp_path / "ratings.csv"),
        "ratings": 202,
        "unknown": 1,
        "repeated": 1,
        "jobs_too_few": 0,
    }
    assert "1 of 202 ratings are of responses that no job has" in done.stdout
    assert "with ratings" in done.stdout


def test_bad_ratings_are_skipped_and_a_blank_column_is_none(phi: Path, tmp_path: Path) -> None:
    ratings = rated(phi, 1, 20, bias=0).assign(query="").astype({"rating": object})
    ratings.loc[3, "rating"], ratings.loc[5, "rating"], ratings.loc[7, "response"] = 11, "high", " "
    write_csv(ratings, tmp_path / "ratings.csv")
    means = {}
    for policy, skipped in (("skip", 3), ("clamp", 2)):
        found = compare([phi], human=tmp_path / "ratings.csv", on_bad_row=policy, output_dir=tmp_path / policy)
        means[policy] = found.means.set_index("folder").loc[str(phi / "0"), "human_mean"]
        assert found.summary["bad_rows"]["skipped"] == skipped
        assert found.summary["human"]["ratings"] == 20 - skipped
        assert sorted(pd.read_csv(tmp_path / policy / "skipped.csv")["row"]) == [4, 6, 8][-skipped:]
    assert means["clamp"] > means["skip"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda frame: frame.assign(rating=frame["rating"].where(frame.index != 3, 11)), "row 4, column 'rating': '11"),
        (lambda frame: frame.drop(columns="rating"), "column 'rating' is missing"),
        (lambda frame: frame.assign(response="unknown"), "0 rated queries in the job that has most (20 of 20 ratings"),
        (lambda frame: frame.head(4), "too few ratings: 4 rated queries in the job that has most"),
        (lambda frame: frame.drop(columns="value"), "a column 'value' must say which one is rated"),
        (lambda frame: frame.head(0), "has no rows"),
    ],
)
def test_ratings_that_cannot_be_used(
    work: Path, phi: Path, change: Callable[[pd.DataFrame], pd.DataFrame], line: str
) -> None:
    file = work.parent / "ratings.csv"
    change(rated(phi, 1, 20, bias=0)).to_csv(file, index=False)
    refused(run(work, phi, f"human={file}"), work, line)


# ---- What it refuses


def older(folder: Path) -> None:
    scores = pd.read_csv(folder / "0" / "scores.csv")
    write_csv(scores.drop(columns="mean_influence"), folder / "0" / "scores.csv")


def older_summary(folder: Path) -> None:
    summary = summary_in(folder / "0")
    del summary["beta_shift"]
    write_json(summary, folder / "0" / "summary.json")


def no_number(folder: Path) -> None:
    scores = pd.read_csv(folder / "0" / "scores.csv", dtype=str)
    scores.loc[2, "benevolence_score"] = "high"
    write_csv(scores, folder / "0" / "scores.csv")


def one_job(folder: Path) -> None:
    for job in range(1, 10):
        shutil.rmtree(folder / str(job))


def one_job_per_value(folder: Path) -> None:
    for job in {*range(10)} - {0, 5}:
        shutil.rmtree(folder / str(job))


def other_queries(folder: Path) -> None:
    for number, file in enumerate(sorted(folder.rglob("scores.csv"))):
        scores = pd.read_csv(file)
        write_csv(scores.assign(query=f"{number} " + scores["query"]), file)


def no_queries(folder: Path) -> None:
    for file in folder.rglob("scores.csv"):
        write_csv(pd.read_csv(file).assign(query=""), file)


def twice(folder: Path) -> None:
    shutil.copytree(folder / "1", folder / "10")


def unfinished(folder: Path) -> None:
    for file in folder.rglob("summary.json"):
        file.unlink()


def all_failed(folder: Path) -> None:
    unfinished(folder)
    (folder / "0" / "error.json").write_text('{"error": "no", "input": true}')


def not_ordering(folder: Path) -> None:
    for file in folder.rglob("summary.json"):
        write_json(json.loads(file.read_text()) | {"mean": None, "judge_check": {"passed": False}}, file)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (older, "column 'mean_influence' is missing: written by an older version; score it again"),
        (older_summary, "'beta_shift' is missing: written by an older version"),
        (no_number, "row 3, column 'benevolence_score': 'high' is no number"),
        (one_job, "comparing takes two jobs with means, and there is only one"),
        (one_job_per_value, "the 2 jobs measure different values (pvq/benevolence, pvq/power)"),
        (other_queries, "no two jobs share 2 queries"),
        (no_queries, "its responses have no queries; jobs are paired by the column 'query'"),
        (twice, "pvq/benevolence (-1, phi-4) is scored twice in"),
        (unfinished, "holds no finished run of evaluate.py"),
        (all_failed, "holds no finished run of evaluate.py, at no depth (1 failed)"),
        (not_ordering, "there is none"),
    ],
)
def test_folders_that_cannot_be_compared(work: Path, phi: Path, change: Callable[[Path], object], line: str) -> None:
    change(phi)
    refused(run(work, phi), work, line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "'folders' is not set"),
        (("{runs}/phj",), "does not exist; did you mean 'phi'"),
        (("{runs}/phi/0/scores.csv",), "is a file, did you mean its folder"),
        (("{runs}/phi", "{runs}/phi/0"), "is given twice"),
        (("{runs}/phi", "{runs}/copy"), "pvq/benevolence (-2, phi-4) is scored twice under the same settings"),
        (("{runs}/phi", "folders=[x]"), "folders are given twice"),
        (("{runs}/phi", "reference=all"), "reference=all: no job has this intensity; there are: -2, -1, 0, +1, +2"),
        (("{runs}/phi", "reference=3"), "reference"),
        (("{runs}/phi", "permutations=5"), "permutations=5"),
        (("{runs}/phi", "human=no.csv"), "human: no.csv does not exist"),
        (("{runs}/phi", "pears=all"), "unknown setting 'pears'; did you mean 'pairs'"),
    ],
)
def test_settings_that_cannot_be_used(work: Path, phi: Path, arguments: tuple[str, ...], line: str) -> None:
    if any("copy" in argument for argument in arguments):
        shutil.copytree(phi, phi.parent / "copy")
    refused(run(work, *(argument.format(runs=phi.parent) for argument in arguments)), work, line)


# ---- Real runs


@pytest.mark.slow
def test_real_sweeps_of_the_demo_are_compared(work: Path) -> None:
    sweep = ("theory=pvq", "value=benevolence,power", "intensity=-2,0,2", "-m", "hydra.sweep.dir=sweep")
    succeeded(run_app(ROOT / "evaluate.py", *sweep, folder=work, env=os.environ))
    if "mean_influence" not in pd.read_csv(work / "sweep" / "0" / "scores.csv"):
        pytest.skip("scores.csv has no column mean_influence yet")
    succeeded(run(work, "sweep", "hydra.run.dir=out"))
    table = table_in(work / "out")
    assert set(table["family"]) == {"intensity", "slope"}
    for _, row in table[table["family"] == "slope"].iterrows():
        jobs = [summary_in(folder) for folder in sorted((work / "sweep").glob("?"))]
        means = {job["intensity"]: job["mean"] for job in jobs if job["value"] == row["value"]}
        assert float(row["estimate"]) == pytest.approx((means[2] - means[-2]) / 4)
