"""What users give: raw texts, texts with known ratings, ratings by people."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import (
    BadRows,
    InputError,
    TextIndex,
    as_texts,
    number_column,
    read_table,
    rename_columns,
    row_number,
    shorten,
    text_column,
)
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

NEUTRAL_MARKS = ("neutral", "unrelated")

ID, HUMAN_RATING = "id", "human_rating"

_MAX_LISTED = 5

_PROSE: dict[str, Literal["assistant"]] = {"text": "assistant"}
"""Whose words count where a text is a list of chat messages."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Texts:
    """The different texts of a run, in an order of their own, whatever the order of the rows.

    Attributes
    ----------
    texts
        (N,) texts, those of the input and those of the calibration file.
    ids
        (N,) what review files call them; a text has the same id in every run.
    is_input
        (N,) whether a text is to be published; the others only calibrate.
    is_neutral
        (N,) whether a text is marked as neutral or unrelated.
    rating
        (N,) known ratings; NaN where there is none.
    n_rows
        Rows of the input.
    """

    texts: npt.NDArray[np.object_]
    ids: npt.NDArray[np.object_]
    is_input: npt.NDArray[np.bool_]
    is_neutral: npt.NDArray[np.bool_]
    rating: npt.NDArray[np.float64]
    n_rows: int

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def n_repeated(self) -> int:
        """Rows of the input whose text had stood before."""
        return self.n_rows - int(self.is_input.sum())


@dataclass(frozen=True)
class Reviewed:
    """Ratings by people.

    Attributes
    ----------
    rating
        (N,) mean rating of each text; NaN where there is none.
    n_unknown
        Rows whose id and text are of no text here.
    n_empty
        Rows without a rating.
    """

    rating: npt.NDArray[np.float64]
    n_unknown: int
    n_empty: int


