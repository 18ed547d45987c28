"""What users give: raw texts, texts with known ratings, ratings by people."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import InputError, as_texts, number_column, read_table, rename_columns, text_column
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

NEUTRAL_MARKS = ("neutral", "unrelated")

ID, HUMAN_RATING = "id", "human_rating"


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
        Rows whose id is of no text here.
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
    columns: Mapping[str, str],
    limit: int | None,
    calibration: str | pd.DataFrame | None,
) -> Texts:
    """Read raw texts, and known ratings where there are any.

    Raises
    ------
    InputError
        A file or column is missing or cannot be read, a rating is not in [-10, 10], or there are fewer than two
        different texts.
    """
    frame, where = _table(source, "input")
    frame = rename_columns(frame, columns, ("text",), where).iloc[:limit]
    given = text_column(frame, "text", where)
    marks = as_texts(frame["mark"], where) if "mark" in frame else np.full(len(given), "", dtype=object)
    neutral = {text for text, mark in zip(given, marks, strict=True) if str(mark).strip().casefold() in NEUTRAL_MARKS}
    ratings = _ratings(calibration) if calibration is not None else {}
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


def read_reviewed(source: str | pd.DataFrame, ids: npt.NDArray[np.object_]) -> Reviewed:
    """Read what people have filled into a review file.

    Parameters
    ----------
    source
        A table with columns `id` and `human_rating`; rows without a rating are counted, several of one id averaged.
    ids
        (N,) ids of this run's texts.

    Raises
    ------
    InputError
        A column is missing, a rating is not in [-10, 10], or no id at all is known here.
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
    place = {name: number for number, name in enumerate(ids)}
    places = np.array([place.get(name.strip(), -1) for name in names], dtype=np.intp)
    if (places < 0).all():
        raise InputError(f"{where}: none of its {len(names)} ids is of a text of this run, the first is '{names[0]}'")
    given = filled & (places >= 0)
    count = np.bincount(places[given], minlength=len(ids))
    total = np.bincount(places[given], weights=numbers[given], minlength=len(ids))
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Reviewed(mean, int((places < 0).sum()), int((~filled & (places >= 0)).sum()))


def _ratings(source: str | pd.DataFrame) -> dict[str, float]:
    frame, where = _table(source, "calibration")
    frame = rename_columns(frame, {}, ("text", "rating"), where)
    texts = text_column(frame, "text", where)
    numbers = number_column(frame, "rating", where, lowest=LOWEST_INTENSITY, highest=HIGHEST_INTENSITY)
    means = pd.Series(numbers).groupby(texts).mean()
    if means.nunique() < 2:
        raise InputError(f"{where}: {len(means)} texts, and all ratings alike; give two or more that differ")
    return {str(text): float(rating) for text, rating in means.items()}


def _table(source: str | pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
    if isinstance(source, pd.DataFrame):
        return source, what
    return read_table(Path(source), what), f"{what}: {source}"
