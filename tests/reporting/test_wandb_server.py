"""Weights & Biases online, against a server on this machine: openwandb, which speaks the SDK's protocol.

It is no part of the project's environment: its license is non-commercial, and its dependencies are others. In an
environment of its own, `pip install openwandb`; VALUEFLOW_OPENWANDB=PATH/bin/openwandb runs these tests.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

    def read(self, path: str) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return all runs by id."""
        found = self.read("/api/v2/projects/default/valueflow/runs")
        return {run["run_id"]: run for run in (found["runs"] if isinstance(found, dict) else found)}


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


def test_runs_arrive_with_their_figures_and_how_they_ended(server: Server, studied: Path) -> None:
    runs = server.runs()
    for sweep in ("steered", "scored"):
        for job in ("0", "1"):
            summary = summary_in(studied / sweep / job)
            run = runs[summary["loggers"]["wandb"]["run"]]
            assert run["state"] == "finished"
            if sweep == "scored":
                figures = json.loads(run["summary_json"])
                assert figures["mean"] == pytest.approx(summary["mean"])
    assert len(runs) == 2 + 1 + 4 + 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