def text_id(text: str) -> str:
    """Return 12 hexadecimal digits that name a text."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def read_texts(
    source: str | pd.DataFrame,
    columns: Mapping[str, str | None],
    limit: int | None,
    calibration: str | pd.DataFrame | None,
    bad_rows: BadRows | None = None,
) -> Texts:
    """Read raw texts, and known ratings where there are any; `bad_rows` says what becomes of rows without them.

    Raises
    ------
    InputError
        A file or column is missing or cannot be read, a rating is not in [-10, 10], or there are fewer than two
        different texts.
    """
    frame, where = _table(source, "input")
    bad_rows = bad_rows or BadRows()
    frame = rename_columns(frame, columns, ("text",), where).iloc[:limit]
    frame = bad_rows.left(frame, where, texts=["text"], prose=_PROSE)
    given = text_column(frame, "text", where)
    marks = as_texts(frame["mark"], where) if "mark" in frame else np.full(len(given), "", dtype=object)
    neutral = {text for text, mark in zip(given, marks, strict=True) if str(mark).strip().casefold() in NEUTRAL_MARKS}
    ratings = _ratings(calibration, bad_rows) if calibration is not None else {}
    own = set(given)
    # Sorted, so that not even rounding depends on the order of the rows.
    texts = np.array(sorted(own | set(ratings)), dtype=object)
    if len(own) < 2:
        raise InputError(
            f"{where}: one text only ({len(given)} rows); texts are ranked among each other, give 2 or more"
        )
    return Texts(
        texts=texts,
        ids=np.array([text_id(text) for text in texts], dtype=object),
        is_input=np.array([text in own for text in texts]),
        is_neutral=np.array([text in neutral for text in texts]),
        rating=np.array([ratings.get(text, np.nan) for text in texts], dtype=np.float64),
        n_rows=len(given),
    )


def read_reviewed(source: str | pd.DataFrame, texts: Texts) -> Reviewed:
    """Read what people have filled into a review file.

    A spreadsheet takes an id of digits alone for a number, and writes it as another one. So where an id is unknown, the
    text beside it says which is meant.

    Parameters
    ----------
    source
        A table with columns `id` and `human_rating`, perhaps with `text`; rows without a rating are counted, several of
        one text averaged.
    texts
        Of this run.

    Raises
    ------
    InputError
        A column is missing, a rating is not in [-10, 10], an id is one text's and the text beside it is another, or no
        row at all is of a text known here.
    """
    frame, where = _table(source, "reviewed")
    frame = rename_columns(frame, {}, (ID, HUMAN_RATING), where)
    names = as_texts(frame[ID], where)
    filled = np.array([bool(entry.strip()) for entry in as_texts(frame[HUMAN_RATING], where)])
    # Empty cells are no ratings, but all others must be, and errors name the file's own row.
    numbers = number_column(
        frame.assign(**{HUMAN_RATING: frame[HUMAN_RATING].where(filled, 0)}),
        HUMAN_RATING,
        where,
        lowest=LOWEST_INTENSITY,
        highest=HIGHEST_INTENSITY,
    )
    places = _places(frame, names, texts, where)
    unknown = np.flatnonzero(places < 0)
    if len(unknown) == len(names):
        raise InputError(f"{where}: none of its {len(names)} ids is of a text of this run, the first is '{names[0]}'")
    if len(unknown):
        listed = ", ".join(
            f"row {row_number(frame, int(row))} ('{shorten(names[row])}')" for row in unknown[:_MAX_LISTED]
        )
        more = ", ..." if len(unknown) > _MAX_LISTED else ""
        _log.warning("%s: %d ids are of no text of this run: %s%s", where, len(unknown), listed, more)
    ids = texts.ids
    given = filled & (places >= 0)
    count = np.bincount(places[given], minlength=len(ids))
    total = np.bincount(places[given], weights=numbers[given], minlength=len(ids))
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Reviewed(mean, int((places < 0).sum()), int((~filled & (places >= 0)).sum()))


def _places(frame: pd.DataFrame, names: npt.NDArray[np.object_], texts: Texts, where: str) -> npt.NDArray[np.intp]:
    """Return which text each row of a review is of, (R,), by its id or else by the text beside it; -1: none."""
    by_id = {name: number for number, name in enumerate(texts.ids)}
    places = np.array([by_id.get(name.strip(), -1) for name in names], dtype=np.intp)
    if "text" not in frame:
        return places
    index = TextIndex(texts.texts)
    beside = [index.find(text) for text in as_texts(frame["text"], where)]
    for row, (place, found) in enumerate(zip(places.tolist(), beside, strict=True)):
        if place >= 0 and found is not None and found != place:
            raise InputError(
                f"{where}, row {row_number(frame, row)}: id '{names[row]}' is of '{shorten(texts.texts[place])}', the "
                f"text beside it is '{shorten(texts.texts[found])}'; were columns sorted apart?"
            )
        if place < 0 and found is not None:
            places[row] = found
    return places


def _ratings(source: str | pd.DataFrame, bad_rows: BadRows) -> dict[str, float]:
    frame, where = _table(source, "calibration")
    frame = rename_columns(frame, {}, ("text", "rating"), where)
    limits = {"rating": (LOWEST_INTENSITY, HIGHEST_INTENSITY)}
    frame = bad_rows.left(frame, where, texts=["text"], prose=_PROSE, numbers=limits)
    texts = text_column(frame, "text", where)
    numbers = number_column(frame, "rating", where, lowest=LOWEST_INTENSITY, highest=HIGHEST_INTENSITY)
    means = pd.Series(numbers).groupby(texts).mean()
    if means.nunique() < 2:
        raise InputError(f"{where}: {len(means)} texts, and all ratings alike; give two or more that differ")
    return {str(text): float(rating) for text, rating in means.items()}


def _table(source: str | pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
    if isinstance(source, pd.DataFrame):
        return source, what
    return read_table(source, what), f"{what}: {source}"
