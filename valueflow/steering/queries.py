"""Query sets: the questions that a steered model answers."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from valueflow.run import InputError, as_texts, read_table, text_column

PACKAGED_FILE = Path(__file__).parent.parent / "assets" / "queries.csv"


def load_queries(files: Sequence[str] | None, limit: int | None) -> pd.DataFrame:
    """Read query sets one after another.

    Parameters
    ----------
    files
        CSV or Parquet files with a column `query`; where a column `dataset` stands too it says what set a query is of,
        else the file's name does. None: the packaged set of 50 open questions.
    limit
        Only the first so many queries in all; None: all.

    Returns
    -------
    pandas.DataFrame
        `query` and `dataset`, in order; queries that appear twice stay.

    Raises
    ------
    InputError
        A file cannot be read, has no column `query`, or a query is missing or blank.
    """
    if files is not None and not all(file.strip() for file in files or [""]):
        raise InputError("queries: name one file or more, or leave queries out for the packaged set")
    sets = [_read(Path(file)) for file in ([PACKAGED_FILE] if files is None else files)]
    return pd.concat(sets, ignore_index=True).head(limit if limit is not None else sum(map(len, sets)))


def _read(path: Path) -> pd.DataFrame:
    frame = read_table(path, "queries")
    if "query" not in frame:
        raise InputError(f"{path}: column 'query' is missing; it has: {', '.join(map(str, frame.columns))}")
    datasets = as_texts(frame["dataset"], str(path)) if "dataset" in frame else path.stem
    return pd.DataFrame({"query": text_column(frame, "query", str(path)), "dataset": datasets})
