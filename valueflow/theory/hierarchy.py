"""A theory of values as a directed acyclic graph of named, defined nodes."""

import re
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from valueflow.run import InputError, nearest

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Wording = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def normalize_name(name: str) -> str:
    """Reduce a name to what identifies it: `/`, `-`, `_`, `:`, white space and case do not matter."""
    return re.sub(r"[/\-_:\s]+", "", name).casefold()


class Node(BaseModel):
    """One node of a hierarchy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Wording
    parents: tuple[Identifier, ...] = ()
    definition: Wording
    aliases: tuple[Wording, ...] = ()
    added: bool = False
    published_parents: tuple[Identifier, ...] | None = None


class Theory(BaseModel):
    """A value theory: its wording, its hierarchy, and the values that users evaluate; `pvq.yaml` describes every key.

    Raises
    ------
    pydantic.ValidationError
        A parent, value or root is not a node, the graph has a cycle, two ids are the same name, or the circle does not
        hold each value once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    name: Identifier
    title: Wording
    label: Wording
    source: Wording
    values: tuple[Identifier, ...] = Field(min_length=1)
    tree: Literal["own", "published"] = "own"
    root: Identifier | None = None
    circle: tuple[Identifier, ...] = ()
    nodes: dict[Identifier, Node]

    def __hash__(self) -> int:
        # The generated hash would need hashable fields; theories of one name are compared in full.
        return hash(self.name)

    @model_validator(mode="after")
    def _choose_tree(self) -> Self:
        if self.tree == "published":
            nodes = {node_id: _as_published(node) for node_id, node in self.nodes.items() if not node.added}
            # The model is frozen for users; what it is built of is settled here.
            object.__setattr__(self, "nodes", nodes)
        return self

    @model_validator(mode="after")
    def _check_graph(self) -> Self:
        if self.root is not None and (self.root not in self.nodes or self.nodes[self.root].parents):
            raise ValueError(f"root '{self.root}' is not among the nodes without parents")
        for node_id, node in self.nodes.items():
            for parent in node.parents:
                if parent not in self.nodes:
                    raise ValueError(f"node '{node_id}' has the unknown parent '{parent}'")
        for value in self.values:
            if value not in self.nodes:
                raise ValueError(f"value '{value}' is not among the nodes")
        if self.circle and sorted(self.circle) != sorted(self.values):
            named = (*self.circle, *self.values)
            wrong = next(value for value in named if self.circle.count(value) != 1 or value not in self.values)
            raise ValueError(f"circle: '{wrong}' is missing, unknown or repeated; it must hold each value once")
        first_by_name: dict[str, str] = {}
        for node_id in self.nodes:
            other = first_by_name.setdefault(normalize_name(node_id), node_id)
            if other != node_id:
                raise ValueError(f"the ids '{other}' and '{node_id}' are the same name to a user")
        for node_id, node in self.nodes.items():
            for alias in node.aliases:
                other = first_by_name.setdefault(normalize_name(alias), node_id)
                if other != node_id:
                    raise ValueError(f"the alias '{alias}' of '{node_id}' also names '{other}'")
        try:
            _ = self.order
        except CycleError as error:
            raise ValueError(f"the hierarchy has a cycle: {' -> '.join(error.args[1])}") from error
        return self

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All node ids, every parent before its children."""
        return tuple(TopologicalSorter({key: node.parents for key, node in self.nodes.items()}).static_order())

    @cached_property
    def _by_name(self) -> dict[str, str]:
        below = {
            normalize_name(f"{parent}:{name}"): node_id
            for node_id, node in self.nodes.items()
            for parent in node.parents
            for name in (node_id, node.label)
        }
        aliases = {normalize_name(alias): node_id for node_id, node in self.nodes.items() for alias in node.aliases}
        labels = {normalize_name(node.label): node_id for node_id, node in self.nodes.items()}
        return below | aliases | labels | {normalize_name(node_id): node_id for node_id in self.nodes}

    def is_named(self, name: str) -> bool:
        """Return whether a name means this theory: its own or the plural (`rights`), spelled as in `normalize_name`."""
        return normalize_name(name) in {normalize_name(self.name), normalize_name(self.name + "s")}

    def find(self, name: str) -> str | None:
        """Return the id of the node a user names, or None; spelling as in `normalize_name`.

        A name is an id, a label, an alias, or a node below another (`benevolence:caring`); the first of these counts.
        """
        return self._by_name.get(normalize_name(name))

    def resolve(self, name: str) -> str:
        """Return the id of the node a user names.

        Raises
        ------
        InputError
            There is none; the message gives the nearest value.
        """
        node_id = self.find(name)
        if node_id is None:
            raise InputError(f"value '{name}' is not in theory '{self.name}'; {nearest(name, self.values)}")
        return node_id

    def paths(self, node_id: str) -> tuple[tuple[str, ...], ...]:
        """Return every path from level 1 down to a node; several where a node has two parents.

        What stands for the whole theory (`root`) has no level: it is in no path but its own.
        """
        parents = [parent for parent in self.nodes[node_id].parents if parent != self.root]
        if not parents:
            return ((node_id,),)
        return tuple((*path, node_id) for parent in parents for path in self.paths(parent))

    def children(self, node_id: str) -> tuple[str, ...]:
        """Return the ids of the nodes directly below a node, in the order of the file."""
        return tuple(key for key, node in self.nodes.items() if node_id in node.parents)

    @property
    def top(self) -> tuple[str, ...]:
        """The ids of the nodes of level 1, in the order of the file."""
        above: tuple[str, ...] = () if self.root is None else (self.root,)
        return tuple(key for key, node in self.nodes.items() if key not in above and set(node.parents) <= {*above})

    def defined_by(self, definitions: dict[str, str]) -> "Theory":
        """Return the theory with other definitions of some nodes, by their ids."""
        fields: dict[str, Any] = self.model_dump()
        for node_id, definition in definitions.items():
            fields["nodes"][node_id]["definition"] = definition
        return Theory.model_validate(fields)

    @property
    def depth(self) -> int:
        """Number of levels: nodes on the longest path from a root to a leaf."""
        return max(len(path) for node_id in self.nodes for path in self.paths(node_id))


def _as_published(node: Node) -> Node:
    """Return a node as it stands in the published tree."""
    parents = node.parents if node.published_parents is None else node.published_parents
    return node.model_copy(update={"parents": parents, "published_parents": None})
