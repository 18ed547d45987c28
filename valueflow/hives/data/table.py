"""The training table: one row per text and hierarchy path, read, checked and turned into arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.hives.data.labels import NONE, IntArray, Labels
from valueflow.run import InputError, as_texts, nearest, rename_columns, row_number, shorten, text_column
from valueflow.theory import DIRECTIONS, direction_of, find_theory, level_columns, level_number, normalize_name

COLUMNS = ("text", "theory", "level_1", "direction")
"""Columns that every training table has; `level_2` and more may follow, and those of stage 2."""

INDIVIDUAL, CONCEPT = STAGE_2_COLUMNS = ("selected_individual", "selected_anchor")


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """N texts with their labels, in an order that does not depend on that of the rows.

    A text in several rows of one theory and direction is one text with several paths. `n_rows` rows were read;
    `stage_2` lists those of `STAGE_2_COLUMNS` that have any id.
    """

    texts: npt.NDArray[np.object_]
    labels: Labels
    n_rows: int
    stage_2: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "TrainingTable":
        """Return some of the texts (row numbers, or a mask) with their labels."""
        return TrainingTable(self.texts[rows], self.labels.take(rows), self.n_rows, self.stage_2)


def checked_frame(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Check every cell of a training table: `COLUMNS`, any number of further levels, perhaps the columns of stage 2.

    Directions may also be `positive`, `negative`, 1, -1 and 0. Returns these columns alone, as texts; absent cells are
    empty, theories and directions have their own spelling. `where` is the file, for messages.

    Raises
    ------
    InputError
        A column is missing, a text, theory or level 1 is blank, a level is missing in the middle, or a direction is
        none of the three; with row and column.
    """
    frame = rename_columns(frame, {}, COLUMNS, where)
    # Numbers, as JSON and Parquet have them, are directions too.
    spoken = frame.assign(direction=frame["direction"].map(_as_direction, na_action="ignore"))
    levels = _checked_levels(frame, where)
    checked = pd.DataFrame(
        {
            "text": text_column(frame, "text", where),
            "theory": _canonical(text_column(frame, "theory", where), _theory_name),
            **_stripped(frame, levels, where),
            "direction": _canonical(text_column(spoken, "direction", where), direction_of),
            **_stripped(frame, [column for column in STAGE_2_COLUMNS if column in frame], where),
        }
    )
    _check_levels(checked, levels, where, frame)
    unknown = ~checked["direction"].isin(DIRECTIONS).to_numpy()
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        word = shorten(str(frame["direction"].iloc[row]))
        raise InputError(
            f"{where}, row {row_number(frame, row)}, column 'direction': '{word}' is no direction"
            f"{_and_more(int(unknown.sum()))}; {nearest(word, DIRECTIONS)}"
        )
    return checked


def training_table(frames: Sequence[pd.DataFrame]) -> TrainingTable:
    """Turn checked frames, one per source, into one table.

    Rows that agree in text, theory and direction are one text: its paths are those of all of them. Where they name
    several ids of stage 2, `Labels.concepts` has the first by name, and `Labels.concept_sets` all of them.
    """
    rows = pd.concat(frames, ignore_index=True).fillna("")
    levels = level_columns(rows)
    prefixes = _prefixes(rows, levels)
    # Sorted, so that neither the order of rows nor that of sources decides anything.
    group = rows.groupby(["theory", "text", "direction"], sort=True).ngroup().to_numpy()
    first = np.unique(group, return_index=True)[1]
    numbers, names = _numbered(prefixes)
    theories, theory_names = pd.factorize(rows["theory"].iloc[first], sort=True)
    individuals, concepts = (_ids(rows, column, group, len(first)) for column in STAGE_2_COLUMNS)
    labels = Labels(
        theories=theories.astype(np.int64),
        paths=_stacked(numbers, group),
        directions=np.array([DIRECTIONS.index(name) for name in rows["direction"].iloc[first]], dtype=np.int64),
        individuals=individuals[:, 0],
        concepts=concepts[:, 0],
        theory_names=tuple(str(name) for name in theory_names),
        prefix_names=names,
        concept_sets=concepts,
    )
    texts = rows["text"].iloc[first].to_numpy(dtype=object)
    stage_2 = tuple(column for column in STAGE_2_COLUMNS if column in rows and (rows[column] != "").any())
    return TrainingTable(texts, labels, len(rows), stage_2)


