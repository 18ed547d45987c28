"""`python evaluate.py` as a person runs it, in a folder of its own."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import command
from tests.command import Finished, lists_all, succeeded, summary_in
from valueflow import evaluate_responses
from valueflow.encoder import load_encoder
from valueflow.judge import EmbeddingJudge
from valueflow.vidb import FixedSampling

ROOT = Path(__file__).parents[1]
PARITY = ROOT.parent / "shared" / "data" / "parity"


def run(
    folder: Path, *arguments: str, program: Path = ROOT / "evaluate.py", fresh: bool = False, **environment: str
) -> Finished:
    inherited = {key: entry for key, entry in os.environ.items() if not key.startswith(("WANDB_", "HYDRA_"))}
    return command.run(program, *arguments, folder=folder, env=inherited | environment, fresh=fresh)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder a command runs in; the files it reads lie beside it, so that what it leaves is told apart."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def rankings_of(n: int = 8, m: int = 3, k: int = 4, seed: int = 0) -> pd.DataFrame:
    """Rankings by a judge that mostly knows the order of the anchors; response i is better the higher i."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for window in range(n * m):
        row = window // m
        anchors = np.sort(rng.uniform(-9, 9, k - 1).round(2))
        heard = np.array([-8 + 16 * row / (n - 1), *anchors]) + rng.normal(0, 2, k)
        rows.append(
            {
                "row_idx": row,
                "target_text": f"response {row}",
                "ranking": json.dumps((np.argsort(-heard) + 1).tolist()),
                **{f"db_text_{j}": f"anchor {j}" for j in range(1, k)},
                **{f"db_score_{j}": anchors[j - 1] for j in range(1, k)},
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture
def rankings(tmp_path: Path) -> Path:
    path = tmp_path / "rankings.csv"
    rankings_of().to_csv(path, index=False)
    return path


def only_run(work: Path) -> Path:
    (folder,) = (work / "outputs").glob("*/*")
    return folder


def only_sweep(work: Path) -> Path:
    (folder,) = (work / "multirun").glob("*/*")
    return folder


def scores_in(folder: Path) -> pd.DataFrame:
    figures = ("power_score", "power_se", "power_low", "power_high")
    return pd.read_csv(folder / "scores.csv", keep_default_na=False, na_values={figure: [""] for figure in figures})


def refused(done: Finished, work: Path, *parts: str) -> None:
    """One line, exit code 2, nothing left behind, and nothing else on the screen."""
    command.refused(done, work, *parts)
    assert done.stdout == ""


# ---- What it says of itself


def test_help_names_every_key_and_group_and_option(tmp_path: Path, work: Path) -> None:
    for option in ("theory/mine.yaml", "groups_of_another_app/other.yaml"):
        (tmp_path / option).parent.mkdir()
        (tmp_path / option).write_text("x: 1\n")
    shown = succeeded(run(work, "--help", "--config-dir", str(tmp_path), fresh=True)).stdout
    lists_all(shown, "evaluate", theory="mine")
    for default in ("[6]", "[3]", "[50]", "[0.1]", "[42]", "[map]"):
        assert default in shown
    assert list(work.iterdir()) == []


# ---- What it writes


def test_a_run_writes_scores_and_a_summary(work: Path, rankings: Path) -> None:
    done = succeeded(run(work, "value=power", f"rankings={rankings}", fresh=True))
    assert done.stderr == ""
    folder = only_run(work)
    assert {path.name for path in folder.iterdir()} == {".hydra", "evaluate.log", "scores.csv", "summary.json"}
    scores = scores_in(folder)
    assert list(scores.columns) == [
        "query",
        "dataset",
        "response",
        "power_score",
        "power_se",
        "power_low",
        "power_high",
        "windows",
        "windows_failed",
        "outfit",
        "misfit",
        "mean_influence",
    ]
    assert scores["response"].tolist() == [f"response {row}" for row in range(8)]
    assert scores["power_score"].between(-10, 10).all()
    assert (scores["power_low"] <= scores["power_score"]).all()
    assert (scores["power_score"] <= scores["power_high"]).all()
    assert (scores["power_se"] > 0).all()
    assert scores["windows"].tolist() == [3] * 8
    assert scores["windows_failed"].tolist() == [0] * 8
    assert scores["power_score"].corr(pd.Series(range(8)), method="spearman") > 0.6


def test_the_summary_says_what_was_run_and_what_came_out(work: Path, rankings: Path) -> None:
    shown = succeeded(run(work, "value=Power", "seed=7", f"rankings={rankings}")).stdout
    folder = only_run(work)
    summary, scores = summary_in(folder), scores_in(folder)["power_score"]
    assert (summary["theory"], summary["value"], summary["label"]) == ("pvq", "power", "power")
    assert (summary["n"], summary["scored"], summary["not_converged"]) == (8, 8, 0)
    assert (summary["windows"], summary["windows_failed"], summary["share_failed"]) == (24, 0, 0.0)
    assert summary["seed"] is None  # what a saved file was drawn with is not known
    assert summary["settings"]["k"] == 4
    assert summary["intensity"] is None
    assert summary["rankings"] == str(rankings)
    assert summary["mean_of_scores"] == pytest.approx(scores.mean())
    assert summary["sd"] == pytest.approx(scores.std())
    # The parts of the error: responses by their influences, and what summary and anchors' line say of the others.
    influence = scores_in(folder)["mean_influence"].astype(float)
    errors, line = summary["mean_errors"], summary["anchors"]
    assert summary["clusters"] == 8
    assert errors["responses"] >= np.sqrt(8 / 7 * (influence**2).sum()) * (1 - 1e-9)
    assert errors["beta"] == pytest.approx(abs(summary["beta_shift"]))
    away = (summary["mean"] - line["mean"]) ** 2 / line["sum_of_squares"]
    assert errors["anchors"] == pytest.approx(line["misreading_sd"] * np.sqrt(1 / line["n"] + away))
    assert summary["mean_se"] == pytest.approx(np.sqrt(sum(error**2 for error in errors.values())))
    # Student's t at 7 degrees of freedom, from a printed table.
    half = 2.364624 * summary["mean_se"]
    assert summary["mean_low"] == pytest.approx(max(summary["mean"] - half, -10), abs=1e-5)
    assert summary["mean_high"] == pytest.approx(min(summary["mean"] + half, 10), abs=1e-5)
    assert 0.3 < summary["reliability"]["kendall_tau"] <= 1
    assert summary["reliability"]["discrimination"] > 0
    assert summary["settings"]["k"] == 4
    assert {"python", "numpy", "valueflow"} <= summary["versions"].keys()
    assert summary["timings"]["total"] > 0
    for part in ("pvq/power", f"{summary['mean']:+.2f}", f"{summary['mean_low']:+.2f}", "judge tau", "beta", "seconds"):
        assert part in shown


def test_a_failed_window_is_counted_and_leaves_the_others(work: Path, tmp_path: Path) -> None:
    table = rankings_of().assign(failure="")
    table.loc[[0, 3, 4, 5], "ranking"] = ""
    table.loc[[0, 3, 4, 5], "failure"] = ["no answer", "no answer", "cut off", "no answer"]
    table.to_csv(tmp_path / "partly.csv", index=False)
    shown = succeeded(run(work, "value=power", f"rankings={tmp_path / 'partly.csv'}")).stdout
    summary, scores = summary_in(only_run(work)), scores_in(only_run(work))
    assert summary["windows_failed"] == 4
    assert summary["failures"] == {"no answer": 3, "cut off": 1}
    assert scores["windows_failed"].tolist() == [1, 3, 0, 0, 0, 0, 0, 0]
    assert "16.7%" in shown
    # Nothing is known of a response whose every window failed, which is not the solver's fault.
    assert scores.loc[1, ["power_score", "power_low", "power_high"]].isna().all()
    assert (summary["n"], summary["scored"], summary["not_converged"]) == (8, 7, 0)


def test_duplicate_responses_are_kept_and_scored_alike(work: Path, tmp_path: Path) -> None:
    table = rankings_of(n=3)
    twice = pd.concat([table, table[table["row_idx"] == 1].assign(row_idx=3)])
    twice.to_csv(tmp_path / "twice.csv", index=False)
    succeeded(run(work, "value=power", f"rankings={tmp_path / 'twice.csv'}"))
    scores = scores_in(only_run(work))
    assert scores["response"].tolist() == ["response 0", "response 1", "response 2", "response 1"]
    assert scores["power_score"][1] == scores["power_score"][3]


def test_a_solver_that_runs_out_of_iterations_leaves_no_silent_number(work: Path, rankings: Path) -> None:
    shown = succeeded(run(work, "value=power", f"rankings={rankings}", "solver=ascent", "iter=1", "lr=0.001")).stdout
    summary, scores = summary_in(only_run(work)), scores_in(only_run(work))
    assert summary["not_converged"] == 8
    assert summary["scored"] == 0
    assert summary["mean"] is None
    assert scores[["power_score", "power_low", "power_high"]].isna().all(axis=None)
    assert "8 responses have no score: the solver did not converge; raise iter" in shown


@pytest.mark.slow
def test_both_solvers_agree(work: Path, rankings: Path) -> None:
    point = ("value=power", f"rankings={rankings}", "point=mode")
    succeeded(run(work, *point, "solver=newton", "hydra.run.dir=newton"))
    succeeded(run(work, *point, "solver=ascent", "iter=20000", "hydra.run.dir=ascent"))
    one, two = (scores_in(work / name)["power_score"] for name in ("newton", "ascent"))
    converged = two.notna()  # where every window says "above all", plain ascent takes forever
    assert converged.sum() >= 6
    np.testing.assert_allclose(one[converged], two[converged], atol=1e-3)


def test_the_python_api_gives_what_the_command_gives(work: Path, rankings: Path) -> None:
    succeeded(run(work, "value=power", f"rankings={rankings}"))
    result = evaluate_responses(theory="pvq", value="power", rankings=str(rankings))
    written = scores_in(only_run(work))
    assert list(result.scores.columns) == list(written.columns)
    np.testing.assert_allclose(result.scores["power_score"], written["power_score"], atol=1e-12)
    assert result.summary["mean"] == pytest.approx(summary_in(only_run(work))["mean"])
    with pytest.raises(ValueError, match="unknown setting 'intensty'; did you mean 'intensity'"):
        evaluate_responses(value="power", rankings=str(rankings), intensty=2)


# ---- What issue 2 asks of saved rankings

needs_parity = pytest.mark.skipif(not PARITY.is_dir(), reason="the shared rankings with expected scores are not here")


def parity(work: Path, estimator: str) -> pd.DataFrame:
    files = (f"rankings={PARITY / 'rankings.csv'}", f"responses={PARITY / 'responses.csv'}")
    succeeded(run(work, *files, "theory=pvq", "value=benevolence", f"estimator={estimator}", "hydra.run.dir=out"))
    scores = pd.read_csv(work / "out" / "scores.csv")
    shutil.rmtree(work / "out")
    return scores


@needs_parity
def test_the_published_rule_gives_the_published_scores(work: Path) -> None:
    scores, expected = parity(work, "window_guarded"), pd.read_csv(PARITY / "expected_scores.csv")
    assert scores[["query", "dataset", "response"]].equals(expected[["query", "dataset", "response"]])
    np.testing.assert_allclose(scores["benevolence_score"], expected["benevolence_score"], rtol=0, atol=1e-6)


@needs_parity
def test_the_default_estimator_is_no_farther_from_the_truth(work: Path) -> None:
    truth = pd.read_csv(PARITY / "true_utilities.csv").set_index("response")["truth"]

    def rmse(estimator: str) -> float:
        scores = parity(work, estimator)
        return float(np.sqrt(((scores["benevolence_score"] - truth[scores["response"]].to_numpy()) ** 2).mean()))

    assert rmse("map") <= rmse("window_guarded")


# ---- Bad input: settings


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["'value' is not set"]),
        (["theory=pvqq", "value=power"], ["theory 'pvqq' is unknown; did you mean 'pvq'?"]),
        (["value=powr"], ["value 'powr' is not in theory 'pvq'; did you mean 'power'?"]),
        (["theory=any", "value=powr"], ["value 'powr' is in no theory; did you mean 'power'?"]),
        (["value=power", "sampling=buckt"], ["sampling 'buckt' is unknown; did you mean 'bucket'?"]),
        (["value=power", "judge=embeding"], ["judge 'embeding' is unknown; did you mean 'embedding'?"]),
        (["value=power", "logger=wanb"], ["logger 'wanb' is unknown; did you mean 'wandb'?"]),
        (["experiment=pvqs", "-m"], ["experiment 'pvqs' is unknown; did you mean 'pvq'?"]),
        (["value=power", "intensty=2"], ["unknown setting 'intensty'; did you mean 'intensity'?"]),
        (["value=power", "+intensty=2"], ["unknown setting 'intensty'; did you mean 'intensity'?"]),
        (["value=power", "judge.batch=3"], ["unknown setting 'judge.batch'; did you mean 'batch_size'?"]),
        (["value=power", "k=1"], ["k=1:", "greater than or equal to 2"]),
        (["value=power", "k=six"], ["k=six:", "integer"]),
        (["value=power", "m=0"], ["m=0:", "greater than or equal to 1"]),
        (["value=power", "iter=0"], ["iter=0:"]),
        (["value=power", "lr=0"], ["lr=0:"]),
        (["value=power", "seed=-1"], ["seed=-1:"]),
        (["value=power", "estimator=mapp"], ["estimator=mapp:", "'map', 'regression' or 'window_guarded'"]),
        (["value=power", "intensity=3"], ["intensity=3:", "less than or equal to 2"]),
        (["value=power", "intensity=-3"], ["intensity=-3:", "greater than or equal to -2"]),
        (["value=power", "intensity=0.5"], ["intensity=0.5:"]),
        (["value=power", "intensity=-2,0,2"], ["intensity=-2,0,2", "add -m"]),
        (["value=power", "k=26"], ["24 anchors", "25"]),
        (["value=power", "sampling=fixed"], ["texts"]),
        (["value=power", "sampling=fixed", "sampling.texts=[a,b,c,d,e]"], ["'a'"]),
        (["value=power", "model=gpt"], ["no response has model 'gpt'"]),
        (["power"], ["cannot read 'power' as an override: settings are written key=value"]),
        (["value=power", "rankings=a=b/r.csv"], ["quotes around them for the shell: \"rankings='a=b/r.csv'\""]),
        (["value=power", "rankings=my study (1)/r.csv"], ["\"rankings='my study (1)/r.csv'\""]),
        (["value=power", "responses=~/r.csv"], ["no shell expands ~ there; write responses=$HOME/r.csv"]),
        (["--value=power", "rankings=x.csv"], ["settings have no dashes: value=power"]),
        (["value=power", "--multrun"], ["--multrun is no flag", "did you mean '--multirun'"]),
        (["value=power", "theory.values.power=1"], ["theory.values is a list", "theory.values=[...]"]),
        (["value=power", "theory.values.power="], ["theory.values is a list"]),
        (["value=power", "theory.values.power=1,2", "-m"], ["theory.values is a list"]),
        (["value=power", "on_bad_row=ignore"], ["on_bad_row=ignore:", "'fail', 'skip' or 'clamp'"]),
        (["value=power", "response_columns.response=null"], ["column 'response' is needed"]),
        (["value=power", "response_columns.answer=response"], ["answer", "Known: query, dataset, response"]),
        (["value=power", "judge.encoder=./no/such/model"], ["encoder './no/such/model'", "no such folder"]),
        (["value=power", "judge.batch_size=0"], ["batch_size"]),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_settings_that_cannot_be_used(work: Path, arguments: list[str], parts: list[str]) -> None:
    refused(run(work, *arguments), work, *parts)


# ---- Bad input: files

GOOD_RESPONSES = "query,dataset,response\nq,d,one\nq,d,two\n"
ANCHORS = "theory,value,text,final_rating\n" + "".join(f"pvq,power,anchor {i},{i - 4}\n" for i in range(9))


@pytest.mark.parametrize(
    ("key", "name", "content", "parts"),
    [
        ("responses", "none.csv", None, ["responses:", "does not exist"]),
        ("responses", "x" * 300 + ".csv", None, ["responses:"]),
        ("responses", "empty.csv", b"", ["is empty"]),
        ("responses", "header.csv", b"query,dataset,response\n", ["no rows"]),
        ("responses", "column.csv", b"query,dataset,respons\nq,d,r\n", ["'response' is missing", "'respons'"]),
        ("responses", "blank.csv", b"query,dataset,response\nq,d,one\nq,d,\n", ["row 2", "text is missing"]),
        ("responses", "latin.csv", b"query,dataset,response\nq,d,cr\xe8me\n", ["not UTF-8"]),
        ("responses", "folder", "folder", ["holds no file named responses.csv"]),
        ("vidb", "none.csv", None, ["vidb:", "does not exist"]),
        ("vidb", "empty.csv", b"", ["is empty"]),
        ("vidb", "folder", "folder", ["holds no file named"]),
        ("vidb", "column.csv", ANCHORS.replace("final_rating", "rating").encode(), ["'final_rating' is", "'rating'"]),
        ("vidb", "nan.csv", ANCHORS.replace(",-4\n", ",nan\n").encode(), ["row 1", "'nan' is not a number"]),
        ("vidb", "blank.csv", ANCHORS.replace("anchor 2", " ").encode(), ["row 3", "text is missing"]),
        ("vidb", "range.csv", ANCHORS.replace(",4\n", ",10.5\n").encode(), ["row 9", "'10.5' is not a number in"]),
        ("vidb", "few.csv", "\n".join(ANCHORS.splitlines()[:4]).encode(), ["3 anchors", "k=6"]),
        ("vidb", "other.csv", ANCHORS.replace("power", "face").encode(), ["no anchors of 'power'"]),
        ("vidb", "latin.csv", ANCHORS.replace("anchor 3", "crème").encode("latin-1"), ["not UTF-8"]),
        ("rankings", "none.csv", None, ["rankings:", "does not exist"]),
        ("rankings", "empty.csv", b"", ["is empty"]),
        ("rankings", "folder", "folder", ["is a folder"]),
        ("rankings", "column.csv", rankings_of().drop(columns="ranking"), ["'ranking' is missing"]),
        ("rankings", "twice.csv", rankings_of().assign(ranking="[1, 2, 2, 4]"), ["no permutation"]),
        ("rankings", "score.csv", rankings_of().assign(db_score_2=11), ["row 1", "'db_score_2'", "'11'"]),
        ("rankings", "score_nan.csv", rankings_of().assign(db_score_2=np.nan), ["row 1", "'db_score_2'"]),
        ("rankings", "target.csv", rankings_of().assign(target_text="same").assign(row_idx=5), ["row_idx 0"]),
    ],
    ids=lambda part: part[:20] if isinstance(part, str) else None,
)
def test_files_that_cannot_be_used(
    tmp_path: Path, work: Path, key: str, name: str, content: bytes | str | pd.DataFrame | None, parts: list[str]
) -> None:
    path = tmp_path / "data" / name
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, pd.DataFrame):
        content.to_csv(path, index=False)
    elif content == "folder":
        path.mkdir()
    if key != "responses":
        (tmp_path / "good.csv").write_text(GOOD_RESPONSES)
    more = [f"responses={tmp_path / 'good.csv'}"] if key == "vidb" else []
    refused(run(work, "value=power", f"{key}={path}", *more), work, *parts)


