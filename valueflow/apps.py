"""The commands: what each is for, and the room whose `TASK` it runs."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from valueflow.run import patient_output, run_command

COMMANDS: dict[str, tuple[str, Callable[[], None]]] = {}
"""What each command is for and the function that runs it, by name."""


def _page_about(folder: Path) -> Path:
    """Write a page about the runs in a folder into it (`report=true`)."""
    page: Path = import_module("valueflow.report").report_on(folder)
    return page


def command(name: str, room: str, purpose: str, positional: str | None = None) -> Callable[[], None]:
    """Register a command; return the function that runs it from the command line.

    `positional` is a key whose paths may be given as plain arguments.
    """

    def run() -> None:
        run_command(name, lambda: import_module(room).TASK, positional, _page_about)

    COMMANDS[name] = purpose, run
    return run


evaluate = command("evaluate", "valueflow.evaluation", "score responses on a value")
steer = command("steer", "valueflow.steering", "steer a model to values, or let it answer a survey for groups")
compare = command(
    "compare", "valueflow.comparison", "compare finished evaluations: models, methods, intensities", "folders"
)
report = command("report", "valueflow.report", "make one page about finished runs and sweeps", "folders")
categorize = command("categorize", "valueflow.categorization", "place texts in a hierarchy of values by panel votes")
build_vidb = command("build_vidb", "valueflow.construction", "make anchors for a value out of raw texts")
train = command("train", "valueflow.hives", "train the value embedding, or measure one")
extract = command(
    "extract", "valueflow.extraction", "embed texts, find the values of groups by texts, compare vectors of values"
)


def cache() -> None:
    """Show or clear the cached completions of language models: installed as `valueflow-cache`."""
    from valueflow.llm import cache_command

    with patient_output():
        sys.exit(cache_command())
