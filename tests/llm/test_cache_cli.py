"""`valueflow-cache`, run as people run it: a process, its output, its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from valueflow.llm import Completion
from valueflow.llm.cache import CompletionCache

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from valueflow.llm import cache_command; sys.exit(cache_command())"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(folder: Path, *arguments: str, command: str = COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=ROOT,
        env=os.environ | {"VALUEFLOW_CACHE": str(folder)},
        capture_output=True,
        text=True,
    )


def fill(folder: Path) -> Path:
    path = folder / "llm" / "completions.sqlite"
    with CompletionCache(path) as cache:
        cache.put([(f"q{i}", Completion("x" * 1000)) for i in range(1234)], "Qwen/Qwen3-32B")
        cache.put([("p", Completion("x"))], "[bold]microsoft/phi-4")
    return path


@pytest.mark.parametrize("arguments", [(), ("show",)])
def test_show_tells_where_how_large_and_of_which_models(folder: Path, arguments: tuple[str, ...]) -> None:
    path = fill(folder)
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stderr
    head, *table = done.stdout.splitlines()
    assert head.startswith(f"{path} (1.")
    assert head.endswith(" MB)")
    (of_qwen,) = [line for line in table if "Qwen/Qwen3-32B" in line]
    assert "1,234" in of_qwen
    assert "1.3 MB" in of_qwen
    assert any("[bold]microsoft/phi-4" in line for line in table)
    assert "\x1b" not in done.stdout


def test_show_of_nothing_makes_nothing(folder: Path) -> None:
    done = run(folder)
    assert done.returncode == 0
    assert "no completions are cached" in done.stdout
    assert not folder.exists()


@pytest.mark.slow
def test_clear_of_one_model_and_of_all(folder: Path) -> None:
    path = fill(folder)
    done = run(folder, "clear", "--model", "Qwen/Qwen3-32B")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"removed 1,234 completions of Qwen/Qwen3-32B from {path}\n"
    assert "Qwen" not in run(folder).stdout
    assert path.stat().st_size < 100_000
    assert run(folder, "clear").stdout == f"removed 1 completion from {path}\n"
    assert run(folder, "clear").stdout == f"removed 0 completions from {path}\n"


def test_an_unknown_model_is_told_with_the_nearest(folder: Path) -> None:
    fill(folder)
    done = run(folder, "clear", "--model", "qwen/qwen3-31b")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no completions of model 'qwen/qwen3-31b' are cached; did you mean 'Qwen/Qwen3-32B'?")
    assert "1,234" in run(folder).stdout


def test_a_file_that_is_no_cache_is_told_and_cleared(folder: Path) -> None:
    path = folder / "llm" / "completions.sqlite"
    path.parent.mkdir(parents=True)
    path.write_text("some notes\n" * 1000)
    done = run(folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {path} is no cache that can be read")
    assert "valueflow-cache clear" in line
    done = run(folder, "clear")
    assert done.returncode == 0
    assert "deleted" in done.stderr
    assert not path.exists()
    assert run(folder).returncode == 0


def test_names_that_would_move_the_cursor_are_escaped(folder: Path) -> None:
    with CompletionCache(folder / "llm" / "completions.sqlite") as cache:
        cache.put([("a", Completion("x"))], "evil\x1b[2J\r\n\udcff name")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "evil\\x1b[2J\\r\\n\\udcff name" in done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("clear", "--help"), ("show", "--help")])
def test_help_explains(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments)
    assert done.returncode == 0
    assert "valueflow-cache" in done.stdout
    if arguments == ("--help",):
        assert "VALUEFLOW_CACHE" in done.stdout


@pytest.mark.parametrize("arguments", [("remove",), ("clear", "--model"), ("show", "--model", "x")])
def test_wrong_arguments_exit_with_2(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert "valueflow-cache" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_heavy_is_loaded(folder: Path) -> None:
    fill(folder)
    command = (
        "import sys; from valueflow.llm import cache_command; cache_command(); print(*sys.modules, file=sys.stderr)"
    )
    loaded = {name.partition(".")[0] for name in run(folder, command=command).stderr.split()}
    assert "sqlite3" in loaded
    assert not loaded & {
        "torch",
        "transformers",
        "openai",
        "gguf",
        "vllm",
        "pandas",
        "hydra",
        "matplotlib",
        "wandb",
        "psycopg",
    }