def test_columns_are_mapped_as_the_help_says(tmp_path: Path, work: Path, rankings: Path) -> None:
    renamed = pd.DataFrame({"prompt": "q", "dataset": "d", "answer": [f"response {row}" for row in range(8)]})
    renamed.to_csv(tmp_path / "renamed.csv", index=False)
    files = (f"rankings={rankings}", f"responses={tmp_path / 'renamed.csv'}")
    succeeded(run(work, "value=power", *files, "response_columns.response=answer", "response_columns.query=prompt"))
    assert scores_in(only_run(work))["query"].tolist() == ["q"] * 8


def test_columns_of_anchors_are_mapped_too(tmp_path: Path, work: Path) -> None:
    (tmp_path / "anchors.csv").write_text(ANCHORS.replace("final_rating", "strength").replace(",4\n", ",40\n"))
    vidb = (f"vidb={tmp_path / 'anchors.csv'}", "vidb_columns.final_rating=strength")
    refused(run(work, "value=power", *vidb), work, "row 9", "'40' is not a number")


def test_rankings_of_other_responses_are_refused(tmp_path: Path, work: Path, rankings: Path) -> None:
    (tmp_path / "good.csv").write_text(GOOD_RESPONSES)
    responses = f"responses={tmp_path / 'good.csv'}"
    refused(run(work, "value=power", f"rankings={rankings}", responses), work, "row", "these rankings were made from")


