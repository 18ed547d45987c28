"""`python steer.py` with vLLM in process: constrained options, one batch a pass."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm"),
]

ROOT = Path(__file__).parents[2]


def test_a_survey_is_answered_with_options_and_nothing_else(tmp_path: Path) -> None:
    engine = ("llm=vllm", "llm.model=smollm2", "llm.dtype=float32", "llm.enforce_eager=true", "llm.max_model_len=2048")
    asked = ("preset=phi4", "opinionqa.threshold=0.15", "cache=off", f"hydra.run.dir={tmp_path / 'out'}")
    done = subprocess.run(
        [sys.executable, str(ROOT / "steer.py"), *asked, *engine],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["asking"]["calls"] == 24 + summary["profile_used"] > 24
    assert all(one == {"unparsable": 0, "failed": 0, "failures": {}} for one in summary["passes"].values())
    # The letters' log-probabilities come with the answers.
    assert all(one["logprobs"] == summary["n"] for one in summary["distributions"].values())
    details = pd.read_csv(tmp_path / "out" / "details.csv", keep_default_na=False)
    for row in details.itertuples():
        letters = "ABCDE"[: len(json.loads(row.options))]
        for answer in (row.default_answer, row.profile_answer):
            assert len(answer) == 1
            assert answer in letters
