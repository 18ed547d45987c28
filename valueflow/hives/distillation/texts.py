"""The texts that a teacher is asked about, and the values that their sources name them for."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.judge import stance_texts
from valueflow.responses import RESPONSES_FILE, load_responses
from valueflow.run import HUGGING_FACE, InputError, as_texts, files_named, nearest, read_table, text_column
from valueflow.theory import Theory, find_theory, known_theories
from valueflow.vidb import DEMO, load_vidb

TEXT_COLUMNS = ("text", "response")

_WHAT = "data.texts"
_NONE = -1


@dataclass(frozen=True)
class LearnedValue:
    """A value that the teacher is asked about."""

    theory: Theory
    value: str

    @property
    def name(self) -> str:
        """Theory and value, as `pvq/power`."""
        return f"{self.theory.name}/{self.value}"

    @property
    def stances(self) -> tuple[str, str]:
        """What encoders embed of it: that somebody supports it, and that somebody opposes it."""
        return stance_texts(self.theory.name, self.value, self.theory)


@dataclass(frozen=True, eq=False)
class DistillationTexts:
    """N different texts, sorted, so that the order of the sources changes nothing.

    Attributes
    ----------
    texts
        (N,) the texts.
    named
        (N, V) whether a source names the value for a text: one that it is an anchor of, or was steered to.
    rows
        Rows of the sources; equal texts count once.
    other_values
        How many of these name a theory or value that the teacher is not asked about: their texts count, their values do
        not.
    """

    texts: npt.NDArray[np.object_]
    named: npt.NDArray[np.bool_]
    rows: int
    other_values: int = 0

    def __len__(self) -> int:
        return len(self.texts)


def values_of(theory: str | None) -> list[LearnedValue]:
    """Return all values of a packaged theory, or of all of them.

    Raises
    ------
    InputError
        There is no such theory.
    """
    theories = known_theories()
    if theory is not None:
        found = find_theory(theory)
        if found is None:
            raise InputError(f"data.theory={theory}: unknown; {nearest(theory, [known.name for known in theories])}")
        theories = (found,)
    return [LearnedValue(known, value) for known in theories for value in known.values]


def load_texts(sources: Sequence[str], values: Sequence[LearnedValue]) -> DistillationTexts:
    """Read texts.

    Parameters
    ----------
    sources
        Each `demo` (the packaged anchors and responses), a table with a column `text` or `response` (and perhaps
        `theory` and `value`), a folder of anchors or of responses, or `hf://NAME`.
    values
        Those that count where a source names one.

    Raises
    ------
    InputError
        There are none, a source cannot be used, or a text is missing; with file and row.
    """
    if not sources:
        raise InputError(f"{_WHAT} is empty; give a table with a column text, a folder, or demo")
    rows = pd.concat([part for source in sources for part in _read(source)], ignore_index=True)
    texts, place = np.unique(rows["text"].to_numpy(dtype=object), return_inverse=True)
    named = np.zeros((len(texts), len(values)), dtype=bool)
    columns = {(value.theory.name, value.value): column for column, value in enumerate(values)}
    pairs = pd.MultiIndex.from_frame(rows[["theory", "value"]])
    codes, different = pairs.factorize()
    column = np.array([columns.get(_ids(*pair), _NONE) for pair in different])[codes]
    counts = column != _NONE
    named[place[counts], column[counts]] = True
    names_any = (rows[["theory", "value"]] != "").any(axis=1).to_numpy()
    return DistillationTexts(texts, named, len(rows), int((names_any & ~counts).sum()))


def _ids(theory: str, value: str) -> tuple[str, str]:
    """Return the ids of a theory and a value as people write them; what no packaged theory has stays as it is."""
    known = find_theory(theory)
    return (theory, value) if known is None else (known.name, known.find(value) or value)


def _read(source: str) -> list[pd.DataFrame]:
    if source == DEMO:
        return [_anchors(source), _responses(None)]
    if os.path.isdir(source) and not source.startswith(HUGGING_FACE):
        has_responses = bool(files_named(Path(source), RESPONSES_FILE))
        return [_responses(source) if has_responses else _anchors(source)]
    frame = read_table(source, _WHAT)
    column = next((name for name in TEXT_COLUMNS if name in frame), None)
    if column is None:
        raise InputError(
            f"{_WHAT}: {source} has no column {' or '.join(TEXT_COLUMNS)}; {nearest(TEXT_COLUMNS[0], frame.columns)}"
        )
    return [_rows(text_column(frame, column, f"{_WHAT}: {source}"), frame, source)]


def _anchors(source: str) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"text": anchors.texts, "theory": anchors.theory, "value": anchors.value})
        for anchors in load_vidb(source).anchors
    ]
    return pd.concat(parts, ignore_index=True)


def _responses(source: str | None) -> pd.DataFrame:
    frame, where = load_responses(source, {})
    return _rows(text_column(frame, "response", f"{_WHAT}: {where}"), frame, where)


def _rows(texts: npt.NDArray[np.object_], frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return texts with the theory and the value that their table names, each empty where it names none."""
    named = {
        column: [name.strip() for name in as_texts(frame[column], f"{_WHAT}: {where}")] if column in frame else ""
        for column in ("theory", "value")
    }
    return pd.DataFrame({"text": texts, **named})
