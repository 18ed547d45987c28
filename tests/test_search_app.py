"""Searches of settings by Optuna: each trial is a job, and what it returns is a figure of its summary."""

import re
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from tests.command import ROOT, environment, refused, succeeded, summary_in
from tests.command import run as run_app

PLUGIN = "hydra_plugins.hydra_optuna_sweeper"


def is_installed() -> bool:
    try:
        return find_spec(PLUGIN) is not None
    except ModuleNotFoundError:
        return False


def test_without_the_plugin_the_extra_is_named(tmp_path: Path) -> None:
    if is_installed():
        pytest.skip(f"{PLUGIN} is installed")
    work = tmp_path / "work"
    work.mkdir()
    given = ("value=power", "hparams_search=windows")
    done = run_app(ROOT / "evaluate.py", *given, folder=work, env=environment(tmp_path / "cache"))
    refused(done, work, "pip install 'valueflow[optuna]'")


@pytest.mark.slow
@pytest.mark.skipif(not is_installed(), reason="hydra-optuna-sweeper is not installed")
def test_a_search_follows_what_jobs_return(tmp_path: Path) -> None:
    frame = pd.DataFrame({"query": ["q", "r"], "dataset": "d", "response": ["I lead.", "I follow."]})
    frame.to_csv(tmp_path / "responses.csv", index=False)
    arguments = ("value=power", "responses=responses.csv", "hparams_search=windows", "hydra.sweeper.n_trials=6")
    done = run_app(
        ROOT / "evaluate.py",
        *(*arguments, "progress=false", "hydra.sweep.dir=searched"),
        folder=tmp_path,
        env=environment(tmp_path / "cache"),
        fresh=True,
        timeout=900,
    )
    assert "6 of 6 jobs" in succeeded(done).stdout
    results = (tmp_path / "searched" / "optimization_results.yaml").read_text()
    best = re.search(r"best_value: (\S+)", results)
    assert best is not None
    figures = [summary_in(tmp_path / "searched" / str(job))["reliability"]["kendall_tau"] for job in range(6)]
    assert float(best[1]) == max(figures)
    table = pd.read_csv(tmp_path / "searched" / "sweep.csv")
    chosen = table.iloc[figures.index(max(figures))]
    assert f"m: {int(chosen['windows']) // 2}" in results


@pytest.mark.slow
@pytest.mark.skipif(not is_installed(), reason="hydra-optuna-sweeper is not installed")
def test_a_search_for_a_figure_that_is_none_stops_early_and_keeps_what_was_found(tmp_path: Path) -> None:
    rows = [
        {"row_idx": row, "target_text": text, "ranking": ranking, "db_text_1": "a", "db_score_1": -5}
        | {"db_text_2": "b", "db_score_2": 5}
        for row, (text, ranking) in enumerate([("one", "[2, 1, 3]"), ("two", "[1, 2, 3]")])
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "rankings.csv", index=False)
    arguments = ("value=power", "rankings=rankings.csv", "hparams_search=windows", "hydra.sweeper.n_trials=6")
    done = run_app(
        ROOT / "evaluate.py",
        *(*arguments, "optimized_metric=reliability.kendal_tau", "progress=false", "hydra.sweep.dir=searched"),
        folder=tmp_path,
        env=environment(tmp_path / "cache"),
        fresh=True,
        timeout=900,
    )
    assert done.returncode == 1
    assert "did you mean" in done.stdout + done.stderr
    jobs = [folder for folder in (tmp_path / "searched").iterdir() if (folder / ".hydra").is_dir()]
    assert 1 <= len(jobs) < 6
    assert all((folder / "summary.json").is_file() for folder in jobs)
