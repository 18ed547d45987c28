"""The plan of rooms as the code keeps it: who imports whom, what is loaded when, what is never used."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "valueflow"
SOURCES = sorted(PACKAGE.rglob("*.py"))

ROOMS = (
    "plackett_luce",
    "statistics",
    "run",
    "packages",
    "theory",
    "llm",
    "encoder",
    "vidb",
    "judge",
    "responses",
    "voting",
    "hives",
    "evaluation",
    "opinionqa",
    "profiling",
    "geometry",
    "extraction",
    "steering",
    "categorization",
    "construction",
    "comparison",
    "report",
    "reporting",
    "integrations",
    "apps",
    "version",
    "__main__",
)
"""From the ground up: a room imports only rooms before it."""

MOST_LINES = 400

HEAVY = (
    "torch",
    "transformers",
    "openai",
    "gguf",
    "sentence_transformers",
    "datasets",
    "wandb",
    "vllm",
    "openvino",
    "lightning",
    "plotly",
    "sklearn",
    "tensorboard",
    "wandb_workspaces",
    "inspect_ai",
    "lm_eval",
    "psycopg",
    "ray",
)
_OF_TRAINING = (
    "hives/distillation/fitting.py",
    "hives/distillation/objective.py",
    "hives/distillation/steps.py",
    "hives/losses/batch_labels.py",
    "hives/losses/contrastive.py",
    "hives/losses/hierarchical.py",
    "hives/losses/objectives.py",
    "hives/training/checkpoints.py",
    "hives/training/dataset.py",
    "hives/training/fitting.py",
    "hives/training/loss_curve.py",
    "hives/training/module.py",
    "hives/training/sharding.py",
    "hives/training/trainer.py",
    "hives/training/weight_interpolation.py",
)
_OF_INSPECT = tuple(f"integrations/inspect/{name}.py" for name in ("scoring", "steering", "tasks"))
AT_HOME = {
    "inspect_ai": _OF_INSPECT,
    "matplotlib": ("categorization/picture.py", "construction/picture.py", "hives/picture.py"),
    "torch": _OF_TRAINING,
    "lightning": (*_OF_TRAINING, "reporting/trackio_curves.py"),
    "sentence_transformers": _OF_TRAINING,
    "transformers": _OF_TRAINING,
}
"""Heavy libraries with files of their own, which themselves are imported only where they are used."""


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules_imported(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Every module that an import statement names, wherever it stands; `from a import b` names a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_relative_imports_are_followed() -> None:
    tree = ast.parse("from . import a\nfrom .b import c\nfrom ..d.e import f")
    assert list(modules_imported(tree, "x.y")) == ["x.y", "x.y.a", "x.y.b", "x.y.b.c", "x.d.e", "x.d.e.f"]


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


def imports_on_loading(tree: ast.AST) -> Iterator[str]:
    """Modules imported when a file is: not those inside functions or under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from modules_imported(node)
        else:
            yield from imports_on_loading(node)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def offenders(faults: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    """Return what is wrong with the sources, by file. A test for each file would cost more than what it does."""
    found = {str(path.relative_to(PACKAGE)): list(faults(path)) for path in SOURCES}
    return {path: faults_there for path, faults_there in found.items() if faults_there}


def test_every_room_has_its_place() -> None:
    rooms = {
        entry.name.removesuffix(".py")
        for entry in PACKAGE.iterdir()
        if (entry / "__init__.py").is_file() or entry.suffix == ".py"
    }
    assert rooms == {*ROOMS, "__init__"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    allowed = {*ROOMS[: ROOMS.index(room) + 1]}
    for path in SOURCES:
        if room_of(path) != room:
            continue
        for node in ast.walk(parsed(path)):
            assert not is_package_itself(node), f"{path.relative_to(ROOT)} imports the whole package"
        for module in modules_imported(parsed(path), package_of(path)):
            parts = module.split(".")
            if parts[0] == "valueflow" and len(parts) > 1 and parts[1] in ROOMS:
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {module}"


def is_package_itself(node: ast.AST) -> bool:
    """Whether a statement imports `valueflow` or names from its face, which stands above all rooms."""
    if isinstance(node, ast.Import):
        return any(alias.name == "valueflow" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and node.module == "valueflow" and node.level == 0


def test_the_package_itself_is_seen() -> None:
    tree = ast.parse("import valueflow\nfrom valueflow import x\nimport numpy")
    assert [is_package_itself(node) for node in tree.body] == [True, True, False]


def past_faces(tree: ast.AST, module: str) -> Iterator[str]:
    """Imports, by a module, of what is inside a package that it is not itself a part of."""
    for node in ast.walk(tree):
        named = []
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [node.module, *(name for name in submodules if is_module(name))]
        for name in named:
            parts = name.split(".")
            for depth in range(2, len(parts)):
                package = ".".join(parts[:depth])
                if parts[0] == "valueflow" and is_face(package) and not f"{module}.".startswith(f"{package}."):
                    yield name
                    break


def is_module(name: str) -> bool:
    return (ROOT / Path(*name.split("."))).with_suffix(".py").is_file()


def is_face(name: str) -> bool:
    return (ROOT / Path(*name.split(".")) / "__init__.py").is_file()


def test_imports_past_a_face_are_seen() -> None:
    tree = ast.parse(
        "import valueflow.run.errors\nfrom valueflow.run.errors import InputError\nfrom valueflow.run import errors\n"
        "from valueflow.run import InputError\nimport numpy.linalg"
    )
    seen = ["valueflow.run.errors", "valueflow.run.errors", "valueflow.run.errors"]
    assert list(past_faces(tree, "valueflow.judge.panel")) == seen
    assert list(past_faces(tree, "valueflow.run.task")) == []


def test_names_of_other_packages_come_from_their_faces() -> None:
    def faults(path: Path) -> Iterator[str]:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield from past_faces(parsed(path), module.removesuffix(".__init__"))

    assert offenders(faults) == {}


def test_a_file_is_short_enough_to_have_one_reason_to_change() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: n for path, n in lines.items() if n > MOST_LINES} == {}


APP_ROOMS = ("hives", "extraction", "evaluation", "steering", "categorization", "construction", "comparison", "report")


@pytest.mark.parametrize("room", APP_ROOMS)
def test_every_room_of_a_command_has_the_same_few_files(room: str) -> None:
    files = {path.name for path in (PACKAGE / room).glob("*.py")}
    assert {"settings.py", "pipeline.py", "outcome.py", "display.py"} <= files
    assert "app.py" not in files


@pytest.mark.parametrize("room", ["plackett_luce", "statistics"])
def test_the_mathematics_imports_nothing_of_ours(room: str) -> None:
    for path in (PACKAGE / room).glob("*.py"):
        ours = {module for module in modules_imported(parsed(path), package_of(path)) if module.startswith("valueflow")}
        assert all(module.startswith(f"valueflow.{room}") for module in ours), path


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    def faults(path: Path) -> Iterator[str]:
        loaded = {module.partition(".")[0] for module in imports_on_loading(parsed(path))}
        for library in loaded & {*HEAVY, *AT_HOME}:
            if path not in [PACKAGE / home for home in AT_HOME.get(library, ())]:
                yield library

    assert offenders(faults) == {}


LOADED_BY_APPS = (*HEAVY, "matplotlib", "pandas", "pyarrow", "scipy.stats")


def loaded_after(script: str, folder: Path) -> set[str]:
    """Which of the heavy libraries a fresh process has loaded once it ran a script."""
    script += "\nimport json, sys\nprint()\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1])) & set(LOADED_BY_APPS)


def app_script(*arguments: str, app: str = "evaluate.py") -> str:
    return f"""
import runpy, sys
sys.argv = [{app!r}, *{arguments!r}]
try:
    runpy.run_path({str(ROOT)!r} + "/" + {app!r}, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
"""


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded_after("import valueflow", tmp_path) == set()


@pytest.mark.parametrize(
    "app",
    [
        "evaluate.py",
        "steer.py",
        "compare.py",
        "report.py",
        "extract.py",
        "train.py",
        "categorize.py",
        "build_vidb.py",
    ],
)
def test_help_loads_nothing_heavy(app: str, tmp_path: Path) -> None:
    assert loaded_after(app_script("--help", app=app), tmp_path) == set()


def test_a_run_that_needs_no_encoder_loads_none(tmp_path: Path) -> None:
    (tmp_path / "rankings.csv").write_text(
        "row_idx,target_text,ranking,db_text_1,db_score_1,db_text_2,db_score_2\n"
        '0,one,"[2, 1, 3]",a,-5,b,5\n1,two,"[1, 2, 3]",a,-5,b,5\n'
    )
    loaded = loaded_after(app_script("value=power", "rankings=rankings.csv"), tmp_path)
    assert loaded <= {"pandas", "pyarrow"}


def code_from_data(tree: ast.AST) -> Iterator[str]:
    """Imports and calls by which data could run code."""
    modules = {module.partition(".")[0] for module in modules_imported(tree)}
    yield from modules & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in ("allow_pickle", "trust_remote_code"):
                    value = keyword.value
                    if not isinstance(value, ast.Constant) or value.value is not False:
                        yield ast.unparse(node)
            name = ast.unparse(node.func)
            if name in ("eval", "exec", "pd.read_pickle", "yaml.load", "yaml.unsafe_load"):
                yield name


def test_what_runs_code_from_data_is_seen() -> None:
    tree = ast.parse(
        "import pickle\nload(allow_pickle=x)\nload(trust_remote_code=True)\neval(a)\nload(allow_pickle=False)"
    )
    assert list(code_from_data(tree)) == ["pickle", "load(allow_pickle=x)", "load(trust_remote_code=True)", "eval"]


def test_nothing_that_runs_code_from_data() -> None:
    assert offenders(lambda path: code_from_data(parsed(path))) == {}


def test_root_apps_hold_no_logic() -> None:
    for path in ROOT.glob("*.py"):
        kinds = [type(node) for node in parsed(path).body]
        assert set(kinds) <= {ast.Expr, ast.ImportFrom, ast.If}, path.name
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 10, path.name
