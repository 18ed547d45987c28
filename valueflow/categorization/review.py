"""What people decide: which texts are put before them, and how their decisions come back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from valueflow.run import (
    InputError,
    TextIndex,
    as_texts,
    nearest,
    read_table,
    rename_columns,
    row_number,
    shorten,
    text_column,
)
from valueflow.theory import DIRECTIONS, Theory

STEP = " > "
"""Stands between the nodes of a path in tables that people read."""

NO_NODE = "none"
"""What a person decides where no value of the theory fits."""


@dataclass(frozen=True)
class Decision:
    """What a person decided about a text.

    Attributes
    ----------
    path
        Ids of the nodes from level 1 down; empty where no value fits.
    direction
        One of `DIRECTIONS`; empty where the person left that to the panel.
    """

    path: tuple[str, ...]
    direction: str


def read_decisions(
    file: str, theory: Theory, texts: Sequence[str], rows: Sequence[int]
) -> tuple[dict[str, Decision], int]:
    """Read a review file that people have filled in.

    A spreadsheet changes line breaks and more in the texts. So where a text is none of the run's, it may be one whose
    line breaks differ, or the one that the column `row` names, if its letters and digits are the same.

    Parameters
    ----------
    file
        Table with `text` and `decision`: the name of a node, a path such as `growth > self-transcendence`
        (needed only where a node has two parents), `none` where no value fits, or nothing where nobody has decided.
        `direction`, where it stands there, is taken over.
    theory
        Whose nodes are meant.
    texts
        All texts of the run, in the order of the input's rows.
    rows
        The number of each one's row in the input, from 1.

    Returns
    -------
    decisions : dict
        By text.
    undecided : int
        Rows without a decision.

    Raises
    ------
    InputError
        A column is missing, a text is none of the run's or is decided twice, or a node or direction is unknown.
    """
    where = f"reviewed: {file}"
    frame = rename_columns(read_table(file, "reviewed"), {}, ("text", "decision"), where)
    columns = [text_column(frame, "text", where), as_texts(frame["decision"], where)]
    columns.append(as_texts(frame["direction"], where) if "direction" in frame else np.full(len(frame), "", object))
    columns.append(as_texts(frame["row"], where) if "row" in frame else np.full(len(frame), "", object))
    index = TextIndex(texts)
    places = {str(row): place for place, row in enumerate(rows)}
    decisions: dict[str, Decision] = {}
    undecided = 0
    for place, (given, decided, direction, named) in enumerate(zip(*columns, strict=True)):
        row = row_number(frame, place)
        number = index.find(given)
        beside = places.get(named.strip())
        if number is None and beside is not None and index.may_be(given, beside):
            number = beside
        if number is None:
            raise InputError(f"{where}, row {row}: the text '{shorten(given)}' is not among those of the input")
        text = texts[number]
        if not decided.strip():
            undecided += 1
            continue
        decision = Decision(
            _path(decided, theory, f"{where}, row {row}, column 'decision'"),
            _direction(direction, f"{where}, row {row}, column 'direction'"),
        )
        if decisions.setdefault(text, decision) != decision:
            raise InputError(f"{where}, row {row}: the text '{shorten(text)}' is decided otherwise above; keep one row")
    return decisions, undecided


def _path(decided: str, theory: Theory, where: str) -> tuple[str, ...]:
    if decided.strip().casefold() == NO_NODE:
        return ()
    names = [name.strip() for name in decided.split(STEP.strip())]
    nodes = [theory.find(name) for name in names]
    for name, node in zip(names, nodes, strict=True):
        if node is None:
            raise InputError(f"{where}: '{shorten(name)}' is no node of {theory.name}; {nearest(name, theory.nodes)}")
    paths = [path for path in theory.paths(str(nodes[-1])) if path[len(path) - len(nodes) :] == tuple(nodes)]
    if not paths:
        known = " or ".join(STEP.join(path) for path in theory.paths(str(nodes[-1])))
        raise InputError(f"{where}: '{shorten(decided)}' is no path of {theory.name}; write {known}")
    if len(paths) > 1:
        known = " or ".join(STEP.join(path) for path in paths)
        raise InputError(f"{where}: '{shorten(decided)}' stands in two places; write {known}")
    return paths[0]


def _direction(given: str, where: str) -> str:
    direction = given.strip().casefold()
    if direction and direction not in DIRECTIONS:
        raise InputError(f"{where}: '{shorten(given)}' is no direction; {nearest(given, DIRECTIONS)}")
    return direction
