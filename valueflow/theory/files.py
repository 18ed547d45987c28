"""Theories and definitions in the JSON files of the published code."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valueflow.run import InputError, nearest, read_json, shorten
from valueflow.theory.hierarchy import Theory, normalize_name
from valueflow.theory.library import find_theory, theory_from_mapping

_log = logging.getLogger(__name__)


def theory_from_file(file: str | Path) -> Theory:
    """Read a theory from a JSON file: `hierarchy`, a list of children for each parent, and `definitions` of the names.

    The file's name is the theory's. Where a packaged theory has this name, its title, its values and its ids count, so
    that anchors and tables of the one are those of the other. A single node above all others is no level: without a
    definition it is the frame of the file, with one it stands for the whole theory.

    Raises
    ------
    InputError
        The file cannot be read, holds no hierarchy, a node is not defined, or the hierarchy is not a DAG.
    """
    where, path = f"theory: {file}", Path(file)
    content = read_json(path, "theory")
    children = _children(content, where)
    known = find_theory(path.stem)
    names = _Names(known)
    parents: dict[str, list[str]] = {}
    for parent, below in children.items():
        parents.setdefault(names.of(parent), [])
        for child in below:
            parents.setdefault(names.of(child), []).append(names.of(parent))
    definitions = _texts(content.get("definitions", {}), where)
    defined = {names.known(name): text for name, text in definitions.items() if names.known(name) in parents}
    above = [node for node, its in parents.items() if not its]
    whole = above[0] if len(above) == 1 and len(parents) > 1 else None
    if whole is not None and whole not in defined:
        del parents[whole]
        parents = {node: [one for one in its if one != whole] for node, its in parents.items()}
        whole = None
    nodes = {
        node: {
            "label": names.labels[node],
            "parents": list(dict.fromkeys(its)),
            "definition": _definition(node, names.labels[node], defined, known, where),
        }
        for node, its in parents.items()
    }
    evaluated = [value for value in known.values if value in nodes] if known else []
    theory = theory_from_mapping(
        {
            "name": known.name if known else _identifier(path.stem),
            "title": known.title if known else path.stem.replace("_", " "),
            "label": known.label if known else "value",
            "source": str(file),
            "values": evaluated or [node for node in nodes if node != whole],
            "root": whole,
            "nodes": nodes,
        }
    )
    unused = [name for name in definitions if theory.find(name) is None]
    if unused:
        _log.warning("%s: %d definitions are of no node, as of '%s'", where, len(unused), shorten(unused[0]))
    return theory


def read_definitions(file: str | Path, theory: Theory) -> Theory:
    """Return a theory with the definitions of a JSON file in the place of its own.

    Parameters
    ----------
    file
        An object of texts by name, or one that holds such an object as `definitions`. Of a list of texts the first
        counts. Names of other theories may stand there too.
    theory
        Whose nodes are defined; those without a definition in the file keep theirs. Of several names of a node the
        fullest counts: `benevolence:caring` before `caring`, which may be meant for another theory.

    Raises
    ------
    InputError
        The file cannot be read, a definition is no text, one name is spelled twice with different definitions, or none
        is of the theory.
    """
    where = f"definitions: {file}"
    texts = _texts(read_json(Path(file), "definitions"), where)
    named: dict[str, str] = {}
    for name, text in texts.items():
        node = theory.find(name)
        if node is None:
            continue
        other = named.setdefault(node, name)
        fuller, lesser = sorted((name, other), key=lambda one: len(normalize_name(one)), reverse=True)
        if normalize_name(fuller) == normalize_name(lesser) and texts[other] != text:
            raise InputError(f"{where}: '{other}' and '{name}' are one node of {theory.name}, defined differently")
        named[node] = fuller
    found = {node: texts[name] for node, name in named.items()}
    if not found:
        first = shorten(next(iter(texts)))
        raise InputError(f"{where} defines no node of theory '{theory.name}'; {nearest(first, theory.nodes)}")
    _log.info(
        "%s: %d nodes of %s are defined there, %d keep their own definition", where, len(found), theory.name,
        len(theory.nodes) - len(found),
    )  # fmt: skip
    return theory.defined_by(found)


@dataclass
class _Names:
    """Ids of the names in a file; those of a packaged theory where it knows them."""

    theory: Theory | None

    def __post_init__(self) -> None:
        self.labels: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the id of a name in the hierarchy; the first spelling of it is the label."""
        node = self._ids.get(normalize_name(name))
        if node is None:
            node = (self.theory.find(name) if self.theory else None) or _identifier(name)
            self._ids[normalize_name(name)] = node
            self.labels.setdefault(node, name)
        return node

    def known(self, name: str) -> str | None:
        """Return the id of a name that stands in the hierarchy, or None."""
        return self._ids.get(normalize_name(name))


def _children(content: Any, where: str) -> dict[str, list[str]]:
    hierarchy = content.get("hierarchy") if isinstance(content, Mapping) else None
    if not isinstance(hierarchy, Mapping) or not hierarchy:
        raise InputError(f"{where} holds no 'hierarchy', an object with a list of children for each parent")
    for parent, below in hierarchy.items():
        if not isinstance(below, list) or not all(isinstance(child, str) and child.strip() for child in below):
            raise InputError(f"{where}: hierarchy.{shorten(str(parent))} must be a list of names")
    return {str(parent): list(below) for parent, below in hierarchy.items()}


def _texts(content: Any, where: str) -> dict[str, str]:
    inner = content.get("definitions", content) if isinstance(content, Mapping) else None
    if not isinstance(inner, Mapping):
        raise InputError(f"{where} must be an object of definitions by name, or hold one as 'definitions'")
    texts: dict[str, str] = {}
    for name, given in inner.items():
        text = (
            next((one for one in given if isinstance(one, str) and one.strip()), None)
            if isinstance(given, list)
            else given
        )
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{where}: the definition of '{shorten(str(name))}' must be a text, or a list of some")
        texts[str(name)] = text.strip()
    return texts


def _definition(node: str, name: str, defined: Mapping[str | None, str], known: Theory | None, where: str) -> str:
    if node in defined:
        return defined[node]
    if known is not None and node in known.nodes:
        return known.nodes[node].definition
    raise InputError(f"{where}: '{shorten(name)}' has no definition; add it under 'definitions'")


def _identifier(name: str) -> str:
    """Make an id of a name: lower case, one hyphen for every run of signs that an id cannot have."""
    return re.sub(r"[^a-z0-9_]+", "-", name.casefold()).strip("-_") or "node"
