"""Texts labeled with free names of values as rows of a training table: ValuePrism, ValueKaleidoscope and the like."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from valueflow.hives.data.anchor_rows import level_rows, with_stage_2
from valueflow.hives.data.table import CONCEPT
from valueflow.hives.data.value_names import MappedName, map_names
from valueflow.run import InputError, as_texts, nearest, rename_columns, row_number, shorten, text_column
from valueflow.theory import DIRECTIONS, direction_of, load_theory

UNMAPPED_ROWS = "rows whose name means no value"
"""Why a row has none in the training table."""

NAME_COLUMNS = ("name", "how", "theory", "node", "similarity", "rows")
"""Columns of the list of names."""

_TEXT, _NAME, _DIRECTION = "text", "name", "direction"
_SITUATION, _VALUE_RIGHT_DUTY = "situation", "vrd"
_TYPES = {"value", "right", "duty"}  # what ValuePrism's full table says in `vrd`; its names are in `text`
_DIRECTION_COLUMNS = ("direction", "label", "valence")


@dataclass(frozen=True)
class NamedRows:
    """Rows of a training table; `names`, what each free name was taken for; and how many rows were left out."""

    rows: pd.DataFrame
    names: pd.DataFrame
    unmapped: int


def has_free_names(table: pd.DataFrame, column: str | None) -> bool:
    """Return whether a table labels texts with free names: in `column`, or as ValueKaleidoscope does."""
    columns = {str(name) for name in table.columns}
    return column in columns or {_SITUATION, _VALUE_RIGHT_DUTY} <= columns


def named_rows(table: pd.DataFrame, column: str | None, least_similarity: float | None, where: str) -> NamedRows:
    """Turn texts with free names into rows of a training table, one for each path of each node that the name means.

    Parameters
    ----------
    table
        The text is in `situation` or, where there is none, `text`; the direction in `direction`, `label` or `valence`
        (supports, opposes, either, and all that a training table takes).
    column
        Where the names are; None, or a column that is not there: `vrd` or, where that says only whether each name is
        one of a value, a right or a duty, `text`.
    least_similarity
        As in `map_names`.
    where
        The file, for messages.

    Raises
    ------
    InputError
        A column is missing, a text or name is blank, a direction is none, or no name means any value.
    """
    columns = [str(name) for name in table.columns]
    name_column = column if column in columns else _column_of_names(table, where)
    direction = next((name for name in _DIRECTION_COLUMNS if name in columns), None)
    if direction is None:
        raise InputError(
            f"{where}: none of the columns {', '.join(_DIRECTION_COLUMNS)} is there, one of which says whether a text "
            f"supports its value; {nearest('direction', columns)}"
        )
    text = _SITUATION if _SITUATION in columns else _TEXT
    table = rename_columns(table, {}, (text, name_column), where)
    given = pd.DataFrame(
        {
            _TEXT: text_column(table, text, where),
            _NAME: [name.strip() for name in text_column(table, name_column, where)],
            _DIRECTION: [direction_of(cell) for cell in table[direction]],
        },
        index=table.index,
    )
    _check_directions(given, direction, where)
    mapped = map_names(given[_NAME], least_similarity)
    names = _list_of_names(mapped, given[_NAME])
    rows = given.merge(_paths(mapped), on=_NAME, how="inner")
    if rows.empty:
        first = shorten(given[_NAME].iloc[0])
        raise InputError(
            f"{where}, column '{name_column}': no name means a value of a theory, as of '{first}'; give another "
            "column by data.names=COLUMN, or a lower data.name_similarity"
        )
    unmapped = int((~given[_NAME].isin(rows[_NAME])).sum())
    rows = with_one_concept(with_stage_2(rows.fillna("")))
    return NamedRows(rows.drop(columns=_NAME), names, unmapped)


def with_one_concept(rows: pd.DataFrame) -> pd.DataFrame:
    """Give all rows of a name and direction one concept: what most theories take the name for, of equals the first.

    Otherwise a text would be of one concept in one theory and of another in the next, near itself and far from itself.
    """
    key = [_NAME, _DIRECTION]
    said = rows.loc[rows[CONCEPT] != "", [*key, "theory", CONCEPT]].drop_duplicates()
    counts = (
        said.groupby([*key, CONCEPT], as_index=False).size().sort_values(["size", CONCEPT], ascending=[False, True])
    )
    return rows.drop(columns=CONCEPT).merge(counts.drop_duplicates(key)[[*key, CONCEPT]], on=key, how="left").fillna("")


def _column_of_names(table: pd.DataFrame, where: str) -> str:
    if {_TEXT, _SITUATION, _VALUE_RIGHT_DUTY} <= set(table.columns):
        types = {text.strip().casefold() for text in as_texts(table[_VALUE_RIGHT_DUTY], where)}
        if types <= _TYPES:
            return _TEXT
    return _VALUE_RIGHT_DUTY


def _check_directions(given: pd.DataFrame, column: str, where: str) -> None:
    wrong = (~given[_DIRECTION].isin(DIRECTIONS)).to_numpy().nonzero()[0]
    if wrong.size:
        row = int(wrong[0])
        word = shorten(str(given[_DIRECTION].iloc[row]))
        raise InputError(
            f"{where}, row {row_number(given, row)}, column '{column}': '{word}' is no direction"
            f"{f' (and in {wrong.size - 1} more rows)' if wrong.size > 1 else ''}; {nearest(word, DIRECTIONS)}"
        )


def _paths(mapped: dict[str, MappedName]) -> pd.DataFrame:
    """Return a row for each name and path of a node it means: `name`, `theory` and the levels."""
    rows = [
        {_NAME: name, "theory": theory, **levels}
        for name, found in mapped.items()
        for theory, node in found.nodes
        for levels in level_rows(load_theory(theory), node)
    ]
    return pd.DataFrame(rows, columns=None if rows else [_NAME, "theory", "level_1"])


def _list_of_names(mapped: dict[str, MappedName], names: "pd.Series[str]") -> pd.DataFrame:
    """Return what each name was taken for, the most frequent first: a row per node, one without a node if unmapped."""
    counts = names.value_counts()
    listed: list[Sequence[object]] = []
    for name, found in mapped.items():
        nodes = found.nodes or (("", ""),)
        similarities = found.similarities or (None,) * len(nodes)
        listed += [
            (name, found.how, theory, node, similarity, int(counts[name]))
            for (theory, node), similarity in zip(nodes, similarities, strict=True)
        ]
    table = pd.DataFrame(listed, columns=list(NAME_COLUMNS))
    return table.sort_values(["rows", "name"], ascending=[False, True], kind="stable", ignore_index=True)
