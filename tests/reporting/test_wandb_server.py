"""Weights & Biases online, against a server on this machine: openwandb, which speaks the SDK's protocol.

It is no part of the project's environment: its license is non-commercial, and its dependencies are others. In an
environment of its own, `pip install openwandb`; VALUEFLOW_OPENWANDB=PATH/bin/openwandb runs these tests.

It takes every run for a finished one, whatever its exit code, and confirms no artifact that a run takes: the first is
tested offline, the second is a warning.
"""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.command import ROOT, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import Call, FaultServer, Reply, completion, permutation
from tests.reporting.test_wandb_logger import alone

SERVER = os.environ.get("VALUEFLOW_OPENWANDB", "")
KEY = "local" + "0" * 40
"""Of the account that the server begins with; it is no secret."""
SECONDS = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(SERVER).is_file(), reason="there is no openwandb here (VALUEFLOW_OPENWANDB=PATH)"),
]


class Server:
    """What a server holds."""

    def __init__(self, url: str) -> None:
        self.url = url

    def bytes_at(self, path: str) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", headers={"X-WANDB-API-KEY": KEY})
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            content: bytes = answer.read()
        return content

    def read(self, path: str) -> Any:
        return json.loads(self.bytes_at(path))

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return all runs by id."""
        found = self.read("/api/v2/projects/default/valueflow/runs")
        return {run["run_id"]: run for run in found["runs"]}

    def file(self, run: str, beginning: str) -> bytes:
        """Return the one file of a run whose name begins so."""
        names = [entry["name"] for entry in self.read(f"/api/v1/runs/{run}/files")["files"]]
        (name,) = [name for name in names if name.startswith(beginning)]
        return self.bytes_at(f"/files/default/valueflow/{run}/{name}")

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.read(f"/api/v2/runs/{run}/artifacts")["artifacts"]
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [SERVER, "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder / "data")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "--base-url", url], stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(SECONDS * 5):
            try:
                urllib.request.urlopen(f"{url}/login", timeout=SECONDS).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
        yield Server(url)
    finally:
        process.terminate()
        process.wait(SECONDS)


def speak(call: Call) -> Reply:
    return completion(f"I would sleep on it, said number {call.digest[:8]}.")


@pytest.fixture(scope="module")
def studied(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that steers, and one that scores what was said, with a page and a job that fails."""
    work = tmp_path_factory.mktemp("study") / "work"
    work.mkdir()
    env = alone(work.parent, WANDB_BASE_URL=server.url, WANDB_API_KEY=KEY, MY_KEY="none")
    model = ("logger=wandb", "llm=openai", "llm.model=fault", "llm.api_key_env=MY_KEY", "progress=false", "-m")

    def online(app: str, model_server: FaultServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
        given = (*model, f"llm.base_url={model_server.url}", *arguments)
        return run_app(ROOT / app, *given, folder=work, env=env, fresh=True, timeout=900)

    with FaultServer(speak) as speaking:
        steered = ("value=power", "intensity=-2,2", "limit=4", "hydra.sweep.dir=steered")
        succeeded(online("steer.py", speaking, *steered))
    with FaultServer(permutation) as judging:
        judge = ("judge=llm", "m=1", "judge_check=false", "report=true")
        scored = ("value=power,powr", "intensity=-2,2", "responses=steered", "hydra.sweep.dir=scored")
        done = online("evaluate.py", judging, *judge, *scored)
    assert done.returncode == 2, done.stdout + done.stderr
    return work


def run_of(folder: Path) -> str:
    """Return the id of a job's or a sweep's run."""
    name = "summary.json" if (folder / "summary.json").is_file() else "sweep.json"
    return str(json.loads((folder / name).read_text())["loggers"]["wandb"]["run"])


def test_runs_arrive_with_their_figures(server: Server, studied: Path) -> None:
    runs = server.runs()
    # Two jobs and their sweep; two jobs, two that fail, and their sweep.
    assert len(runs) == 3 + 5
    for sweep in ("steered", "scored"):
        for job in ("0", "1"):
            summary, run = summary_in(studied / sweep / job), runs[run_of(studied / sweep / job)]
            figures = run["summary"]
            # Means at the end of a sweep are of pooled judges, which runs do not know.
            same = ("task", "model", "windows", "mean_words")
            assert {key: figures.get(key) for key in same} == {key: summary.get(key) for key in same}
    faults = [run["summary"].get("error", "") for run in runs.values()]
    assert sum("'powr' is not in theory" in fault for fault in faults) == 2


def test_tables_of_a_run_arrive(server: Server, studied: Path) -> None:
    run = run_of(studied / "scored" / "1")
    scores = pd.read_csv(studied / "scored" / "1" / "scores.csv")
    table = json.loads(server.file(run, "media/table/tables/scores"))
    assert [row[table["columns"].index("response")] for row in table["data"]] == scores["response"].tolist()
    windows = json.loads(server.file(run, "media/table/tables/windows"))
    assert len(windows["data"]) == len(pd.read_csv(studied / "scored" / "1" / "rankings.csv"))


def test_artifacts_arrive(server: Server, studied: Path) -> None:
    def made(folder: Path) -> set[str]:
        return {entry["name"] for entry in server.artifacts(run_of(folder)) if entry["artifact_type"] != "run_table"}

    scored, steered = run_of(studied / "scored" / "0"), run_of(studied / "steered" / "0")
    assert made(studied / "steered" / "0") == {f"responses-{steered}"}
    assert made(studied / "scored" / "0") >= {f"scores-{scored}", f"rankings-{scored}"}
    assert made(studied / "scored") == {f"scores-{run_of(studied / 'scored')}"}


def test_the_run_of_a_sweep_arrives_with_joint_table_chart_picture_and_page(server: Server, studied: Path) -> None:
    folder = studied / "scored"
    run = run_of(folder)
    figures = server.runs()[run]["summary"]
    assert (figures["jobs"], figures["finished"], figures["failed"]) == (4, 2, 2)
    jobs, joint = json.loads(server.file(run, "media/table/tables/jobs")), pd.read_csv(folder / "sweep.csv")
    means = [row[jobs["columns"].index("mean")] for row in jobs["data"]]
    assert means == pytest.approx(joint["mean"].tolist())
    doses = json.loads(server.file(run, "media/table/dose_response_table"))
    assert sorted(row[doses["columns"].index("intensity")] for row in doses["data"]) == [-2, 2]
    assert server.file(run, "media/images/pictures/dose_response") == (folder / "dose_response.png").read_bytes()
    assert server.file(run, "media/html/report") == (folder / "report.html").read_bytes()
