"""Completions on a PostgreSQL server as people use them: the command that shows and clears them, and runs."""

import json
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.postgres_server import PostgresServer
from tests.command import ROOT, environment, refused, succeeded, summary_in
from tests.command import run as run_app
from tests.llm.fault_server import Call, FaultServer, Reply, permutation
from tests.llm.postgres.servers import NEEDS_SERVER, run_command, statement
from valueflow.llm import Completion, cache_command, cache_state
from valueflow.llm.cache import PostgresCache

pytestmark = NEEDS_SERVER


def test_the_command_shows_and_clears_without_the_password(server: PostgresServer, url: str) -> None:
    with PostgresCache(url) as cache:
        cache.put([(f"q{i}", Completion("x" * 1000)) for i in range(1234)], "Qwen/Qwen3-32B")
        cache.put([("p", Completion("x"))], "evil\x1b[2J\r\n\udcff name\x00")
    shown = f"postgresql://owner@127.0.0.1:{server.port}/postgres"
    done = run_command(url)
    assert done.returncode == 0, done.stderr
    head, *table = done.stdout.splitlines()
    assert head.startswith(f"{shown} (")
    assert any("Qwen/Qwen3-32B" in line and "1,234" in line and "1.3 MB" in line for line in table)
    assert "evil\\x1b[2J\\r\\n\\udcff name\\x00" in done.stdout
    assert done.stderr == ""
    cleared = run_command(url, "clear", "--model", "Qwen/Qwen3-32B")
    assert cleared.stdout == f"removed 1,234 completions of Qwen/Qwen3-32B from {shown}\n"
    unknown = run_command(url, "clear", "--model", "Qwen")
    assert unknown.returncode == 2
    assert run_command(url, "clear").stdout == f"removed 1 completion from {shown}\n"
    assert run_command(url).stdout.splitlines()[1:] == ["no completions are cached"]


def test_help_names_the_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cache_command(["--help"])
    assert "VALUEFLOW_CACHE_URL=postgresql://USER@HOST/DATABASE" in capsys.readouterr().out


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def evaluate(work: Path, url: str, models: FaultServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    asked = ("judge=llm", "value=benevolence", "llm=openai", "llm.model=fault", f"llm.base_url={models.url}")
    env = environment(work.parent / "cache", VALUEFLOW_CACHE_URL=url)
    return run_app(ROOT / "evaluate.py", *asked, "intensity=2", "m=1", *arguments, folder=work, env=env)


def nothing_tells(server: PostgresServer, work: Path, *runs: subprocess.CompletedProcess[str]) -> None:
    """No file of the runs, and nothing that they printed, has the password."""
    secrets = [server.password, quote(server.password, safe="")]
    written = [path.read_bytes() for path in work.rglob("*") if path.is_file()]
    printed = [(done.stdout + done.stderr).encode() for done in runs]
    assert written
    for content in [*written, *printed]:
        assert not any(secret.encode() in content for secret in secrets)


@pytest.mark.slow
def test_a_second_run_asks_nothing(server: PostgresServer, url: str, work: Path) -> None:
    with FaultServer(permutation) as models:
        first = succeeded(evaluate(work, url, models, "hydra.run.dir=first", "logger=csv"))
        asked = len(models.calls)
        second = succeeded(evaluate(work, url, models, "hydra.run.dir=second", "logger=csv"))
        assert asked == len(models.calls) == 8
        judging = summary_in(work / "second")["judging"]
        assert (judging["calls"], judging["cache_hits"]) == (0, 8)
        assert judging["cache"]["entries"] == 8
        assert judging["cache"]["bytes"] > 0
        assert (work / "first" / "rankings.csv").read_bytes() == (work / "second" / "rankings.csv").read_bytes()
        read = succeeded(evaluate(work, url, models, "hydra.run.dir=third", "cache=read"))
        assert len(models.calls) == 8
        succeeded(evaluate(work, "mysql://nowhere", models, "hydra.run.dir=fourth", "cache=off"))
        assert len(models.calls) == 16
    assert not (work.parent / "cache" / "llm").exists()
    assert statement(url, "SELECT DISTINCT model FROM valueflow_completions") == [("fault",)]
    nothing_tells(server, work, first, second, read)


def test_a_run_whose_server_cannot_be_reached_is_refused(server: PostgresServer, url: str, work: Path) -> None:
    with FaultServer(permutation) as models:
        done = evaluate(work, url.replace(f":{server.port}/", ":1/"), models, "hydra.run.dir=out")
        assert models.calls == []
    refused(done, work, "127.0.0.1:1", "VALUEFLOW_CACHE_URL", "cache=off")
    assert server.password not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_server_that_goes_while_a_model_answers_costs_no_answer(server: PostgresServer, url: str, work: Path) -> None:
    def answer(call: Call) -> Reply:
        if call.number == 3:
            server.stop()
        return permutation(call)

    with FaultServer(answer) as models:
        done = succeeded(evaluate(work, url, models, "hydra.run.dir=out", "llm.concurrency=1"))
        assert len(models.calls) == 8
        summary = summary_in(work / "out")
        assert summary["judging"]["failed"] == 0
        assert "refused" in summary["judging"]["cache"]["fault"]
        assert "not cached for now" in done.stdout + done.stderr
        nothing_tells(server, work, done)
        server.start()
        succeeded(evaluate(work, url, models, "hydra.run.dir=again"))
        # The answers that came before the server went were kept, and those after it were not.
        assert len(models.calls) == 8 + 5


def test_the_state_of_a_server_that_has_gone_is_said(
    url: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEFLOW_CACHE_URL", url)
    assert cache_state("on") == {"mode": "on", "entries": 0, "bytes": 0}
    server.stop()
    state = cache_state("on")
    assert state["mode"] == "on"
    assert server.password not in json.dumps(state)
    assert cache_state("off") == {"mode": "off"}
