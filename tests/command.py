"""Apps as a person runs them: processes of their own, what they leave, and how they refuse.

Most of what a short run takes is loading libraries. So one process loads them, and each run is a fork of it: a process
of its own in all else. Where it matters that an interpreter starts from nothing, tests ask for a `fresh` one.
"""

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import chdir
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

Finished = subprocess.CompletedProcess[str]

_forks = get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "tests.command",
        "valueflow.evaluation",
        "valueflow.reporting.sweep",
        "valueflow.steering",
        "hydra.main",
        "matplotlib.pyplot",
        "openai",
        "pandas",
        "pyarrow.parquet",
        "sentence_transformers",
        "transformers.models.bert.modeling_bert",
        "transformers.models.llama.modeling_llama",
    ]
)


def environment(cache: Path, **more: str) -> dict[str, str]:
    kept = {key: entry for key, entry in os.environ.items() if not key.startswith(("WANDB_", "HYDRA_", "OPENAI_"))}
    return {**kept, "VALUEFLOW_CACHE": str(cache), **more}


def run(
    program: Path,
    *arguments: str,
    folder: Path,
    env: Mapping[str, str],
    fresh: bool = False,
    timeout: float = 300,
) -> Finished:
    """Run a Python file in a folder to its end."""
    if fresh:
        command = [sys.executable, str(program), *arguments]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout)
    with tempfile.TemporaryDirectory() as told:
        files = Path(told, "stdout"), Path(told, "stderr")
        process = start(program, *arguments, folder=folder, env=env, output=files[0], errors=files[1])
        process.join(timeout)
        output, errors = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{program.name} {' '.join(arguments)}\n{output}{errors}")
        return Finished([str(program), *arguments], process.exitcode, output, errors)


def start(
    program: Path, *arguments: str, folder: Path, env: Mapping[str, str], output: Path, errors: Path
) -> BaseProcess:
    """Run a Python file in a folder; what it prints goes into two files."""
    process = _forks.Process(target=_run_as_main, args=(program, arguments, folder, dict(env), output, errors))
    # The process that is forked looks for `tests` and `valueflow` where it is started, not where a test may be.
    with chdir(ROOT):
        process.start()
    return process


def _run_as_main(
    program: Path, arguments: tuple[str, ...], folder: Path, env: dict[str, str], output: Path, errors: Path
) -> None:
    for stream, file in ((1, output), (2, errors)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, stream)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [str(program), *arguments]
    sys.path.insert(0, str(program.parent))
    try:
        runpy.run_path(str(program), run_name="__main__")
    finally:
        # What an interpreter does at its end, and multiprocessing does not, or later.
        threading._shutdown()
        atexit._run_exitfuncs()


def succeeded(done: Finished) -> Finished:
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def refused(done: Finished, work: Path, *parts: str) -> None:
    """One line, exit code 2, nothing left behind."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("error: "), done.stderr
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert part in lines[0]
    assert list(work.iterdir()) == []


def summary_in(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return content
