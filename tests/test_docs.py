"""Every command and every example in the documentation runs as it stands there."""

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from safetensors.numpy import save_file

from tests.command import run as run_app
from tests.command import succeeded
from tests.comparison.simulated import write_sweep
from tests.hives.tiny import training_rows
from tests.llm.fault_server import Call, FaultServer, Reply, completion, first_token, permutation
from valueflow import evaluate_responses

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (document.name, block)
        for document in DOCUMENTS
        for block in re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    ]


LINES = [(name, line) for name, block in blocks("bash") for line in block.splitlines() if line.strip()]
COMMANDS = [(name, line) for name, line in LINES if not any(other.startswith(f"{line} && ") for _, other in LINES)]
"""But for those that another line begins with, where they run as well."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files that the examples speak of; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    texts = ["I kept my word although it cost me.", "Rules are for others.", "I will be there at nine."]
    frame = pd.DataFrame({"query": "What now?", "dataset": "mine", "response": texts})
    frame.to_csv("responses.csv", index=False)
    frame.rename(columns={"response": "answer"}).to_csv("answers.csv", index=False)
    ratings = [-9.0, -7, -5, -3, -1, 0, 2, 4, 6, 8, 9]
    pd.DataFrame(
        {
            "theory": "duty",
            "value": "fidelity",
            "text": [f"kept {rating} of ten promises" for rating in ratings],
            "final_rating": ratings,
        }
    ).to_csv("anchors.csv", index=False)
    rows = [
        {"row_idx": 0, "target_text": "I lead.", "ranking": "[2, 1, 3]", "db_text_1": "a", "db_score_1": 5}
        | {"db_text_2": "b", "db_score_2": -5}
    ]
    pd.DataFrame(rows).to_csv("rankings.csv", index=False)
    training_rows().to_csv("table.csv", index=False)
    write_sweep(Path("runs/phi4"), model="phi-4")
    write_sweep(Path("runs/qwen3"), model="qwen3", slope=0.5)
    scored = pd.read_csv("runs/phi4/0/scores.csv")
    scored[["query", "response"]].assign(value="benevolence", rating=scored["benevolence_score"]).to_csv("ratings.csv")
    pd.DataFrame({"text": texts}).to_csv("texts.csv", index=False)
    said = [
        ("I gave my neighbor half of my harvest because her roof had burned.", "north"),
        ("I always help my friends and family when they need me.", "north"),
        ("Everybody in the world deserves the same respect, wherever they were born.", "north"),
        ("Being rich and powerful is all that matters to me.", "south"),
        ("I want to be in charge and tell others what to do.", "south"),
        ("Tradition is for fools and I break the rules whenever I can.", "south"),
        ("I climbed a mountain at night because I love the thrill.", "south"),
    ]
    pd.DataFrame(said, columns=["text", "group"]).to_csv("said.csv", index=False)
    write_published_files(frame)
    write_log(texts)
    values = ("benevolence", "universalism", "power", "achievement", "security", "tradition")
    vectors = np.random.default_rng(0).normal(size=(len(values), 8))
    save_file(dict(zip(values, vectors, strict=True)), "vectors.safetensors")
    return tmp_path


def write_log(texts: list[str]) -> None:
    """Write a log of Inspect, of a task of ours that steered to benevolence."""
    carried = {"theory": "pvq", "value": "benevolence", "intensity": "2", "steering": "anchor"}
    Path("logs").mkdir()
    with zipfile.ZipFile("logs/LOG.eval", "w") as log:
        log.writestr("header.json", json.dumps({"status": "success", "eval": {"task": "pvq", "model": "m1"}}))
        for number, text in enumerate(texts, start=1):
            output = {"choices": [{"message": {"role": "assistant", "content": text}}]}
            sample = {"input": "What now?", "output": output, "metadata": {"valueflow": carried}}
            log.writestr(f"samples/{number}_epoch_1.json", json.dumps(sample))


def write_published_files(responses: pd.DataFrame) -> None:
    """Write files laid out as those of the published code."""
    content: dict[str, object] = {
        "published/duty.json": {"hierarchy": {"duties": ["justice"]}, "definitions": {"justice": "To each his own."}},
        "published/definitions.json": {"definitions": {"power": "You are a person that likes to lead."}},
        "published/all_few_shot.json": {
            "justice": {"1": [{"text": f"I share {rating} of ten.", "intensity": rating} for rating in range(-9, 10)]}
        },
        "values.json": [{"value": "leading others"}],
    }
    for folder in ("published", "queries", "query_responses"):
        Path(folder).mkdir()
    for name, written in content.items():
        Path(name).write_text(json.dumps(written), encoding="utf-8")
    for name in ("gpv", "valuebench"):
        pd.DataFrame({"query": ["What now?"]}).to_csv(f"queries/{name}.csv", index=False)
    responses.to_csv("query_responses/phi-4_mine_single_definition_power_2.csv", index=False)


SMALLER = {
    "python evaluate.py experiment=duty": ("value=fidelity", "intensity=-2,2"),
    "python steer.py value=benevolence intensity=-2,0,2 llm=smollm2": ("max_tokens=24",),
    "python steer.py preset=phi4 llm=smollm2": ("limit=4",),
    "python categorize.py theory=mft input=texts.csv panel=embedded": ("panel.votes=2",),
}
"""Commands that take long as they stand, and what is added to them where they are run.

