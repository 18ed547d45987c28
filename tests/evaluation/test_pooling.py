"""Jobs of a sweep share what is learned of their judge, whatever happened on the way."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import command
from tests.command import succeeded, summary_in
from valueflow.evaluation.judges import fit_judges
from valueflow.evaluation.pooling import pool_judges
from valueflow.evaluation.rankings import ranked_windows

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {key: entry for key, entry in os.environ.items() if not key.startswith(("WANDB_", "HYDRA_"))}
RATINGS = np.round(np.linspace(-9.5, 9.5, 20), 2)


def rankings_table(truths: np.ndarray, m: int = 3, k: int = 5, seed: int = 0) -> pd.DataFrame:
    """Rankings by a judge of slope 1 that knows the order of twenty anchors."""
    rng = np.random.default_rng(seed)
    rows = []
    for window in range(len(truths) * m):
        anchors = np.sort(rng.choice(len(RATINGS), k - 1, replace=False))
        seen = np.array([truths[window // m], *RATINGS[anchors]]) + rng.gumbel(size=k)
        rows.append(
            {
                "row_idx": window // m,
                "target_text": f"response {window // m}",
                "ranking": json.dumps((np.argsort(-seen) + 1).tolist()),
                **{f"db_text_{j}": f"anchor {anchor}" for j, anchor in enumerate(anchors, start=1)},
                **{f"db_score_{j}": RATINGS[anchor] for j, anchor in enumerate(anchors, start=1)},
            }
        )
    return pd.DataFrame(rows)


def sweep_of(folder: Path, files: list[Path]) -> Path:
    choice = ",".join(str(file) for file in files)
    finished = command.run(
        ROOT / "evaluate.py", "value=power", f"rankings={choice}", "-m", folder=folder, env=ENVIRONMENT
    )
    succeeded(finished)
    (sweep,) = (folder / "multirun").glob("*/*")
    return Path(sweep)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("rankings")
    paths = []
    for number, center in enumerate((-6.0, 0.0, 6.0)):
        truths = np.random.default_rng(number).normal(center, 1.5, 8)
        paths.append(folder / str(number) / "rankings.csv")
        paths[-1].parent.mkdir()
        (paths[-1].parent / "summary.json").write_text('{"judge": {"kind": "a judge of slope 1"}}')
        rankings_table(truths, seed=number).to_csv(paths[-1], index=False)
    return paths


@pytest.fixture(scope="module")
def sweep(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sweep_of(tmp_path_factory.mktemp("sweep"), files)


@pytest.mark.slow
def test_all_jobs_report_the_judge_that_all_their_rankings_show(sweep: Path, files: list[Path]) -> None:
    tables = [pd.read_csv(file) for file in files]
    whole = pd.concat([table.assign(row_idx=table["row_idx"] + 8 * number) for number, table in enumerate(tables)])
    expected = fit_judges(ranked_windows(whole.reset_index(drop=True), "here"))[0].reliability
    for job in range(3):
        found = summary_in(sweep / str(job))
        assert found["pooled_jobs"] == 3
        assert found["reliability"]["source"] == "pooled"
        assert found["reliability"]["discrimination"] == pytest.approx(expected.discrimination)
        assert found["reliability"]["misreading_sd"] == pytest.approx(expected.misreading_sd)


@pytest.mark.slow
def test_table_and_scores_hold_the_pooled_figures(sweep: Path) -> None:
    table = pd.read_csv(sweep / "sweep.csv")
    for job in range(3):
        summary, scores = summary_in(sweep / str(job)), pd.read_csv(sweep / str(job) / "scores.csv")
        assert table["mean"][job] == pytest.approx(summary["mean"])
        assert scores["power_score"].mean() == pytest.approx(summary["mean_of_scores"])
        assert abs(scores["mean_influence"].sum()) < 1e-4
    assert table["mean"].is_monotonic_increasing


def test_pooling_again_changes_nothing(sweep: Path) -> None:
    def read() -> dict[str, bytes]:
        return {str(path.relative_to(sweep)): path.read_bytes() for path in sweep.glob("*/*.[cj]s*")}

    before = read()
    pool_judges({sweep / str(job): summary_in(sweep / str(job)) for job in range(3)})
    assert read() == before


@pytest.mark.slow
def test_the_order_of_jobs_changes_no_figure(sweep: Path, files: list[Path], tmp_path: Path) -> None:
    turned = sweep_of(tmp_path, files[::-1])
    for job in range(3):
        one, two = summary_in(sweep / str(job)), summary_in(turned / str(2 - job))
        for figure in ("mean", "mean_low", "mean_high", "mean_of_scores"):
            assert two[figure] == pytest.approx(one[figure], abs=1e-6)


def test_saved_rankings_of_unknown_judges_are_not_taken_for_those_of_one(files: list[Path], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    table = pd.read_csv(files[0])
    table.to_csv(good, index=False)
    turned = [json.dumps(json.loads(ranking)[::-1]) for ranking in table["ranking"]]
    table.assign(ranking=turned).to_csv(bad, index=False)
    sweep = sweep_of(tmp_path, [good, bad])
    summaries = [summary_in(sweep / str(job)) for job in range(2)]
    assert [summary["scored"] for summary in summaries] == [8, 0]
    assert [summary["reliability"]["source"] for summary in summaries] == ["estimated", "estimated"]


def test_a_lone_job_and_jobs_of_other_values_keep_their_own(sweep: Path, files: list[Path], tmp_path: Path) -> None:
    jobs = {}
    for job, value in ((0, "power"), (1, "security")):
        folder = tmp_path / str(job)
        shutil.copytree(sweep / str(job), folder)
        jobs[folder] = {**summary_in(folder), "value": value}
    assert pool_judges(jobs) == jobs
    succeeded(
        command.run(ROOT / "evaluate.py", "value=power", f"rankings={files[0]}", folder=tmp_path, env=ENVIRONMENT)
    )
    (alone,) = tmp_path.glob("outputs/*/*/summary.json")
    summary = summary_in(alone.parent)
    assert summary["reliability"]["source"] == "estimated"
    assert "pooled_jobs" not in summary
