"""Free names of values, rights and duties ("Right to privacy") -> nodes of the theories."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from valueflow.encoder import load_encoder
from valueflow.theory import known_theories

BY_TABLE, BY_NAME, BY_DEFINITION, UNMAPPED = "table", "name", "definition", "unmapped"
"""How a name was mapped: by our table, as a node's own name, to the nearest definitions, or not at all."""

ENCODER = "minilm"
"""Compares names with definitions. It is fixed, so that a name means the same whatever encoder is trained."""

_TABLE = "value_names.csv"
_IN_BRACKETS = re.compile(r"\s*\([^()]*\)")

Node = tuple[str, str]
"""A theory and the id of one of its nodes."""


@dataclass(frozen=True)
class MappedName:
    """What a free name means.

    `nodes` has at most one node per theory, or is empty; `how` is one of the four ways above; `similarities` are the
    cosines with the nodes' definitions where these decided, else empty. For an unmapped name `similarities` has the
    highest cosine with any definition, if definitions were compared.
    """

    nodes: tuple[Node, ...]
    how: str
    similarities: tuple[float, ...] = ()


def map_names(names: Iterable[str], least_similarity: float | None) -> dict[str, MappedName]:
    """Find the nodes that free names mean.

    A name that our table (`assets/value_names.csv`) lists has the nodes it lists, and one that is itself the name of
    nodes has these. Any other has, in each theory, the node whose definition is nearest to it, if the cosine similarity
    is at least `least_similarity`; None compares no definitions. Case, white space, a leading "the" and what stands
    in parentheses do not matter.
    """
    distinct = sorted(set(names))
    mapped = {name: found for name in distinct if (found := _by_table(name) or _by_name(name)) is not None}
    rest = [name for name in distinct if name not in mapped]
    if least_similarity is None or not rest:
        return mapped | dict.fromkeys(rest, MappedName((), UNMAPPED))
    return mapped | dict(zip(rest, _by_definition(rest, least_similarity), strict=True))


@cache
def table_of_names() -> dict[str, tuple[Node, ...]]:
    """Return our table: names in lower case, each with its nodes."""
    table = pd.read_csv(str(files("valueflow") / "assets" / _TABLE), dtype=str)
    nodes: dict[str, tuple[Node, ...]] = {}
    for name, theory, node in table[["name", "theory", "node"]].to_numpy():
        nodes[name] = (*nodes.get(name, ()), (theory, node))
    return nodes


def _spelled(name: str) -> str:
    """Return a name as the table spells it."""
    return " ".join(_IN_BRACKETS.sub("", name).casefold().split()).removeprefix("the ")


def _by_table(name: str) -> MappedName | None:
    nodes = table_of_names().get(_spelled(name))
    return None if nodes is None else MappedName(nodes, BY_TABLE)


def _by_name(name: str) -> MappedName | None:
    found = [(theory, theory.find(_spelled(name))) for theory in known_theories()]
    nodes = tuple((theory.name, node) for theory, node in found if node is not None and node != theory.root)
    return MappedName(nodes, BY_NAME) if nodes else None


def _by_definition(names: list[str], least_similarity: float) -> list[MappedName]:
    encoder = load_encoder(ENCODER)
    queries = encoder.encode([_spelled(name) or name for name in names])
    best, nodes = [], []
    for theory in known_theories():
        ids = [node for node in theory.nodes if node != theory.root]
        defined = [f"{theory.nodes[node].label}: {theory.nodes[node].definition}" for node in ids]
        similarities = queries @ encoder.encode(defined).T
        nearest = similarities.argmax(axis=1)
        best.append(similarities[np.arange(len(names)), nearest])
        nodes.append([(theory.name, ids[place]) for place in nearest.tolist()])
    similarities = np.round(np.stack(best, axis=1).astype(np.float64), 3)  # (names, theories)
    result = []
    for own, candidates in zip(similarities.tolist(), zip(*nodes, strict=True), strict=True):
        near = [(node, cosine) for node, cosine in zip(candidates, own, strict=True) if cosine >= least_similarity]
        if near:
            result.append(
                MappedName(tuple(node for node, _ in near), BY_DEFINITION, tuple(cosine for _, cosine in near))
            )
        else:
            result.append(MappedName((), UNMAPPED, (max(own),)))
    return result
