"""Output into a program that stops reading early ends without a traceback, and the run goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.command import ROOT


def into_a_closed_pipe(*command: str, folder: Path) -> tuple[int, str]:
    """Run a command whose output nobody reads; return its exit code and what it says of errors."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    finally:
        os.close(write)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        (str(ROOT / "evaluate.py"), "--help"),
        (str(ROOT / "evaluate.py"), "--version"),
        (str(ROOT / "evaluate.py"), "value=power", "--cfg", "job"),
        ("-m", "valueflow", "--reference"),
    ],
)
def test_help_that_nobody_reads_ends_quietly(command: tuple[str, ...], tmp_path: Path) -> None:
    assert into_a_closed_pipe(*command, folder=tmp_path) == (0, "")


@pytest.mark.slow
def test_a_run_that_nobody_watches_writes_all_the_same(tmp_path: Path) -> None:
    row = {"row_idx": 0, "target_text": "r", "ranking": "[2, 1, 3]", "db_text_1": "a", "db_score_1": 5}
    pd.DataFrame([row | {"db_text_2": "b", "db_score_2": -5}]).to_csv(tmp_path / "rankings.csv", index=False)
    arguments = ("value=power,face", "rankings=rankings.csv", "judge_check=false", "hydra.sweep.dir=out", "-m")
    code, errors = into_a_closed_pipe(str(ROOT / "evaluate.py"), *arguments, folder=tmp_path)
    assert (code, errors) == (0, "")
    assert pd.read_csv(tmp_path / "out" / "sweep.csv")["value"].tolist() == ["power", "face"]
    assert (tmp_path / "out" / "1" / "summary.json").is_file()