def test_files_that_were_there_before_stay(tmp_path: Path, work: Path) -> None:
    (work / "outputs" / "2020-01-01" / "10-00-00").mkdir(parents=True)
    done = run(work, "value=powr")
    assert done.returncode == 2
    assert [path.name for path in (work / "outputs").rglob("*")] == ["2020-01-01", "10-00-00"]


@pytest.mark.slow
def test_hydra_full_error_shows_the_trace_to_those_who_ask_for_it(work: Path) -> None:
    done = run(work, "value=powr", fresh=True, HYDRA_FULL_ERROR="1")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


# ---- Sweeps


def test_a_sweep_ends_with_one_table(work: Path, rankings: Path) -> None:
    shown = succeeded(
        run(work, "value=power,face", "estimator=map,window_guarded", f"rankings={rankings}", "-m")
    ).stdout
    sweep = only_sweep(work)
    table = pd.read_csv(sweep / "sweep.csv")
    assert table["folder"].tolist() == [0, 1, 2, 3]
    assert table["value"].tolist() == ["power", "power", "face", "face"]
    for _, row in table.iterrows():
        summary = summary_in(sweep / str(row["folder"]))
        assert row["mean"] == pytest.approx(summary["mean"])
        assert row["reliability.kendall_tau"] == pytest.approx(summary["reliability"]["kendall_tau"])
    assert "4 of 4 jobs" in shown
    assert shown.count("pvq/power") == 2
    assert "failed:" not in shown


