"""Ratings that people gave to some of the responses."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.comparison.jobs import Job
from valueflow.run import (
    BadRows,
    InputError,
    TextIndex,
    as_texts,
    number_column,
    read_table,
    rename_columns,
    text_column,
)
from valueflow.theory import normalize_name
from valueflow.vidb import HIGHEST_INTENSITY, LOWEST_INTENSITY

COLUMNS = ("response", "rating", "query", "value")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ratings:
    """People's ratings beside the jobs' scores.

    Attributes
    ----------
    file
        Where they stand.
    by_job
        For each job the (N,) mean rating of each of its responses; NaN for those that nobody rated.
    ratings, unknown, repeated
        Ratings in the file; those of responses that no job has; those beyond the first of the same response.
    """

    file: str
    by_job: list[npt.NDArray[np.float64]]
    ratings: int
    unknown: int
    repeated: int


def read_ratings(
    file: str, columns: Mapping[str, str], jobs: Sequence[Job], bad_rows: BadRows | None = None
) -> Ratings:
    """Read people's ratings and give them to the responses of the jobs.

    Parameters
    ----------
    file
        A table with `response`, `rating` in [-10, 10] and, where present, `query` and `value`; a column that is blank
        in every row is as good as none. Several ratings of a response count by their mean.
    columns
        Our column name: the file's.
    jobs
        Whose responses are meant.
    bad_rows
        What becomes of rows without a response, without a rating, or with one beyond the scale.

    Raises
    ------
    InputError
        A column is missing, a rating is out of range, no row can be used, or jobs measure several values and no column
        says which is rated.
    """
    frame = rename_columns(read_table(file, "human"), columns, ("response", "rating"), file)
    limits = {"rating": (LOWEST_INTENSITY, HIGHEST_INTENSITY)}
    frame = (bad_rows or BadRows()).left(
        frame, file, texts=["response"], prose={"response": "assistant"}, numbers=limits
    )
    if frame.empty:
        raise InputError(f"{file}: no row has a response and a rating")
    given = pd.DataFrame(
        {
            "response": _known(text_column(frame, "response", file), jobs, "response"),
            "rating": number_column(frame, "rating", file, lowest=LOWEST_INTENSITY, highest=HIGHEST_INTENSITY),
        }
    )
    keys = ["response"]
    for column in ("query", "value"):
        texts = as_texts(frame[column], file) if column in frame else np.empty(0, dtype=object)
        if any(str(text).strip() for text in texts):
            given[column] = _known(texts, jobs, column) if column == "query" else texts
            keys.append(column)
    values = sorted({job.label for job in jobs})
    if "value" in given:
        given["value"] = given["value"].map(normalize_name)
    elif len(values) > 1:
        raise InputError(f"{file}: the jobs measure {', '.join(values)}; a column 'value' must say which one is rated")
    means = given.groupby(keys, sort=False)[["rating"]].mean().reset_index()
    met = np.zeros(len(means), dtype=bool)
    by_job = [_of_job(means, keys, job, met) for job in jobs]
    is_known = given[keys].merge(means[keys][met], on=keys, how="left", indicator=True)["_merge"] == "both"
    unknown = int((~is_known).sum())
    if unknown:
        _log.warning("%s: %d of %d ratings are of responses that no job has", file, unknown, len(given))
    return Ratings(file, by_job, len(given), unknown, len(given) - len(means))


def _known(texts: npt.NDArray[np.object_], jobs: Sequence[Job], column: str) -> npt.NDArray[np.object_]:
    """Return texts as the jobs have them, whatever a spreadsheet has made of their line breaks, (R,)."""
    own = list(dict.fromkeys(text for job in jobs for text in job.scores[column].tolist()))
    index = TextIndex(own)
    found = [index.find(text) for text in texts]
    return np.array(
        [text if number is None else own[number] for text, number in zip(texts, found, strict=True)], dtype=object
    )


def _of_job(means: pd.DataFrame, keys: Sequence[str], job: Job, met: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the rating of each response of a job; mark in `met` which ratings found one."""
    own = job.scores[["query", "response"]]
    fitting = means.assign(place=np.arange(len(means)))
    if "value" in keys:
        fitting = fitting[fitting["value"].isin([normalize_name(job.value), normalize_name(job.label)])]
        fitting = fitting.drop_duplicates([key for key in keys if key != "value"])
    joined = own.merge(fitting, on=[key for key in keys if key != "value"], how="left")
    found = joined["place"].dropna().astype(int).to_numpy()
    met[found] = True
    return joined["rating"].to_numpy(dtype=float)
