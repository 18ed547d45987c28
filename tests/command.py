"""Commands as a person runs them: what they print, what they leave, and how they refuse.

`run` runs a program in this process and puts back all that a process would have kept to itself, so it costs what the
work costs and not what loading the libraries costs; `fresh=True` starts an interpreter, for tests of what happens in a
new one. `start` forks a process with the libraries loaded, for tests that kill it.
"""

import atexit
import io
import json
import logging
import os
import re
import runpy
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

ROOT = Path(__file__).resolve().parents[1]

Finished = subprocess.CompletedProcess[str]

_forks = get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "tests.command",
        "valueflow.evaluation",
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
    """Return the environment of a command with a cache of its own, but for vectors and unpacked models."""
    for name in ("vectors", "models"):
        shared = Path(os.environ["VALUEFLOW_CACHE"], name)
        for folder in (shared, cache):
            folder.mkdir(parents=True, exist_ok=True)
        if not (cache / name).exists():
            (cache / name).symlink_to(shared)
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
    """Run a Python file in a folder to its end; only an interpreter of its own can be stopped after a time."""
    if fresh:
        command = [sys.executable, str(program), *arguments]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout)
    output, errors = io.StringIO(), io.StringIO()
    with (
        _as_in_a_process(),
        redirect_stdout(output),
        redirect_stderr(errors),
        chdir(folder),
        patch.dict(os.environ, env, clear=True),
        patch.object(sys, "argv", [str(program), *arguments]),
        patch.object(sys, "path", [str(program.parent), *sys.path]),
    ):
        code = _exit_code(program)
    return Finished([str(program), *arguments], code, output.getvalue(), errors.getvalue())


def _exit_code(program: Path) -> int:
    """Run a file as the main one and return what an interpreter would exit with."""
    try:
        runpy.run_path(str(program), run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code or 0
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _as_in_a_process() -> Iterator[None]:
    """Give a run logging, warnings, Hydra and engines as a new process has them, and put back what was there."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    from valueflow.llm import release

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    disabled = {name for name, logger in _loggers() if logger.disabled}
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    release()
    try:
        with warnings.catch_warnings():
            warnings.resetwarnings()
            for unseen in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", unseen)
            warnings.showwarning = _print_warning
            yield
    finally:
        release()
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        for handler in root.handlers:
            # Handlers of streams have nothing to close, and some would close what pytest captures.
            if isinstance(handler, logging.FileHandler):
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, logger in _loggers():
            logger.disabled = name in disabled


def _loggers() -> list[tuple[str, logging.Logger]]:
    known = logging.Logger.manager.loggerDict
    return [(name, logger) for name, logger in known.items() if isinstance(logger, logging.Logger)]


def _print_warning(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
    print(warnings.formatwarning(message, category, filename, lineno, line), file=file or sys.stderr)


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


def lists_all(shown: str, command: str, **own_options: str) -> None:
    """Help names each key, and each group with its options: the files here and a user's own (group=option)."""
    primary = yaml.safe_load((ROOT / "configs" / f"{command}.yaml").read_text(encoding="utf-8"))
    groups = {group for entry in primary["defaults"] if isinstance(entry, dict) for group in entry} - {"hydra"}
    listed = {
        group: set(re.split(r",\s+", options))
        for group, options in re.findall(r"^(\w+): ((?:[\w+]+,\s+)*[\w+]+)$", shown, re.MULTILINE)
    }
    for group in groups:
        options = {file.stem for file in (ROOT / "configs" / group).glob("*.yaml")}
        assert listed[group] == options | {own for name, own in own_options.items() if name == group}, group
    assert listed.keys() == groups
    for key in primary.keys() - {"defaults", "hydra"}:
        assert re.search(rf"^{key}\b", shown, re.MULTILINE), key