@pytest.mark.slow
def test_one_intensity_is_no_dose_response(work: Path, tmp_path: Path) -> None:
    rankings_of(n=3).to_csv(tmp_path / "rankings.csv", index=False)
    pd.DataFrame(
        {"query": "q", "dataset": "d", "response": [f"response {row}" for row in range(3)], "intensity": "-2"}
    ).to_csv(tmp_path / "responses.csv", index=False)
    files = (f"rankings={tmp_path / 'rankings.csv'}", f"responses={tmp_path / 'responses.csv'}")
    assert run(work, "value=power", "intensity=-2,2", *files, "-m").returncode == 2
    assert not (only_sweep(work) / "dose_response.png").exists()


@pytest.mark.slow
def test_a_sweep_of_steered_responses_is_scored_and_drawn_by_method_and_intensity(
    work: Path, tmp_path: Path, rankings: Path
) -> None:
    """The folder of a steering sweep; its methods are told apart in table and picture."""
    texts = [f"response {row}" for row in range(8)]
    steered = tmp_path / "steered"
    for job, (method, intensity) in enumerate([("prompt", "-2|0"), ("prompt", "2|0"), ("none", "")]):
        (steered / str(job)).mkdir(parents=True)
        pd.DataFrame({"query": "q", "dataset": "d", "response": texts, "theory": "pvq" if intensity else ""}).assign(
            value="power|face" if intensity else "", intensity=intensity, steering=method, model="m"
        ).to_csv(steered / str(job) / "responses.csv", index=False)
    command = ("value=power", "steered_by=prompt,none", "intensity=-2,2", f"rankings={rankings}", "-m")
    shown = succeeded(run(work, f"responses={steered}", *command)).stdout
    sweep = only_sweep(work)
    table = pd.read_csv(sweep / "sweep.csv", keep_default_na=False)
    assert table["steered_by"].tolist() == ["prompt", "prompt", "none", "none"]
    assert table["responses"].tolist() == [str(steered)] * 4
    assert table[["read", "n"]].to_numpy().tolist() == [[24, 8]] * 4
    assert [summary_in(sweep / str(job))["labels_only"] for job in (0, 2)] == [[], ["intensity"]]
    assert [summary_in(sweep / str(job))["steered_to"] for job in range(4)] == [[-2, 0], [0, 2], [], []]
    assert (sweep / "dose_response.png").read_bytes().startswith(b"\x89PNG")
    assert "dose_response.png" in shown
    for method in ("prompt", "none"):
        rows = [line for line in shown.splitlines() if line.startswith("│")]
        assert sum(f"steered_by={method}" in row for row in rows) == 2
        assert f"power steered_by={method}" in (sweep / "dose_response.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_job_that_fails_leaves_the_others_running_and_is_named(work: Path, rankings: Path) -> None:
    done = run(work, "value=power,powr,face", f"rankings={rankings}", "-m", fresh=True)
    sweep = only_sweep(work)
    assert done.returncode == 2
    assert pd.read_csv(sweep / "sweep.csv")["value"].tolist() == ["power", "face"]
    fault = json.loads((sweep / "1" / "error.json").read_text(encoding="utf-8"))
    assert fault["input"] is True
    assert "value 'powr' is not in theory 'pvq'" in fault["error"]
    assert not (sweep / "1" / "summary.json").exists()
    failed = [line for line in done.stdout.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert "job 1" in failed[0]
    assert "value=powr" in failed[0]
    assert "did you mean 'power'" in failed[0]
    assert "2 of 3 jobs" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_fault_of_the_program_in_a_job_exits_with_1(work: Path, rankings: Path) -> None:
    """A logger that breaks stands for any fault that is not the input's."""
    broken = "logger.csv._target_=types.SimpleNamespace"
    done = run(work, "value=power,face", f"rankings={rankings}", "logger=csv", broken, "-m", fresh=True)
    assert done.returncode == 1
    for job in ("0", "1"):
        fault = json.loads((only_sweep(work) / job / "error.json").read_text(encoding="utf-8"))
        assert fault["input"] is False
        assert "AttributeError" in fault["error"]


def test_a_sweep_that_cannot_be_composed_leaves_nothing(work: Path) -> None:
    refused(run(work, "value=power,face", "kk=2", "-m", fresh=True), work, "unknown setting 'kk'; did you mean 'k'?")


@pytest.mark.slow
def test_csv_logger_records_every_job_of_a_sweep(work: Path, rankings: Path) -> None:
    succeeded(run(work, "value=power,face,humility", f"rankings={rankings}", "logger=csv", "-m"))
    runs = pd.read_csv(only_sweep(work) / "runs.csv")
    assert runs["value"].tolist() == ["power", "face", "humility"]
    assert runs["group"].unique().tolist() == ["_".join(only_sweep(work).parts[-2:])]
    for value, name in zip(runs["value"], runs["name"], strict=True):
        assert f"value={value}" in name


# ---- Resuming


def stamps(sweep: Path) -> dict[str, int]:
    return {str(path.relative_to(sweep)): path.stat().st_mtime_ns for path in sweep.rglob("scores.csv")}


def changed(before: dict[str, int], after: dict[str, int]) -> list[str]:
    return sorted(name.split("/")[0] for name in after if before.get(name) != after[name])


@pytest.fixture
def sweep_again(work: Path, rankings: Path) -> Callable[..., Finished]:
    """A finished sweep of three jobs; calling what this gives starts it again with resume=true."""
    command = ("value=power,face,humility", f"rankings={rankings}", "-m")
    succeeded(run(work, *command))
    return lambda *more: run(work, "resume=true", *more, *command)


@pytest.mark.slow
def test_finished_jobs_are_not_run_again(work: Path, sweep_again: Callable[..., Finished]) -> None:
    before = stamps(only_sweep(work))
    shown = succeeded(sweep_again()).stdout
    assert stamps(only_sweep(work)) == before
    assert "3 of 3 jobs" in shown
    assert pd.read_csv(only_sweep(work) / "sweep.csv")["value"].tolist() == ["power", "face", "humility"]


@pytest.mark.slow
def test_jobs_that_are_gone_killed_or_failed_are_run(work: Path, sweep_again: Callable[..., Finished]) -> None:
    sweep = only_sweep(work)
    before = stamps(sweep)
    shutil.rmtree(sweep / "0")
    (sweep / "2" / "summary.json").unlink()  # written last: a killed job has none
    (sweep / "2" / "error.json").write_text('{"error": "old", "input": true}')
    shown = succeeded(sweep_again()).stdout
    assert changed(before, stamps(sweep)) == ["0", "2"]
    assert not (sweep / "2" / "error.json").exists()
    assert "3 of 3 jobs" in shown


@pytest.mark.slow
def test_a_summary_that_was_cut_short_does_not_stop_the_sweep(work: Path, sweep_again: Callable[..., Finished]) -> None:
    sweep = only_sweep(work)
    before = stamps(sweep)
    (sweep / "1" / "summary.json").write_text('{"theory": "pv')
    succeeded(sweep_again())
    assert changed(before, stamps(sweep)) == ["1"]


@pytest.mark.slow
def test_a_changed_file_runs_every_job_again(work: Path, rankings: Path, sweep_again: Callable[..., Finished]) -> None:
    before = stamps(only_sweep(work))
    rankings_of(seed=1).to_csv(rankings, index=False)
    succeeded(sweep_again())
    assert changed(before, stamps(only_sweep(work))) == ["0", "1", "2"]


@pytest.mark.slow
def test_a_changed_setting_runs_every_job_again(work: Path, sweep_again: Callable[..., Finished]) -> None:
    sweep = only_sweep(work)
    before = stamps(sweep)
    succeeded(sweep_again("estimator=window_guarded", f"hydra.sweep.dir={sweep}"))
    assert changed(before, stamps(sweep)) == ["0", "1", "2"]
    # Without the folder named, another setting is another sweep.
    succeeded(sweep_again("estimator=window_guarded", "m=5"))
    assert len(list((work / "multirun").glob("*/*"))) == 2


@pytest.mark.slow
def test_the_order_of_the_overrides_and_the_logger_make_no_other_sweep(
    work: Path, rankings: Path, sweep_again: Callable[..., Finished]
) -> None:
    before = stamps(only_sweep(work))
    succeeded(run(work, "-m", "resume=true", "logger=csv", f"rankings={rankings}", "value=power,face,humility"))
    assert stamps(only_sweep(work)) == before


@pytest.mark.slow
def test_without_resume_every_job_is_run(work: Path, rankings: Path) -> None:
    command = ("value=power,face", f"rankings={rankings}", "hydra.sweep.dir=same", "-m")
    succeeded(run(work, *command))
    before = stamps(work / "same")
    succeeded(run(work, *command))
    assert changed(before, stamps(work / "same")) == ["0", "1"]


@pytest.mark.slow
def test_overrides_may_follow_flags(work: Path, rankings: Path) -> None:
    """As one who repeats a command with `resume=true` at its end types them."""
    succeeded(run(work, "value=power,face", f"rankings={rankings}", "-m", "seed=1"))
    before = stamps(only_sweep(work))
    succeeded(run(work, "value=power,face", f"rankings={rankings}", "-m", "seed=1", "resume=true"))
    assert stamps(only_sweep(work)) == before


# ---- With the embedding judge


@pytest.fixture(scope="session")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo anchors of one value: a head is fitted on them in a moment."""
    demo = pd.read_csv(ROOT / "valueflow" / "assets" / "anchors.csv", keep_default_na=False)
    path = tmp_path_factory.mktemp("anchors") / "benevolence.csv"
    demo[demo["value"] == "benevolence"].to_csv(path, index=False)
    return path


def judged(folder: Path, **settings: Any) -> pd.DataFrame:
    """The app's function in this process, where encoder and head are kept from test to test; what it wrote."""
    evaluate_responses(value="benevolence", output_dir=folder, progress=False, **settings)
    return pd.read_csv(folder / "scores.csv", keep_default_na=False)


@pytest.mark.slow
def test_the_demo_sweep_rises_with_the_steering(work: Path) -> None:
    done = succeeded(run(work, "theory=pvq", "value=benevolence", "intensity=-2,0,2", "-m", fresh=True))
    sweep = only_sweep(work)
    table = pd.read_csv(sweep / "sweep.csv").set_index("intensity")
    assert table["mean"][-2] < table["mean"][0] < table["mean"][2]
    assert (table["n"] >= 6).all()
    assert (sweep / "dose_response.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (sweep / "dose_response.svg").read_text(encoding="utf-8")
    assert (done.stdout + done.stderr).count("loaded encoder") == 1
    assert "Loading weights" not in done.stderr
    rankings = pd.read_csv(sweep / "0" / "rankings.csv", keep_default_na=False)
    expected = ["row_idx", "target_text", "ranking"]
    expected += [f"db_{kind}_{j}" for j in range(1, 6) for kind in ("text", "score")]
    assert list(rankings.columns) == [*expected, "prompt_order", "failure"]
    assert len(rankings) == 3 * table["n"][-2]
    for column in ("ranking", "prompt_order"):
        assert all(sorted(json.loads(cell)) == [1, 2, 3, 4, 5, 6] for cell in rankings[column])
    assert len({json.loads(cell).index(1) for cell in rankings["prompt_order"]}) > 1


@pytest.mark.slow
def test_saved_rankings_score_the_same_again(work: Path, anchors: Path) -> None:
    first = judged(work / "first", intensity=2, vidb=str(anchors))
    saved = "rankings=first/rankings.csv"
    succeeded(run(work, "value=benevolence", saved, "hydra.run.dir=again"))
    demo = f"responses={ROOT / 'valueflow' / 'assets' / 'responses.csv'}"
    succeeded(run(work, "value=benevolence", saved, demo, "intensity=2", "hydra.run.dir=filtered"))
    again, filtered = (pd.read_csv(work / name / "scores.csv", keep_default_na=False) for name in ("again", "filtered"))
    figures = [f"benevolence_{name}" for name in ("score", "se", "low", "high")]
    np.testing.assert_allclose(again[figures], first[figures], atol=1e-9)
    np.testing.assert_allclose(filtered[figures], first[figures], atol=1e-9)
    assert filtered[["query", "dataset", "response"]].equals(first[["query", "dataset", "response"]])
    assert not (work / "again" / "rankings.csv").exists()


@pytest.mark.slow
def test_batch_size_and_order_of_rows_change_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anchors: Path
) -> None:
    demo = pd.read_csv(ROOT / "valueflow" / "assets" / "responses.csv", keep_default_na=False)
    demo = demo[demo["value"] == "benevolence"].iloc[::4]
    assert len(demo) > 6
    one = judged(tmp_path / "one", vidb=str(anchors), responses=demo)
    another_seed = judged(tmp_path / "seed", vidb=str(anchors), responses=demo, seed=1)
    assert (another_seed["benevolence_score"] != one["benevolence_score"]).any()
    # Nothing embedded before may be at hand, in memory or on disk.
    monkeypatch.setenv("VALUEFLOW_CACHE", str(tmp_path / "empty"))
    load_encoder.cache_clear()
    shuffled = demo.sample(frac=1, random_state=3)
    judge = EmbeddingJudge(batch_size=3)
    other = judged(tmp_path / "other", vidb=str(anchors), responses=shuffled, judge=judge)
    load_encoder.cache_clear()
    assert other["response"].tolist() == shuffled["response"].tolist()
    both = one.merge(other, on=["query", "dataset", "response"], suffixes=("", "_other"), validate="one_to_one")
    assert len(both) == len(demo)
    for name in ("score", "se", "low", "high"):
        np.testing.assert_allclose(both[f"benevolence_{name}"], both[f"benevolence_{name}_other"], atol=1e-9)


@pytest.mark.slow
def test_hostile_responses_each_have_a_score_and_can_be_read_back(tmp_path: Path, anchors: Path) -> None:
    hostile = [
        "{braces} {0} {{x}} ${value}",
        "[1, 2, 3]",
        "two\nlines\r\nthree",
        "bare\rreturn",
        "bell \x07 escape \x1b[31m separator \u2028",
        'quotes " and """ and, commas',
        "kind words " * 10_000,
        "same",
        "same",
        "NA",
        "=1+1",
        "😀" * 50,
    ]
    file = tmp_path / "hostile.parquet"
    pd.DataFrame({"query": "q\n{", "dataset": "d", "response": hostile}).to_parquet(file)
    scores = judged(tmp_path / "out", vidb=str(anchors), responses=str(file))
    assert scores["response"].tolist() == hostile
    assert scores["query"].tolist() == ["q\n{"] * len(hostile)
    assert scores["benevolence_score"].between(-10, 10).all()
    assert scores["benevolence_score"][7] == scores["benevolence_score"][8]
    rankings = pd.read_csv(tmp_path / "out" / "rankings.csv", keep_default_na=False)
    assert rankings["target_text"].tolist() == [text for text in hostile for _ in range(3)]
    again = judged(tmp_path / "again", rankings=str(tmp_path / "out" / "rankings.csv"))
    np.testing.assert_allclose(again["benevolence_score"], scores["benevolence_score"], atol=1e-9)


@pytest.mark.slow
def test_the_response_always_leads_where_that_is_asked_for(tmp_path: Path, anchors: Path) -> None:
    judged(tmp_path, vidb=str(anchors), response_position="first", k=3, m=2)
    rankings = pd.read_csv(tmp_path / "rankings.csv", keep_default_na=False)
    assert {json.loads(cell)[0] for cell in rankings["prompt_order"]} == {1}
    assert "db_text_2" in rankings
    assert "db_text_3" not in rankings


@pytest.mark.slow
def test_fixed_sampling_shows_the_same_anchors_in_every_window(tmp_path: Path, anchors: Path) -> None:
    texts = pd.read_csv(anchors, keep_default_na=False)["text"].iloc[[0, 11, 23]].tolist()
    judged(tmp_path, vidb=str(anchors), sampling=FixedSampling(texts), k=4)
    rankings = pd.read_csv(tmp_path / "rankings.csv", keep_default_na=False)
    columns = rankings[["db_text_1", "db_text_2", "db_text_3"]].to_numpy().tolist()
    assert {frozenset(row) for row in columns} == {frozenset(texts)}


# ---- The wheel


@pytest.mark.slow
def test_the_wheel_carries_configs_and_assets_and_runs_on_its_own(tmp_path: Path, work: Path, rankings: Path) -> None:
    try:
        import hatchling  # noqa: F401

        build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    except ImportError:
        build = ["-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path / "dist"), str(ROOT)]
    built = subprocess.run([sys.executable, *build], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("valueflow-*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    for source, place in ((ROOT / "configs", "valueflow/configs"), (ROOT / "valueflow" / "assets", "valueflow/assets")):
        files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
        assert files
        assert files == {
            str(path.relative_to(unpacked / place)) for path in (unpacked / place).rglob("*") if path.is_file()
        }
    assert not (unpacked / "tests").exists()
    environment = {"PYTHONPATH": str(unpacked)}
    (work / "where.py").write_text("from valueflow.run.config import CONFIG_DIR\nprint(CONFIG_DIR)\n")
    found = succeeded(run(work, program=work / "where.py", fresh=True, **environment)).stdout.strip()
    assert Path(found) == unpacked / "valueflow" / "configs"
    (work / "app.py").write_text("from valueflow.apps import evaluate\nevaluate()\n")
    installed: dict[str, Any] = {"program": work / "app.py", "fresh": True, **environment}
    assert "theory" in succeeded(run(work, "--help", **installed)).stdout
    succeeded(run(work, "value=power", f"rankings={rankings}", **installed))
    assert len(scores_in(only_run(work))) == 8
