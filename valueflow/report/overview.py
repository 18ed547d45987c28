"""What was run, by which models and judges, what went wrong, and what it cost."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from valueflow.evaluation import evaluation_remarks
from valueflow.judge import judge_words
from valueflow.report.blocks import Block, Heading, Lines, Section, Table
from valueflow.report.cells import ONLY_SERIES, Cell
from valueflow.report.prompts import prompt_table
from valueflow.report.reading import Found
from valueflow.run import cost_lines, counted, number

_MOST_FAILED = 50
_MOST_NAMED = 5
_WORDS = {"what", "models", "judges", "began", "version"}
_MOST_PROBLEMS = 20
_JUDGING = "judging"
_CALLS = {"calls", "cache_hits", "prompt_tokens"}
_REMARKED = ("reliability", "timings", "settings", "failures", "misfit", "far_from_anchors", "without_query")
"""What older summaries lack, and remarks are about."""


def overview_section(found: Found, cells: Sequence[Cell], problems: Sequence[str]) -> Section:
    """Say what the folders hold, and what is wrong with it; `problems` are those of files, one line each."""
    blocks: list[Block] = [Lines([_count(found)]), _tasks(found)]
    remarks = [*label_remarks(cells), *judge_remarks(cells)]
    if remarks:
        blocks += [Heading("What to know before reading on"), Lines(remarks)]
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        rest = (
            [f"Not listed: {counted(more, 'more problem')}; summary.json of this report has all."] if more > 0 else []
        )
        blocks += [Heading("What could not be read"), Lines([*problems[:_MOST_PROBLEMS], *rest])]
    costs = _costs(found)
    blocks.append(Lines(costs))
    if found.failed:
        blocks.append(_failed(found.failed))
    prompts = prompt_table(found.runs)
    if prompts is not None:
        blocks.append(prompts)
    return Section("overview", "Overview", blocks)


def judge_remarks(cells: Sequence[Cell]) -> list[str]:
    """Word what is wrong with judges and responses, each once for all jobs of which it is true."""
    known = [cell for cell in cells if all(key in cell.summary for key in _REMARKED)]
    if not known:
        return []
    return evaluation_remarks(
        [cell.summary for cell in known], ["" if cell.series == ONLY_SERIES else cell.series for cell in known]
    )


def label_remarks(cells: Sequence[Cell]) -> list[str]:
    """Say of which evaluations a setting chose nothing, because the responses do not say what they are."""
    named: dict[str, list[str]] = {}
    for cell in cells:
        for setting in cell.summary.get("labels_only") or []:
            named.setdefault(f"{setting}={cell.summary.get(setting)}", []).append(cell.value)
    return [
        f"{setting} is a label only: the responses do not say what they are, so all of them were scored "
        f"({counted(len(values), 'evaluation')}: {', '.join(dict.fromkeys(values))})"
        for setting, values in named.items()
    ]


def _count(found: Found) -> str:
    failed = f", {len(found.failed)} failed" if found.failed else ", none failed"
    words = f"{counted(len(found.runs), 'finished run')}{failed}."
    if found.unfinished:
        named = ", ".join(map(str, found.unfinished[:_MOST_NAMED]))
        more = ", ..." if len(found.unfinished) > _MOST_NAMED else ""
        words += (
            f" {len(found.unfinished)} began and did not finish (interrupted, or still running) and are left out: "
            f"{named}{more}."
        )
    if found.earlier:
        words += f" {found.earlier} of an earlier sweep in the same folder are left out."
    return words


def _tasks(found: Found) -> Table:
    rows = []
    for task in dict.fromkeys(run.task for run in found.runs):
        summaries = [run.summary for run in found.of(task)]
        seconds = [(summary.get("timings") or {}).get("total") for summary in summaries]
        known = [float(each) for each in seconds if each is not None]
        rows.append(
            [
                task,
                f"{len(summaries):,}",
                _joined(summary.get("model") for summary in summaries),
                _joined(judge_words(summary["judge"]) for summary in summaries if summary.get("judge")),
                min((str(summary["started"]) for summary in summaries if summary.get("started")), default="-"),
                number(sum(known) if known else None, ".1f"),
                _joined((summary.get("versions") or {}).get("valueflow") for summary in summaries),
            ]
        )
    headings = ["what", "runs", "models", "judges", "began", "seconds", "version"]
    return Table("What was run", headings, rows, frozenset(_WORDS))


def _joined(names: Any) -> str:
    return ", ".join(dict.fromkeys(str(name) for name in names if name)) or "-"


def _costs(found: Found) -> list[str]:
    usages: dict[str, list[Mapping[str, Any]]] = {}
    for run in found.runs:
        for key, usage in _usages(run.summary):
            usages.setdefault("judge calls" if key == _JUDGING else "calls of other models", []).append(usage)
    lines = [line for what, own in usages.items() for line in cost_lines(what, own)]
    return lines or ["The summaries count no call of a language model."]


def _usages(summary: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what a summary says of calls, at any depth: who asked, and the counts."""
    for key, entry in summary.items():
        if isinstance(entry, Mapping):
            if entry.keys() >= _CALLS:
                yield key, entry
            else:
                yield from _usages(entry)


def _failed(failed: Sequence[tuple[Path, str]]) -> Table:
    rows = [[str(folder), error] for folder, error in failed[:_MOST_FAILED]]
    more = len(failed) - len(rows)
    note = f"Not listed: {counted(more, 'more failed job')}." if more else ""
    return Table(
        "Failed jobs", ["folder", "what went wrong"], rows, frozenset({"folder", "what went wrong"}), note=note
    )