Keys that a command sets itself are left as it sets them.
"""

SLOW = ("smollm2", "panel=embedded", "trainer=cpu", "survey=demo", "experiment=duty")
"""What answers or learns on this machine, and what scores many texts, takes its time."""


def needs_more_than_this_machine(arguments: list[str]) -> bool:
    """Large models and paid servers: such a command is composed, as far as a machine without them goes."""
    words = " ".join(arguments)
    if arguments[0] == "train.py":
        return "trainer=cpu" not in words and "task=convert" not in words
    if arguments[0] == "categorize.py":
        return "panel=embedded" not in words and "localhost" not in words
    asks_a_model = arguments[0] == "steer.py" or any(f"judge={kind}" in words for kind in ("llm", "logprob", "panel"))
    return asks_a_model and "smollm2" not in words and "localhost" not in words


def documented() -> list[Any]:
    """Return a parameter set for each different command: of each app the first single run of README, the rest are slow.

    What this machine is too small for is only composed, which takes a moment.
    """
    cases = []
    shown: set[str] = set()
    first_documents = {command: document for document, command in reversed(COMMANDS)}
    for command, document in reversed(first_documents.items()):
        is_run = command.startswith("python ") and not needs_more_than_this_machine(shlex.split(command)[1:])
        app = command.split()[1] if is_run else ""
        is_slow = any(word in command for word in SLOW) or (
            is_run and (document != "README.md" or command.endswith(" -m") or app in shown)
        )
        if is_run and not is_slow:
            shown.add(app)
        marks = [pytest.mark.slow] if is_slow else []
        cases.append(pytest.param(document, command, id=command, marks=marks))
    return cases


def added_to(command: str) -> list[str]:
    more = next((added for start, added in SMALLER.items() if command.startswith(start)), ())
    return [added for added in more if f" {added.partition('=')[0]}=" not in command]


@pytest.mark.parametrize(("document", "command"), documented())
def test_commands_run(document: str, command: str, folder: Path) -> None:
    for part in command.split(" && "):
        run_part(document, part, folder)


def run_part(document: str, command: str, folder: Path) -> None:
    program, *arguments = shlex.split(command)
    if program == "make":
        # They run the tests or what is a command of its own here: it must do that they exist.
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        recipe = re.search(rf"^{arguments[0]}:.*\n\t(.*)$", makefile, re.MULTILINE)
        assert recipe is not None, document
        if arguments[0] == "demo":
            assert ("README.md", recipe[1].replace("$(BIN)/", "")) in COMMANDS
        return
    if program == "valueflow-cache" or arguments[:1] == ["-m"]:
        # A cache of its own, so that what the examples clear is no one else's.
        executable = [sys.executable] if program == "python" else [str(Path(sys.executable).with_name(program))]
        done = subprocess.run(
            [*executable, *arguments],
            env=os.environ | {"VALUEFLOW_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        # There is nothing of that model to clear.
        assert done.returncode == (2 if "--model" in arguments else 0), done.stdout + done.stderr
        return
    assert program == "python", f"{document}: nothing here knows how to run {command}"
    results = {
        "evaluate.py": ("scores.csv",),
        "steer.py": ("responses.csv", "accuracy.csv"),
        "train.py": ("model/README.md", "metrics.csv", "training.csv"),
        "extract.py": ("embedding_pvq.npz", "utilities.parquet", "profiles.csv", "geometry.csv"),
        "categorize.py": ("votes.csv",),
        "build_vidb.py": ("plan.csv",),
        "compare.py": ("comparison.csv",),
        "report.py": ("report.html",),
    }[arguments[0]]
    app = ROOT / arguments[0]
    if needs_more_than_this_machine(arguments):
        for job in first_and_last_job(arguments[1:]):
            composed = succeeded(run_app(app, *job, "--cfg", "job", "--resolve", folder=folder, env=os.environ))
            ours = r"_target_: valueflow\.(judge|steering|voting)\.|^backbone:$"
            assert re.search(ours, composed.stdout, re.MULTILINE)
        return
    with FaultServer(ranking_or_stance) as server:
        here = [
            argument.replace("http://localhost:8000/v1", server.url)
            for argument in [*arguments[1:], *added_to(command)]
        ]
        # What a server at that port has answered to others is not asked again; anchors are embedded once for all.
        own = {"VALUEFLOW_CACHE": str(folder / "cache")} if server.url in " ".join(here) else {}
        succeeded(run_app(app, *here, folder=folder, env=os.environ | own))
    assert [file for result in results for file in folder.glob(f"*/*/*/**/{result}")]


def ranking_or_stance(call: Call) -> Reply:
    """Answer a judge, whichever kind it is."""
    if call.body["max_tokens"] > 1:
        return permutation(call)
    return completion("support", logprobs=first_token({"support": -0.3, "oppose": -1.7, "neutral": -2.6}, "support"))


def first_and_last_job(arguments: list[str]) -> list[list[str]]:
    """Return how two jobs of a sweep would be started singly: Hydra shows the settings of single runs only."""
    overrides = OverridesParser.create().parse_overrides([argument for argument in arguments if argument != "-m"])
    choices = [
        [f"{override.key_or_group}={choice}" for choice in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [override.input_line]
        for override in overrides
    ]
    jobs = [[choice[place] for choice in choices] for place in (0, -1)]
    return jobs if jobs[0] != jobs[1] else jobs[:1]


@pytest.mark.slow
def test_the_commands_of_the_study_are_composed(folder: Path) -> None:
    done = subprocess.run(["make", "-n", "study"], cwd=ROOT, capture_output=True, text=True, check=True)
    commands = [shlex.split(line)[1:] for line in done.stdout.splitlines() if re.search(r"python \w+\.py", line)]
    assert [command[0] for command in commands] == ["steer.py"] * 2 + ["evaluate.py"] * 5 + ["compare.py"] * 2
    for app, *arguments in commands[:-2]:
        kept = [argument for argument in arguments if not argument.startswith("hydra.")]
        for job in first_and_last_job(kept):
            succeeded(run_app(ROOT / app, *job, "--cfg", "job", "--resolve", folder=folder, env=os.environ))


EXAMPLES = [(name, block) for name, block in blocks("python") if name != "CONTRIBUTING.md"]
"""For users; what CONTRIBUTING adds to the package is run by `test_new_command.py`."""


@pytest.mark.parametrize(("document", "code"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_python_examples_run(document: str, code: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(code.strip().splitlines()) <= 10, document
    exec(compile(code, document, "exec"), {})
    shown = {"profiles.md": "CREGION_Harbour side", "geometry.md": "farthest"}
    if document in shown:
        assert shown[document] in capsys.readouterr().out
        return
    assert "benevolence_score" in capsys.readouterr().out
    assert (folder / "results" / "scores.csv").is_file()


def test_links_to_files_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_python_and_command_line_have_the_same_defaults(folder: Path) -> None:
    rankings = str(folder / "rankings.csv")
    # A single ranking does not show that its judge orders the anchors.
    arguments = ("value=power", f"rankings={rankings}", "judge_check=false", "hydra.run.dir=out")
    succeeded(run_app(ROOT / "evaluate.py", *arguments, folder=folder, env=os.environ))
    from_command_line = pd.read_csv("out/scores.csv")
    from_python = evaluate_responses(value="power", rankings=rankings, judge_check=False)
    assert from_python.scores["power_score"].notna().all()
    assert from_python.scores["power_score"].tolist() == from_command_line["power_score"].tolist()
    assert from_python.summary["settings"] == json.loads(Path("out/summary.json").read_text())["settings"]
