"""The command that CONTRIBUTING.md adds, added to a copy of the package and used as a person would."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
_SECTION = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a command")[2].partition("\n## ")[0]
YAML, ROOM, LINE = re.findall(r"```(?:yaml|python)\n(.*?)```", _SECTION, re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("valueflow", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "assets"))
    (folder / "configs" / "words.yaml").write_text(YAML)
    (folder / "valueflow" / "words").mkdir()
    (folder / "valueflow" / "words" / "__init__.py").write_text(ROOM)
    with (folder / "valueflow" / "apps.py").open("a") as apps:
        apps.write(LINE)
    return folder


def words(checkout: Path, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "valueflow", "words", *arguments],
        cwd=work,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_is_a_short_room_and_a_line() -> None:
    assert len(LINE.splitlines()) == 1
    assert len(ROOM.splitlines()) < 60


@pytest.mark.slow
def test_it_runs_sweeps_explains_itself_and_refuses_in_one_line(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\none two three\nfour\n")
    done = words(checkout, tmp_path, "input=texts.csv", "longest=2", "hydra.run.dir=out")
    assert (done.returncode, done.stdout) == (0, "words  4 words, 1 long texts\n"), done.stderr
    assert pd.read_csv(tmp_path / "out" / "words.csv")["words"].tolist() == [3, 1]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["words"], summary["long"]) == (4, 1)
    assert {"versions", "timings", "fingerprint"} <= set(summary)

    swept = words(checkout, tmp_path, "input=texts.csv", "longest=1,2,0", "-m", "hydra.sweep.dir=sweep")
    assert swept.returncode == 2
    assert "2 of 3 jobs longest=1 4 words, 1 long texts" in swept.stdout
    assert "failed: job 2 (input=texts.csv longest=0): longest=0: input should be greater" in swept.stdout
    assert pd.read_csv(tmp_path / "sweep" / "sweep.csv")["long"].tolist() == [1, 1]

    shown = words(checkout, tmp_path, "--help").stdout
    assert "longest   texts with more words are counted as long [100]" in shown
    assert "Count the words of texts." in shown

    refused = words(checkout, tmp_path, "input=text.csv")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: input: text.csv does not exist; did you mean 'texts.csv'?")
    assert refused.stderr.count("\n") == 1
