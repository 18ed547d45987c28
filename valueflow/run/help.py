"""What `--help` and the reference page say of groups and keys: the comments of the YAML files, which hold each once.

A key's description is the comment behind it, and may go on in comment lines below that are indented further. A
comment line without indentation is the heading of the keys that follow.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valueflow.run.config import CONFIG_DIR, group_options

_ENTRY = re.compile(r" *(?:- )?(?P<key>\w+):(?P<default>(?: +(?:\"[^\"]*\"|(?!#)\S.*?))?)(?: +# *(?P<text>.*))?$")
_CONTINUED = re.compile(r" +# ?(?P<text>.*)")
_WIDTH = 118


@dataclass
class Documented:
    """A key, or a group, as its YAML file describes it.

    Attributes
    ----------
    name
        Dotted where it is nested.
    default
        As written; empty for a mapping.
    text
        Description; empty where there is none.
    heading
        Heading of its section.
    is_group
        Whether it is in the defaults list.
    """

    name: str
    default: str
    text: str
    heading: str
    is_group: bool


def documented(file: Path) -> list[Documented]:
    """Return groups and keys of a YAML file in their order, down to the second level; Hydra's own are left out."""
    return [entry for entry in _entries(file) if entry.name.partition(".")[0] not in ("hydra", "_self_", "defaults")]


def _entries(file: Path) -> Iterator[Documented]:
    heading, latest, parents = "", None, [(-1, "")]
    block_indent: int | None = None
    for line in file.read_text(encoding="utf-8").splitlines():
        indent = len(line) - len(line.lstrip())
        if block_indent is not None and (not line.strip() or indent > block_indent):
            continue
        block_indent = None
        entry, continued = _ENTRY.match(line), _CONTINUED.match(line)
        if line.startswith("# "):
            heading = f"{heading} {line[2:]}".strip() if latest is None else line[2:]
            if latest is not None:
                yield latest
            latest = None
        elif continued and latest is not None:
            latest.text = f"{latest.text} {continued['text']}".strip()
        elif entry:
            if latest is not None:
                yield latest
            default = entry["default"].strip()
            if default[:1] in ("|", ">"):
                block_indent, default = indent, ""
            while parents[-1][0] >= indent:
                parents.pop()
            is_group = parents[-1][1] == "defaults"
            prefix = "" if is_group or not parents[-1][1] else f"{parents[-1][1]}."
            latest = Documented(prefix + entry["key"], default, entry["text"] or "", heading, is_group)
            parents.append((indent, prefix + entry["key"]))
        elif not line.strip() and latest is not None:
            yield latest
            latest, heading = None, ""
    if latest is not None:
        yield latest


def group_help(command: str) -> str:
    """Return the groups of a command with their descriptions and options, for `${groups:}` in a help template."""
    lines: list[str] = []
    for group in documented(CONFIG_DIR / f"{command}.yaml"):
        if group.is_group:
            lines += _wrapped(f"{group.name}: {', '.join(group_options(group.name))}", "  ", "")
            lines += _wrapped(f"{group.text} [{group.default}]", "    ", "    ")
    return "\n".join(lines)


def key_help(command: str) -> str:
    """Return the keys of a command with their descriptions and defaults, for `${keys:}` in a help template."""
    keys = [entry for entry in documented(CONFIG_DIR / f"{command}.yaml") if not entry.is_group and entry.text]
    width = min(max(len(key.name) for key in keys), 24)
    lines: list[str] = []
    heading = None
    for key in keys:
        if key.heading != heading:
            heading = key.heading
            lines += [f"# {heading}"] if heading else []
        lines += _wrapped(f"{key.name:<{width}}  {key.text}{_bracketed(key.default)}", " " * (width + 2), "")
    return "\n".join(lines)


def reference_page(commands: list[str]) -> str:
    """Return the reference of all commands and of the options of their groups as a Markdown page."""
    lines = ["# Reference", "", "Made of the comments in `configs/` by `make reference`; change them there.", ""]
    groups: dict[str, str] = {}
    for command in commands:
        entries = documented(CONFIG_DIR / f"{command}.yaml")
        lines += [f"## {command}.py", "", "| key | default | |", "| --- | --- | --- |"]
        lines += [_row(entry) for entry in entries if not entry.is_group and entry.text]
        lines += ["", f"Groups: {', '.join(f'`{entry.name}`' for entry in entries if entry.is_group)}.", ""]
        groups |= {entry.name: entry.text for entry in entries if entry.is_group}
    lines += ["## Groups", ""]
    for group, text in groups.items():
        lines += [f"### {group}", "", f"{_sentence(text)} Options: {', '.join(group_options(group))}.", ""]
        keys = {
            f"{group}.{entry.name}": Documented(f"{group}.{entry.name}", entry.default, entry.text, "", False)
            for option in group_options(group)
            for entry in documented(CONFIG_DIR / group / f"{option}.yaml")
            if entry.text and not entry.is_group and group != "theory"
        }
        if keys:
            lines += ["| key | default | |", "| --- | --- | --- |", *map(_row, keys.values()), ""]
    return "\n".join(lines)


def _row(entry: Documented) -> str:
    cells = (f"`{entry.name}`", f"`{entry.default}`" if entry.default else "", entry.text)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _bracketed(default: str) -> str:
    return "" if not default else " [must be given]" if default == "???" else f" [{default}]"


def _wrapped(text: str, later: str, first: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)
