"""Arguments of Touché-ValueEval as rows of a training table."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from valueflow.hives.data.anchor_rows import level_rows, with_stage_2
from valueflow.hives.settings import SeveralValues
from valueflow.run import ROW, DelimitedFile, InputError, nearest, row_number, text_column
from valueflow.theory import Theory, load_theory

VALUEEVAL_SUFFIX = ".tsv"

WITHOUT_LABEL = "arguments without any value"
WITHOUT_BRANCH = "arguments whose values share no branch"
"""Why an argument has no row."""

_ARGUMENTS, _LABELS = "arguments", "labels"
_ID, _CONCLUSION, _STANCE, _PREMISE = "Argument ID", "Conclusion", "Stance", "Premise"
_STANCES = {"in favor of": "For", "in favour of": "For", "against": "Against"}

_WITHOUT_NODE = {"Universalism: objectivity": "universalism"}
"""Refined values of the task that the theory's hierarchy has no node for -> the node above."""


def valueeval_rows(arguments: Path, several_values: SeveralValues = "branch") -> tuple[pd.DataFrame, dict[str, int]]:
    """Read arguments and their labels into rows of a training table.

    An argument refers to three values on average. It has rows for each of them, or is placed in one branch of the
    hierarchy: at the deepest node that all its values share. `Benevolence: caring` and `Universalism: concern` make it
    an argument of self-transcendence. One whose values share no node is left out then.

    Parameters
    ----------
    arguments
        TSV with `Argument ID`, `Conclusion`, `Stance` and `Premise`; the labels are beside it, in the file that has
        `labels` in its name in the place of `arguments`, one column of 0 and 1 for each of the 20 refined values.
    several_values
        `each` of its values, or one `branch`.

    Returns
    -------
    rows
        `text` ("conclusion. stance: premise"), `theory` (pvq), `level_1` to `level_4`, `direction` (support: a label
        says that the argument refers to the value) and the columns of stage 2; a row for each path to the node.
    left_out
        Arguments without a row, by reason.

    Raises
    ------
    InputError
        A file or column is missing, a label is neither 0 nor 1 or belongs to no value, or an argument has no labels.
    """
    table = _read_tsv(arguments, (_ID, _CONCLUSION, _STANCE, _PREMISE)).drop_duplicates()
    labels_path = arguments.with_name(arguments.name.replace(_ARGUMENTS, _LABELS))
    if labels_path == arguments:
        raise InputError(f"data: {arguments}: its name must hold '{_ARGUMENTS}', so that its labels can be found")
    _check_once(table, arguments)
    labels = _read_tsv(labels_path, (_ID,)).drop_duplicates()
    _check_once(labels, labels_path)
    labels = labels.set_index(_ID)
    values = [str(column) for column in labels.columns]
    theory = load_theory("pvq")
    nodes = [_node(theory, value, labels_path) for value in values]
    unlabeled = ~table[_ID].isin(labels.index).to_numpy()
    if unlabeled.any():
        row = int(np.flatnonzero(unlabeled)[0])
        raise InputError(
            f"{arguments}, row {row_number(table, row)}: argument '{table[_ID].iloc[row]}' has no labels in "
            f"{labels_path}"
        )
    marks = labels.loc[table[_ID]].to_numpy()
    wrong = ~np.isin(marks, ("0", "1"))
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        raise InputError(
            f"{labels_path}, argument '{table[_ID].iloc[row]}', column '{values[column]}': "
            f"'{marks[row, column]}' is no label; give 0 or 1"
        )
    texts = _texts(table, arguments)
    marked = [tuple(node for node, mark in zip(nodes, row, strict=True) if mark == "1") for row in marks]
    placed = {own: shared_nodes(theory, own) if several_values == "branch" else own for own in set(marked)}
    rows, left_out = [], Counter[str]()
    for text, own in zip(texts, marked, strict=True):
        if not placed[own]:
            left_out[WITHOUT_BRANCH if own else WITHOUT_LABEL] += 1
        rows += [
            {"text": text, "theory": theory.name, **levels, "direction": "support"}
            for node in placed[own]
            for levels in level_rows(theory, node)
        ]
    if not rows:
        raise InputError(f"{labels_path}: no argument has a label 1, or all have values without a common branch")
    return with_stage_2(pd.DataFrame(rows).fillna("")), dict(left_out)


def shared_nodes(theory: Theory, nodes: Iterable[str]) -> tuple[str, ...]:
    """Return the deepest nodes of a theory that all given nodes are under or equal: one, rarely two, or none."""
    above = [{ancestor for path in theory.paths(node) for ancestor in path} for node in nodes]
    shared = set.intersection(*above) if above else set()
    depths = {node: max(map(len, theory.paths(node))) for node in shared}
    return tuple(sorted(node for node in shared if depths[node] == max(depths.values())))


def _texts(table: pd.DataFrame, where: Path) -> list[str]:
    conclusions = text_column(table, _CONCLUSION, str(where))
    premises = text_column(table, _PREMISE, str(where))
    stances = [_STANCES.get(stance.strip().casefold(), stance.strip()) for stance in table[_STANCE]]
    return [
        f"{conclusion.strip()}. {stance}: {premise.strip()}"
        for conclusion, stance, premise in zip(conclusions, stances, premises, strict=True)
    ]


def _node(theory: Theory, value: str, where: Path) -> str:
    """Return the node of a refined value like `Benevolence: caring`: by full name, second part, or first."""
    first, _, second = value.partition(":")
    candidates = (_WITHOUT_NODE.get(value, ""), value.replace(":", ""), second.strip(), first if not second else "")
    found = next((node for name in candidates if name and (node := theory.find(name)) is not None), None)
    if found is None:
        raise InputError(f"{where}: column '{value}' is no value of {theory.title}; {nearest(value, theory.nodes)}")
    return found


def _check_once(table: pd.DataFrame, where: Path) -> None:
    twice = table[_ID].duplicated().to_numpy()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise InputError(
            f"{where}, row {row_number(table, row)}: argument '{table[_ID].iloc[row]}' appears twice; keep one"
        )


def _read_tsv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    # Premises hold single quotation marks of all kinds: none of them quotes a field.
    with DelimitedFile(path, "data", literal=True) as file:
        rows = list(file.rows)
        index = pd.Index([number for number, _ in rows], name=ROW)
        table = pd.DataFrame([row for _, row in rows], columns=file.columns, index=index, dtype=str)
    if table.empty:
        raise InputError(f"data: {path} has no rows below its header")
    for column in columns:
        if column not in table:
            raise InputError(f"{path}: column '{column}' is missing; {nearest(column, map(str, table.columns))}")
    # Labels are found by the id, which spreadsheets like to put blanks around.
    return table.assign(**{_ID: table[_ID].str.strip()})