def _checked_levels(frame: pd.DataFrame, where: str) -> list[str]:
    numbers = [level_number(column) for column in level_columns(frame)]
    for place, number in enumerate(numbers, start=1):
        if number != place:
            raise InputError(f"{where}: column 'level_{place}' is missing, though there is 'level_{numbers[-1]}'")
    return [f"level_{number}" for number in numbers]


def _stripped(frame: pd.DataFrame, columns: Sequence[str], where: str) -> dict[str, list[str]]:
    return {column: [name.strip() for name in as_texts(frame[column], where)] for column in columns}


def _canonical(names: npt.NDArray[np.object_], spell: Callable[[str], str]) -> list[str]:
    spelled = {name: spell(str(name).strip()) for name in dict.fromkeys(names)}
    return [spelled[name] for name in names]


def _as_direction(cell: Any) -> Any:
    return direction_of(cell) if isinstance(cell, Real) and not isinstance(cell, bool) else cell


def _theory_name(name: str) -> str:
    known = find_theory(name)
    return known.name if known else name


def _check_levels(frame: pd.DataFrame, levels: Sequence[str], where: str, as_given: pd.DataFrame) -> None:
    filled = np.column_stack([frame[level].to_numpy() != "" for level in levels])
    blank = np.flatnonzero(~filled[:, 0])
    if blank.size:
        raise InputError(
            f"{where}, row {row_number(as_given, int(blank[0]))}, column 'level_1': the value is missing"
            f"{_and_more(blank.size)}; every row needs one"
        )
    gaps = filled[:, 1:] & ~filled[:, :-1]
    if gaps.any():
        row, level = (int(place) for place in np.argwhere(gaps)[0])
        raise InputError(
            f"{where}, row {row_number(as_given, row)}, column 'level_{level + 1}': missing in the middle, as "
            f"level_{level + 2} is '{shorten(str(frame[levels[level + 1]].iloc[row]))}'"
            f"{_and_more(int(gaps.any(axis=1).sum()))}; "
            "a path may end early but has no gaps"
        )


def _prefixes(rows: pd.DataFrame, levels: Sequence[str]) -> npt.NDArray[np.object_]:
    """Return (R, L) names of the path of each row down to each level; a path that ends early repeats its last."""
    spelling = {name: normalize_name(name) or name for level in levels for name in sorted(set(rows[level])) if name}
    current = rows["theory"].to_numpy(dtype=object)
    columns = []
    for level in levels:
        here = rows[level].to_numpy(dtype=object)
        current = np.array(
            [f"{above}/{spelling[name]}" if name else above for above, name in zip(current, here, strict=True)],
            dtype=object,
        )
        columns.append(current)
    return np.column_stack(columns)


def _numbered(prefixes: npt.NDArray[np.object_]) -> tuple[IntArray, tuple[str, ...]]:
    names, numbers = np.unique(prefixes.astype(str), return_inverse=True)
    return numbers.reshape(prefixes.shape).astype(np.int64), tuple(str(name) for name in names)


def _stacked(numbers: IntArray, group: npt.NDArray[np.integer]) -> IntArray:
    """Lay the paths of rows (R, L) out by text: (N, W, L), each path of a text once, `NONE` where it has fewer."""
    unique = np.unique(np.column_stack([group, numbers]), axis=0)
    texts = unique[:, 0]
    starts = np.flatnonzero(np.r_[True, texts[1:] != texts[:-1]])
    place = np.arange(len(texts)) - np.repeat(starts, np.diff(np.r_[starts, len(texts)]))
    paths = np.full((len(starts), int(place.max()) + 1, numbers.shape[1]), NONE, dtype=np.int64)
    paths[texts, place] = unique[:, 1:]
    return paths


def _ids(rows: pd.DataFrame, column: str, group: npt.NDArray[np.integer], n: int) -> IntArray:
    """Return the ids of N texts, each once, in the order of their names: (N, C), `NONE` fills up to C."""
    names = rows[column].to_numpy(dtype=str) if column in rows else np.full(len(rows), "")
    given = names != ""
    if not given.any():
        return np.full((n, 1), NONE, dtype=np.int64)
    numbers = np.unique(names[given], return_inverse=True)[1].reshape(-1).astype(np.int64)
    texts, places = np.unique(group[given], return_inverse=True)
    stacked = _stacked(numbers[:, None], places.reshape(-1))[:, :, 0]
    ids = np.full((n, stacked.shape[1]), NONE, dtype=np.int64)
    ids[texts] = stacked
    return ids


def _and_more(count: int) -> str:
    return f" (and in {count - 1} more rows)" if count > 1 else ""
