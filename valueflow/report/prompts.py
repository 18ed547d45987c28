"""The wordings that models were asked by, as the configurations of the runs hold them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from valueflow.report.blocks import Table
from valueflow.report.reading import FinishedRun

_MESSAGES = ("system", "user", "question", "direction", "default_prompt", "profile_prompt")


def prompt_table(runs: Sequence[FinishedRun]) -> Table | None:
    """Return each wording that was used, once; None where no model was asked or no configuration is saved."""
    wordings: dict[tuple[str, str, str], None] = {}
    for run in runs:
        for prompt, message, wording in _wordings(run):
            wordings[(prompt, message, wording)] = None
    if not wordings:
        return None
    note = "Names in braces are filled in for each question. A wording named with a judge above is an option of prompt."
    headings = ["prompt", "message", "wording"]
    return Table("Prompts", headings, [list(key) for key in wordings], frozenset(headings), note=note)


def _wordings(run: FinishedRun) -> Iterator[tuple[str, str, str]]:
    summary = run.summary
    used = [
        *(["prompt"] if _ranks_by_prompt(summary.get("judge")) else []),
        *{"steering": ["steering"], "opinionqa": ["opinionqa"], "categorization": ["wording"]}.get(run.task, []),
        *(["check"] if run.task == "construction" and summary.get("check") else []),
    ]
    config = run.config("config.yaml") if used or run.task == "profile" else {}
    for group in used:
        node = config.get(group)
        if isinstance(node, Mapping):
            for message in _MESSAGES:
                if node.get(message):
                    yield f"{group} {node.get('name') or ''}".strip(), message, str(node[message])
    if run.task == "profile" and config.get("statements") == "model":
        yield "statement_prompt", "user", str(config.get("statement_prompt"))
    if run.task == "opinionqa" and _entry(config, "opinionqa", "relevance_by") == "llm":
        yield "opinionqa", "relevance_prompt", str(_entry(config, "opinionqa", "relevance_prompt"))


def _ranks_by_prompt(judge: object) -> bool:
    """Return whether a judge, or any of a panel, is a language model that ranks windows."""
    if not isinstance(judge, Mapping):
        return False
    return judge.get("kind") == "llm" or any(map(_ranks_by_prompt, judge.get("members") or []))


def _entry(config: Mapping[str, Any], group: str, key: str) -> Any:
    node = config.get(group)
    return node.get(key) if isinstance(node, Mapping) else None
